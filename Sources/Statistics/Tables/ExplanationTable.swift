import TraceModel

/// One row per token step: how long it took, how long it was expected to take, and what made the difference.
public struct ExplanationTable: StatisticsTable, Sendable {
  public var rows: [Explanation]

  /// In order of start.
  public init(_ explainer: Explainer) { rows = explainer.all() }

  public static let columns =
    [
      Column("step"), Column("phase", isText: true), Column("position"), Column("n_kv", "cache"),
      Column("duration_ns", "duration", .nanoseconds), Column("explained_ns", "with behind", .nanoseconds),
      Column("expected_ns", "expected", .nanoseconds),
      Column("typical_ns", "typical", .nanoseconds, isShown: false),
      Column("excess_ns", "over typical", .nanoseconds), Column("cause", isText: true),
      Column("taken_by", "no CPU because of", isText: true),
    ] + Cause.allCases.map { Column("\($0.rawValue)_ns", $0.rawValue, .nanoseconds, isShown: false) }

  public static func cells(_ row: Explanation) -> [Cell] {
    [
      .integer(Int64(row.step.index)), .text(row.step.phase.rawValue), Cell(row.step.place.position),
      Cell(row.step.place.cells), .integer(row.duration), .integer(row.explained), Cell(row.expected),
      Cell(row.typical), Cell(row.excess), Cell(row.mainCauses.first?.cause.rawValue),
      Cell(row.parts.first { $0.cause == .preemption }?.details.first?.name),
    ] + Cause.allCases.map { Cell(row.time($0)) }
  }
}

extension Explanation {
  /// The causes of at least a fifth of what a step took too long, the largest first; none for a step that was
  /// not slow. A slow step early in a context may still be faster than a usual one.
  public var mainCauses: [Part] {
    guard let excess, let surprise else { return [] }
    let most = max(excess, surprise)
    guard most > 0 else { return [] }
    return parts.filter { ($0.time ?? 0) > most / 5 }.sorted { ($0.time ?? 0) > ($1.time ?? 0) }
  }
}
