import TraceModel

/// Everything that `Summary` is made of, collected in one pass.
public struct RunStatistics: RunVisitor {
  public private(set) var operators: OperatorStatistics
  public private(set) var steps = StepStatistics()
  public private(set) var models = ModelStatistics()
  /// Expert activations seen, and those of which the recorder cut the row.
  public private(set) var expertActivations = 0
  public private(set) var cutExpertActivations = 0
  /// Intervals with lost records.
  public private(set) var lossGaps = 0
  /// Largest number of threads that a graph was computed with; 0 where none told.
  public private(set) var graphThreads = 0
  public private(set) var scheduler = SchedulerStatistics()
  public private(set) var backends = BackendStatistics()
  public private(set) var speculation = SpeculationStatistics()
  public private(set) var readings = ReadingStatistics()
  public private(set) var graphUse = GraphUse()
  public private(set) var expertUse: ExpertStatistics
  public private(set) var accounts: StepAccounts

  /// - Parameters:
  ///   - workModel: see `OperatorStatistics`.
  ///   - counters: of the recording.
  public init(workModel: WorkModel? = nil, counters: [CounterColumn] = []) {
    operators = OperatorStatistics(workModel: workModel)
    expertUse = ExpertStatistics(counters: counters)
    accounts = StepAccounts(counters: counters)
  }

  public mutating func structure(_ structure: GraphStructure) {
    operators.structure(structure)
    models.structure(structure)
    expertUse.structure(structure)
    accounts.structure(structure)
    backends.structure(structure)
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    operators.operatorSpan(span)
    steps.operatorSpan(span)
    expertUse.operatorSpan(span)
    accounts.operatorSpan(span)
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    operators.operatorSpans(spans)
    steps.operatorSpans(spans)
    expertUse.operatorSpans(spans)
    accounts.operatorSpans(spans)
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    operators.operatorCounters(counters, barrier: barrier, of: span)
    steps.operatorCounters(counters, barrier: barrier, of: span)
    expertUse.operatorCounters(counters, barrier: barrier, of: span)
    accounts.operatorCounters(counters, barrier: barrier, of: span)
  }

  public mutating func enqueueSpan(_ span: EnqueueSpan) {
    operators.enqueueSpan(span)
    backends.enqueueSpan(span)
  }

  public mutating func threadSlice(_ slice: ThreadSlice) {
    scheduler.threadSlice(slice)
    accounts.threadSlice(slice)
  }

  public mutating func speculativeRound(_ round: SpeculativeRound) { speculation.speculativeRound(round) }

  public mutating func reading(_ reading: Reading) {
    readings.reading(reading)
    accounts.reading(reading)
  }

  public mutating func probeGap(_ gap: ProbeGap) { readings.probeGap(gap) }

  public mutating func graphRun(_ run: GraphRun) {
    backends.graphRun(run)
    graphUse.graphRun(run)
    operators.graphRun(run)
    steps.graphRun(run)
    models.graphRun(run)
    expertUse.graphRun(run)
    accounts.graphRun(run)
    graphThreads = max(graphThreads, run.threadCount)
  }

  public mutating func gap(_ gap: GapSpan) {
    steps.gap(gap)
    accounts.gap(gap)
  }

  public mutating func experts(_ activation: ExpertActivation) {
    operators.experts(activation)
    expertActivations += 1
    if !activation.isComplete { cutExpertActivations += 1 }
    expertUse.experts(activation)
    accounts.experts(activation)
  }

  public mutating func lossGap(_ gap: LossGap) {
    lossGaps += 1
    accounts.lossGap(gap)
  }

  public mutating func tokenStep(_ step: TokenStep) {
    operators.tokenStep(step)
    graphUse.tokenStep(step)
    steps.tokenStep(step)
    models.tokenStep(step)
    expertUse.tokenStep(step)
    accounts.tokenStep(step)
    backends.tokenStep(step)
  }
}
