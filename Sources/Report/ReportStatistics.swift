import OperatorGraph
import Statistics
import TraceModel

/// Everything that a report is made of, collected in one pass: what `Summary` has, and what is drawn over time.
public struct ReportStatistics: RunVisitor {
  public private(set) var run: RunStatistics
  private(set) var threads: ThreadSeries
  private(set) var device: DeviceSeries
  private(set) var losses: MarkedParts
  private(set) var unprobed: MarkedParts
  private(set) var columns = LayerMatrix.ColumnOrder()
  private(set) var graph: GraphCollector
  let range: TimeRange?

  /// - Parameters:
  ///   - range: from the first record to the last; nil for a trace without any.
  ///   - workModel: see `OperatorStatistics`.
  ///   - counters: of the recording.
  public init(range: TimeRange?, workModel: WorkModel? = nil, counters: [CounterColumn] = []) {
    run = RunStatistics(workModel: workModel, counters: counters)
    graph = GraphCollector(step: nil, measuresAllSteps: true, workModel: workModel)
    threads = ThreadSeries(range: range)
    device = DeviceSeries(range: range)
    losses = MarkedParts(range: range)
    unprobed = MarkedParts(range: range)
    self.range = range
  }

  public mutating func structure(_ structure: GraphStructure) {
    run.structure(structure)
    columns.add(structure)
    graph.structure(structure)
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    run.operatorSpan(span)
    graph.operatorSpan(span)
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    run.operatorSpans(spans)
    graph.operatorSpans(spans)
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    run.operatorCounters(counters, barrier: barrier, of: span)
    graph.operatorCounters(counters, barrier: barrier, of: span)
  }

  public mutating func graphRun(_ graph: GraphRun) {
    run.graphRun(graph)
    self.graph.graphRun(graph)
  }

  public mutating func gap(_ gap: GapSpan) { run.gap(gap) }

  public mutating func experts(_ activation: ExpertActivation) { run.experts(activation) }

  public mutating func tokenStep(_ step: TokenStep) {
    run.tokenStep(step)
    graph.tokenStep(step)
  }

  public mutating func backend(_ backend: Backend) { run.backend(backend) }

  public mutating func enqueueSpan(_ span: EnqueueSpan) { run.enqueueSpan(span) }

  public mutating func speculativeRound(_ round: SpeculativeRound) { run.speculativeRound(round) }

  public mutating func lossGap(_ gap: LossGap) {
    run.lossGap(gap)
    losses.mark(gap.range)
  }

  public mutating func threadSlice(_ slice: ThreadSlice) {
    run.threadSlice(slice)
    threads.threadSlice(slice)
  }

  public mutating func reading(_ reading: Reading) {
    run.reading(reading)
    device.reading(reading)
  }

  public mutating func probeGap(_ gap: ProbeGap) {
    run.probeGap(gap)
    unprobed.mark(gap.range)
  }
}
