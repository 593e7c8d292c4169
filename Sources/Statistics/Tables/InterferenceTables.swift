/// Who took CPUs from the target while it made tokens, and what that cost them; most first.
public struct TakerTable: StatisticsTable, Sendable {
  public var rows: [Interference.Taker]

  /// - Parameter interference: nil without the scheduler's events: no rows.
  public init(_ interference: Interference?) { rows = interference?.takers ?? [] }

  public static let columns = [
    Column("task", isText: true), Column("kind", isText: true, isShown: false), Column("count", "times"),
    Column("cost_ns", "made tokens later by", .nanoseconds), Column("steps", "token steps"),
    Column("cost_per_step_ns", "each", .nanoseconds),
  ]

  public static func cells(_ row: Interference.Taker) -> [Cell] {
    [
      .text(row.name), .text(row.kind.rawValue), Cell(row.count), .integer(row.cost), Cell(row.steps),
      row.steps > 0 ? .integer(row.cost / Int64(row.steps)) : .missing,
    ]
  }
}

/// How evenly threads share operators, by type; those with the most time between first and last arrival
/// first.
public struct BalanceTable: StatisticsTable, Sendable {
  public var rows: [ThreadMeetings.Imbalance]

  public init(_ imbalances: [ThreadMeetings.Imbalance]) { rows = imbalances }

  public static let columns = [
    Column("op", "operator", isText: true), Column("count"),
    Column("mean_ns", "threads on average", .nanoseconds),
    Column("longest_ns", "longest thread", .nanoseconds),
    Column("imbalance", "longer", .share), Column("spread_ns", "first to last arrival", .nanoseconds),
  ]

  public static func cells(_ row: ThreadMeetings.Imbalance) -> [Cell] {
    [
      .text(row.op), Cell(row.meetings), .integer(row.mean), .integer(row.longest), Cell(row.excess),
      .integer(row.spread),
    ]
  }
}
