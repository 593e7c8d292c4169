import Statistics
import TraceModel

/// A visitor, and beside it the rows of `experts`: the only table that cannot be made at the end.
struct WithExperts<Base: RunVisitor>: RunVisitor {
  var base: Base
  var rows: ExpertRows

  mutating func experts(_ activation: ExpertActivation) {
    base.experts(activation)
    rows.experts(activation)
  }

  mutating func structure(_ structure: GraphStructure) { base.structure(structure) }
  mutating func operatorSpan(_ span: OperatorSpan) { base.operatorSpan(span) }
  mutating func operatorSpans(_ spans: Span<OperatorSpan>) { base.operatorSpans(spans) }
  mutating func operatorCounters(_ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan) {
    base.operatorCounters(counters, barrier: barrier, of: span)
  }
  mutating func graphRun(_ run: GraphRun) { base.graphRun(run) }
  mutating func gap(_ gap: GapSpan) { base.gap(gap) }
  mutating func lossGap(_ gap: LossGap) { base.lossGap(gap) }
  mutating func tokenStep(_ step: TokenStep) { base.tokenStep(step) }
  mutating func threadSlice(_ slice: ThreadSlice) { base.threadSlice(slice) }
  mutating func backend(_ backend: Backend) { base.backend(backend) }
  mutating func enqueueSpan(_ span: EnqueueSpan) { base.enqueueSpan(span) }
  mutating func speculativeRound(_ round: SpeculativeRound) { base.speculativeRound(round) }
  mutating func reading(_ reading: Reading) { base.reading(reading) }
  mutating func probeGap(_ gap: ProbeGap) { base.probeGap(gap) }
}
