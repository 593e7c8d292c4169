import TraceModel

/// What one batch of records led to, in order.
///
/// The builder is not generic: it collects here, and only the hand-over calls the visitor.
struct Output {
  enum Event {
    case structure(GraphStructure)
    case graph(GraphRun)
    case gap(GapSpan)
    case experts(ExpertActivation)
    case loss(LossGap)
    case step(TokenStep)
    case thread(ThreadSlice)
    case backend(Backend)
    case enqueue(EnqueueSpan)
    case round(SpeculativeRound)
    case reading(Reading)
    case probes(ProbeGap)
  }

  var spans: [OperatorSpan] = []
  /// Beside `spans` in a trace with counters, else empty.
  private var counters: [(own: CounterDelta, barrier: CounterDelta)] = []
  /// Each with the number of spans before it.
  private var events: [(spansBefore: Int, event: Event)] = []

  @inline(__always)
  mutating func append(_ span: OperatorSpan) { spans.append(span) }

  mutating func append(_ span: OperatorSpan, counters own: CounterDelta, barrier: CounterDelta) {
    spans.append(span)
    counters.append((own, barrier))
  }

  mutating func append(_ event: Event) { events.append((spans.count, event)) }

  mutating func handOver(to visitor: inout some RunVisitor) {
    var next = 0
    for (spansBefore, event) in events {
      while next < spansBefore {
        hand(next, to: &visitor)
        next += 1
      }
      switch event {
      case .structure(let value): visitor.structure(value)
      case .graph(let value): visitor.graphRun(value)
      case .gap(let value): visitor.gap(value)
      case .experts(let value): visitor.experts(value)
      case .loss(let value): visitor.lossGap(value)
      case .step(let value): visitor.tokenStep(value)
      case .thread(let value): visitor.threadSlice(value)
      case .backend(let value): visitor.backend(value)
      case .enqueue(let value): visitor.enqueueSpan(value)
      case .round(let value): visitor.speculativeRound(value)
      case .reading(let value): visitor.reading(value)
      case .probes(let value): visitor.probeGap(value)
      }
    }
    while next < spans.count {
      hand(next, to: &visitor)
      next += 1
    }
    spans.removeAll(keepingCapacity: true)
    counters.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }

  @inline(__always)
  private func hand(_ index: Int, to visitor: inout some RunVisitor) {
    visitor.operatorSpan(spans[index])
    if index < counters.count {
      visitor.operatorCounters(counters[index].own, barrier: counters[index].barrier, of: spans[index])
    }
  }
}
