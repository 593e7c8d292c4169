import TraceModel

/// Collects the rounds of speculative decoding.
///
/// Memory grows with the number of rounds, each of which has token steps of its own (about 120 bytes each).
public struct SpeculationStatistics: RunVisitor, Sendable {
  /// Tokens drafted for one place of a draft, and those of them that were accepted.
  public struct Position: Sendable, Equatable {
    /// From 1.
    public var place: Int
    public var drafted: Int
    public var accepted: Int
    /// Of the tokens drafted here those for which all before were accepted: an accepted one is always among them.
    public var reached: Int

    public var rate: Double { drafted > 0 ? Double(accepted) / Double(drafted) : 0 }
    /// Of the tokens here that were reached; nil where none was.
    public var rateOnceReached: Double? { reached > 0 ? Double(accepted) / Double(reached) : nil }
  }

  /// In order of their end.
  public private(set) var all: [SpeculativeRound] = []
  public private(set) var rounds = 0
  /// Over the rounds of which both numbers are known.
  public private(set) var drafted = 0
  public private(set) var accepted = 0
  /// Rounds of which one of the two is not known.
  public private(set) var unknownRounds = 0
  /// Rounds for more than one sequence: which of them accepted how much is not known.
  public private(set) var sharedRounds = 0
  public private(set) var draftSteps = 0
  /// Time inside of drafting. Nanoseconds.
  public private(set) var draftTime: Int64 = 0
  /// From the first round's begin to the last one's end. Nanoseconds.
  public var duration: Int64 { range.map { max($0.duration, 0) } ?? 0 }
  private var range: TimeRange?
  /// Sequences of the known rounds.
  private var sequences = 0
  /// Rounds of one sequence by drafted tokens, by accepted ones, and by those that could be reached: one more than accepted, but
  /// no more than drafted.
  private var draftedLengths: [Int] = []
  private var acceptedLengths: [Int] = []
  private var reachedLengths: [Int] = []

  /// Rounds kept in `all`; beyond, only sums are.
  static let roundLimit = 1 << 20
  /// Longer drafts count as so long.
  public static let longestDraft = 256

  public init() {}

  /// Accepted tokens of those drafted; nil where none were.
  public var acceptance: Double? { drafted > 0 ? Double(accepted) / Double(drafted) : nil }

  /// Tokens that a round gave each sequence on average: the accepted ones and the one that the verifying step adds; nil where no
  /// round is known.
  public var tokensPerRound: Double? {
    sequences > 0 ? 1 + Double(accepted) / Double(sequences) : nil
  }

  /// Acceptance by place in the draft, over the rounds of one sequence: a draft is accepted up to a token and no
  /// further, so of `accepted` tokens it is the first ones.
  public var positions: [Position] {
    func atLeast(_ lengths: [Int]) -> [Int] {
      var sum = 0
      var result = [Int](repeating: 0, count: lengths.count)
      for length in lengths.indices.reversed() {
        sum &+= lengths[length]
        result[length] = sum
      }
      return result
    }
    let (drafted, accepted, reached) = (
      atLeast(draftedLengths), atLeast(acceptedLengths), atLeast(reachedLengths)
    )
    return drafted.indices.dropFirst().map { place in
      Position(
        place: place, drafted: drafted[place], accepted: place < accepted.count ? accepted[place] : 0,
        reached: place < reached.count ? reached[place] : 0)
    }
  }

  public mutating func speculativeRound(_ round: SpeculativeRound) {
    rounds += 1
    draftSteps &+= round.draftSteps
    draftTime &+= max(round.draftTime, 0)
    if all.count < Self.roundLimit { all.append(round) }
    if round.sequences > 1 { sharedRounds += 1 }
    if let proposed = round.drafted, let taken = round.accepted {
      drafted &+= proposed
      accepted &+= taken
      sequences &+= max(round.sequences, 1)
      if round.sequences <= 1 {
        Self.count(proposed, &draftedLengths)
        Self.count(taken, &acceptedLengths)
        Self.count(min(proposed, taken &+ 1), &reachedLengths)
      }
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

  private static func count(_ length: Int, _ lengths: inout [Int]) {
    let length = min(max(length, 0), longestDraft)
    if length >= lengths.count {
      lengths.append(contentsOf: repeatElement(0, count: length + 1 - lengths.count))
    }
    lengths[length] += 1
  }
}
