import TraceModel

/// Sums the rounds of speculative decoding.
public struct SpeculationStatistics: RunVisitor, Sendable {
  public private(set) var rounds = 0
  /// Over the rounds of which both numbers are known.
  public private(set) var drafted = 0
  public private(set) var accepted = 0
  /// Rounds of which one of the two is not known.
  public private(set) var unknownRounds = 0
  public private(set) var draftSteps = 0
  /// Time inside of drafting. Nanoseconds.
  public private(set) var draftTime: Int64 = 0
  /// From the first round's begin to the last one's end. Nanoseconds.
  public var duration: Int64 { range.map { max($0.duration, 0) } ?? 0 }
  private var range: TimeRange?

  public init() {}

  /// Accepted tokens of those drafted; nil where none were.
  public var acceptance: Double? { drafted > 0 ? Double(accepted) / Double(drafted) : nil }

  /// Tokens that a round gave on average: the accepted ones and the one that the verifying step adds; nil where no
  /// round is known.
  public var tokensPerRound: Double? {
    let known = rounds - unknownRounds
    return known > 0 ? 1 + Double(accepted) / Double(known) : nil
  }

  public mutating func speculativeRound(_ round: SpeculativeRound) {
    rounds += 1
    draftSteps &+= round.draftSteps
    draftTime &+= max(round.draftTime, 0)
    if let proposed = round.drafted, let taken = round.accepted {
      drafted &+= proposed
      accepted &+= taken
    } else {
      unknownRounds += 1
    }
    if let known = range {
      range = TimeRange(
        start: min(known.start, round.range.start), end: max(known.end, round.range.end))
    } else {
      range = round.range
    }
  }
}
