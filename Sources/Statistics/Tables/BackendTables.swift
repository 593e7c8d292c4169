import TraceModel

/// One row per place of a graph in the token steps of a phase and backend.
public struct SplitTable: StatisticsTable, Sendable {
  public var rows: [BackendStatistics.Split]

  /// - Parameter phases: the steps to count.
  public init(_ statistics: BackendStatistics, phases: Set<Phase>) {
    rows = statistics.splits.filter { phases.contains($0.phase) }
  }

  public static let columns = [
    Column("phase", isText: true), Column("split"), Column("backend", isText: true), Column("count"),
    Column("total_ns", "total", .nanoseconds), Column("mean_ns", "mean", .nanoseconds),
    Column("before_ns", "before it", .nanoseconds, isShown: false),
    Column("mean_before_ns", "mean before it", .nanoseconds), Column("least_nodes", isShown: false),
    Column("most_nodes", "nodes"),
  ]

  public static func cells(_ row: BackendStatistics.Split) -> [Cell] {
    let count = Int64(max(row.count, 1))
    return [
      .text(row.phase.rawValue), Cell(row.place), .text(row.backend), Cell(row.count), .integer(row.total),
      .integer(row.total / count), Cell(row.before), Cell(row.before.map { $0 / count }),
      Cell(row.nodes.lowerBound), Cell(row.nodes.upperBound),
    ]
  }
}

/// One row per change from one backend to another.
public struct TransferTable: StatisticsTable, Sendable {
  public var rows: [BackendStatistics.Transfer]

  /// - Parameter phases: the steps to count.
  public init(_ statistics: BackendStatistics, phases: Set<Phase>) {
    rows = statistics.transfers.filter { phases.contains($0.phase) }
  }

  public static let columns = [
    Column("phase", isText: true), Column("from", isText: true), Column("to", isText: true), Column("count"),
    Column("total_ns", "total", .nanoseconds), Column("mean_ns", "mean", .nanoseconds),
  ]

  public static func cells(_ row: BackendStatistics.Transfer) -> [Cell] {
    [
      .text(row.phase.rawValue), .text(row.from), .text(row.to), Cell(row.count), .integer(row.time),
      .integer(row.time / Int64(max(row.count, 1))),
    ]
  }
}

/// One row per kind of CPU graph between graphs of another backend.
public struct IslandTable: StatisticsTable, Sendable {
  public var rows: [BackendStatistics.Island]

  /// - Parameter phases: the steps to count.
  public init(_ statistics: BackendStatistics, phases: Set<Phase>) {
    rows = statistics.islands.filter { phases.contains($0.phase) }
  }

  public static let columns = [
    Column("phase", isText: true), Column("operators", isText: true), Column("n_operators", "nodes"),
    Column("before", isText: true, isShown: false), Column("behind", "between", isText: true),
    Column("count"),
    Column("total_ns", "total", .nanoseconds), Column("mean_ns", "mean", .nanoseconds),
    Column("around_ns", "around them", .nanoseconds),
  ]

  public static func cells(_ row: BackendStatistics.Island) -> [Cell] {
    [
      .text(row.phase.rawValue), Cell(row.operators), Cell(row.operatorCount), .text(row.before),
      .text(row.behind), Cell(row.count), .integer(row.total),
      .integer(row.total / Int64(max(row.count, 1))), .integer(row.around),
    ]
  }
}
