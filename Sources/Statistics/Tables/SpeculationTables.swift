import TraceModel

/// One row per place in the draft: how often the token there was accepted.
public struct AcceptanceTable: StatisticsTable, Sendable {
  public var rows: [SpeculationStatistics.Position]

  public init(_ statistics: SpeculationStatistics) { rows = statistics.positions }

  public static let columns = [
    Column("position"), Column("drafted"), Column("reached"), Column("accepted"),
    Column("rate", "rate", .share), Column("rate_once_reached", "once reached", .share),
  ]

  public static func cells(_ row: SpeculationStatistics.Position) -> [Cell] {
    [
      Cell(row.place), Cell(row.drafted), Cell(row.reached), Cell(row.accepted), .decimal(row.rate),
      Cell(row.rateOnceReached),
    ]
  }
}

/// One row per round.
public struct RoundTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var round: SpeculativeRound
    /// nil of rounds that are not known in full, or are for several sequences.
    public var cost: SpeculationCost.Round?
  }

  public var rows: [Row]

  public init(_ statistics: SpeculationStatistics, _ cost: SpeculationCost) {
    let costs = Dictionary(cost.rounds.map { ($0.index, $0) }) { first, _ in first }
    rows = statistics.all.sorted { $0.index < $1.index }.map { Row(round: $0, cost: costs[$0.index]) }
  }

  public static let columns = [
    Column("round"), Column("start_ns", isShown: false), Column("duration_ns", "duration", .nanoseconds),
    Column("verify_step", "verify step"), Column("sequences", isShown: false), Column("drafted"),
    Column("accepted"), Column("draft_steps", "draft steps"), Column("draft_ns", "drafting", .nanoseconds),
    Column("feed_ns", "feeding", .nanoseconds), Column("verify_ns", "verifying", .nanoseconds),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    let round = row.round
    return [
      Cell(round.index), Cell(round.range.start.nanoseconds), .integer(max(round.range.duration, 0)),
      Cell(round.verifyStep), Cell(round.sequences), Cell(round.drafted), Cell(round.accepted),
      Cell(round.draftSteps), .integer(round.draftTime), Cell(row.cost?.feed), Cell(row.cost?.verify),
    ]
  }
}
