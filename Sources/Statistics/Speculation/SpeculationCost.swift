import TraceModel

/// What a round of speculative decoding costs, and whether it pays against plain decoding in the same recording.
///
/// Costs are engine time: drafting, the draft model's steps outside of drafting (it is fed with what was verified),
/// and the verifying steps. Sampling and the caller's own work are left out, as they are of the plain steps. Plain steps
/// are those of the verifying context with one token: decoded without a round, or in a round that drafted nothing.
public struct SpeculationCost: Sendable {
  /// A mean with its standard error.
  public struct Mean: Sendable, Equatable {
    public private(set) var count = 0
    public private(set) var value = 0.0
    private var squares = 0.0

    /// nil with fewer than two.
    public var error: Double? {
      count > 1 ? (squares / Double(count - 1) / Double(count)).squareRoot() : nil
    }

    mutating func add(_ sample: Double) {
      count += 1
      let distance = sample - value
      value += distance / Double(count)
      squares += distance * (sample - value)
    }

    /// Variance of the mean relative to its square; nil where it is not known.
    var relativeVariance: Double? {
      guard let error, value > 0 else { return nil }
      return (error / value) * (error / value)
    }
  }

  /// What a round costs, in its parts.
  public struct Round: Sendable, Equatable {
    public var index: Int
    /// Nanoseconds, as all here. Drafting; the draft model's steps behind it; the verifying steps.
    public var draft: Int64
    public var feed: Int64
    public var verify: Int64
  }

  /// How many times as fast as plain decoding, and how far that can be off (two standard errors).
  public struct SpeedUp: Sendable, Equatable {
    public var value: Double
    public var uncertainty: Double

    /// nil where the uncertainty does not tell.
    public var pays: Bool? {
      if value - uncertainty > 1 { return true }
      return value + uncertainty < 1 ? false : nil
    }
  }

  /// Over the rounds for one sequence that are known in full, one by one.
  public private(set) var rounds: [Round] = []
  public private(set) var draft = Mean()
  public private(set) var feed = Mean()
  public private(set) var verify = Mean()
  /// Drafting, feeding and verifying together.
  public private(set) var round = Mean()
  public private(set) var drafted = Mean()
  /// Accepted tokens and the one that verifying adds.
  public private(set) var tokens = Mean()
  /// Decode steps of one token in the contexts that verify.
  public private(set) var plain = Mean()
  /// Verifying steps of more than one token.
  private var wide = Mean()

  /// Fewer plain steps are not enough to compare with.
  public static let leastPlainSteps = 8

  /// - Parameters:
  ///   - rounds: of a run.
  ///   - steps: of the same run.
  public init(_ rounds: [SpeculativeRound], steps: [TokenStep]) {
    let inOrder = steps.sorted { ($0.range.start, $0.index) < ($1.range.start, $1.index) }
    var contexts: Set<UInt64> = []
    let verifying = Set(rounds.compactMap(\.verifyStep))
    for step in inOrder where verifying.contains(step.index) { contexts.insert(step.context) }
    for step in inOrder where step.isComplete && contexts.contains(step.context) {
      guard step.phase == .decode || step.phase == .verify, let tokens = step.tokenCount else { continue }
      let time = Double(max(step.range.duration, 0))
      if tokens == 1 { plain.add(time) } else if step.phase == .verify { wide.add(time) }
    }
    let byThread = Dictionary(grouping: inOrder, by: \.thread)
    for (thread, mine) in Dictionary(grouping: rounds, by: \.thread) {
      add(mine.sorted { $0.range.start < $1.range.start }, byThread[thread] ?? [])
    }
    self.rounds.sort { $0.index < $1.index }
  }

  /// Rounds and steps of one thread, both in order of start.
  private mutating func add(_ rounds: [SpeculativeRound], _ steps: [TokenStep]) {
    var next = steps.startIndex
    for (index, round) in rounds.enumerated() {
      let end = index + 1 < rounds.count ? rounds[index + 1].range.start : nil
      while next < steps.endIndex, steps[next].range.start < round.range.start { next += 1 }
      var result = Round(index: round.index, draft: max(round.draftTime, 0), feed: 0, verify: 0)
      var isWhole = false
      var isOver = false
      while next < steps.endIndex, end.map({ steps[next].range.start < $0 }) ?? true {
        let step = steps[next]
        next += 1
        if isOver { continue }
        let time = max(step.range.duration, 0)
        switch step.phase {
        case .verify:
          result.verify &+= time
          if step.index == round.verifyStep { isWhole = step.isComplete }
        // Before the verifying step they are inside of drafting.
        case .draft: if result.verify > 0 { result.feed &+= time }
        // The next request, or decoding without drafts.
        case .prefill, .decode, .warmup, .unknown: isOver = true
        }
      }
      guard isWhole, round.sequences <= 1, let drafted = round.drafted, let accepted = round.accepted else {
        continue
      }
      self.rounds.append(result)
      draft.add(Double(result.draft))
      feed.add(Double(result.feed))
      verify.add(Double(result.verify))
      self.round.add(Double(result.draft) + Double(result.feed) + Double(result.verify))
      self.drafted.add(Double(drafted))
      tokens.add(1 + Double(accepted))
    }
  }

  /// nil where there are too few plain steps or rounds to compare.
  public var speedUp: SpeedUp? {
    guard plain.count >= Self.leastPlainSteps, round.value > 0, let a = tokens.relativeVariance,
      let b = plain.relativeVariance, let c = round.relativeVariance
    else { return nil }
    let value = tokens.value * plain.value / round.value
    return SpeedUp(value: value, uncertainty: 2 * value * (a + b + c).squareRoot())
  }

  /// What the speed-up cannot exceed where plain steps are missing: a step of one token takes no longer than one of
  /// several. nil without rounds.
  public var mostSpeedUp: Double? {
    guard round.value > 0, wide.count > 0 else { return nil }
    return tokens.value * wide.value / round.value
  }

  /// Share of the drafted tokens that must be accepted for a round to be as fast as plain decoding, with drafts as long
  /// and costs as these: 0 where it pays with none, over 1 where it cannot pay. nil where plain steps are missing.
  public var breakEvenAcceptance: Double? {
    guard plain.count >= Self.leastPlainSteps, plain.value > 0, drafted.value > 0 else { return nil }
    return max(0, (round.value / plain.value - 1) / drafted.value)
  }
}
