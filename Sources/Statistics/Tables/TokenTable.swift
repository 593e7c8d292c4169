import TraceModel

/// One row per token step.
public struct TokenTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var step: TokenStep
    public var time: StepTime
    /// False in a recording without graphs (level `token`) or without operators (level
    /// `graph`): what those columns would say was not recorded.
    public var hasGraphs: Bool
    public var hasOperators: Bool
    /// What the step's threads counted; nil without counters.
    public var counters: CounterDelta?
  }

  private let statistics: StepStatistics
  /// In order of start.
  private let steps: [TokenStep]
  private let hasGraphs: Bool
  private let hasOperators: Bool
  private let counters: [CounterColumn]

  public var extraColumns: [Column] { Column.counters(counters, behind: Self.columns) }

  public func extraCells(_ row: Row) -> [Cell] {
    counters.map { Cell(counter: row.counters?[$0.index]) }
  }

  /// - Parameter counters: of the recording.
  public init(_ statistics: StepStatistics, counters: [CounterColumn] = []) {
    self.counters = counters
    self.statistics = statistics
    hasGraphs = statistics.steps.contains { $0.graphCount > 0 }
    hasOperators = statistics.steps.contains { $0.operatorCount > 0 }
    let isInOrder = zip(statistics.steps, statistics.steps.dropFirst()).allSatisfy { $0.index <= $1.index }
    steps = isInOrder ? statistics.steps : statistics.steps.sorted { $0.index < $1.index }
  }

  /// Made as they are asked for: of a long trace they would take more room than all that they are made from.
  public var rows: LazyMapCollection<[TokenStep], Row> {
    steps.lazy.map { step in
      Row(
        step: step, time: statistics.time(ofStep: step.index), hasGraphs: hasGraphs,
        hasOperators: hasOperators && step.hasOperatorProbes, counters: statistics.counters(of: step))
    }
  }

  public static let columns = [
    Column("step"), Column("phase", isText: true), Column("start_ns", "start", .nanoseconds, isShown: false),
    Column("duration_ns", "duration", .nanoseconds), Column("n_tokens", "tokens"),
    Column("n_graphs", "graphs"), Column("n_ops", "operators"), Column("coverage", "coverage", .share),
    // Additions to the interface. The times are those of the main thread.
    Column("position"), Column("operators_ns", "in operators", .nanoseconds),
    Column("barrier_ns", "in barriers", .nanoseconds), Column("setup_ns", "setup", .nanoseconds),
    Column("finish_ns", "finish", .nanoseconds), Column("sampling_ns", "then sampling", .nanoseconds),
    Column("outside_ns", "then outside", .nanoseconds),
    Column("accounted", "accounted", .share), Column("context", isText: true, isShown: false),
    Column("tid", isShown: false), Column("complete", isText: true),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    let step = row.step
    let time = row.time
    let duration = max(step.range.duration, 0)
    func graphs(_ value: Int64) -> Cell { row.hasGraphs ? .integer(value) : .missing }
    func operators(_ value: Int64) -> Cell { row.hasOperators ? .integer(value) : .missing }
    let accounted =
      row.hasGraphs && duration > 0 ? Cell.decimal(Double(time.accounted) / Double(duration)) : .missing
    return [
      .integer(Int64(step.index)), .text(step.phase.rawValue), Cell(step.range.start.nanoseconds),
      .integer(duration), Cell(step.tokenCount), graphs(Int64(step.graphCount)),
      operators(Int64(step.operatorCount)), Cell(step.coverage), Cell(step.position),
      operators(time.operators), operators(time.barrier), graphs(time.setup), graphs(time.finish),
      .integer(time.sampling), .integer(time.outside), accounted,
      .text("0x" + String(step.context, radix: 16)), .integer(Int64(step.thread.rawValue)),
      .text(step.isComplete ? "yes" : "no"),
    ]
  }
}
