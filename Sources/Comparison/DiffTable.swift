import Statistics
import TraceModel

/// All rows of a comparison, phase by phase.
public struct DiffTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var phase: PhaseComparison
    public var row: PhaseComparison.Row

    public init(phase: PhaseComparison, row: PhaseComparison.Row) {
      self.phase = phase
      self.row = row
    }
  }

  public static let columns = [
    Column("phase", isText: true), Column("scope", isText: true), Column("name", isText: true),
    Column("op", isText: true), Column("layer", isShown: false),
    Column("a_ns", "A", .nanoseconds), Column("b_ns", "B", .nanoseconds),
    Column("change_ns", "change", .nanoseconds), Column("low_ns", "from", .nanoseconds),
    Column("high_ns", "to", .nanoseconds), Column("share", "of change", .share),
    Column("presence", "", isText: true),
  ]

  public var rows: [Row]

  /// - Parameters:
  ///   - scopes: what to list.
  ///   - limit: rows of each scope and phase, the largest changes first; layers are listed whole.
  public init(
    _ comparison: RunComparison,
    scopes: Set<PhaseComparison.Row.Scope> = Set(PhaseComparison.Row.Scope.allCases),
    limit: Int? = nil
  ) {
    rows = []
    for phase in comparison.phases {
      var counts: [PhaseComparison.Row.Scope: Int] = [:]
      for row in phase.rows where scopes.contains(row.scope) {
        counts[row.scope, default: 0] += 1
        if let limit, row.scope != .layer, counts[row.scope, default: 0] > limit { continue }
        rows.append(Row(phase: phase, row: row))
      }
    }
  }

  public static func cells(_ row: Row) -> [Cell] {
    let (phase, one) = (row.phase, row.row)
    let total = phase.total.change
    return [
      .text(phase.phase.rawValue), .text(one.scope.rawValue), .text(one.name), Cell(one.op), Cell(one.layer),
      one.presence == .added ? .missing : .integer(one.first),
      one.presence == .removed ? .missing : .integer(one.second), .integer(one.change),
      Cell(one.interval.map { Int64($0.low.rounded()) }), Cell(one.interval.map { Int64($0.high.rounded()) }),
      Cell(total == 0 ? nil : Double(one.change) / Double(total)),
      .text(one.presence == .both ? "" : one.presence == .added ? "only in B" : "only in A"),
    ]
  }
}
