import TraceModel

/// Something worth acting on, with the numbers that show it.
public struct Finding: Sendable, Equatable {
  /// What would be won at most if the matter were gone, over the token steps that generate.
  public struct Effect: Sendable, Equatable {
    /// Nanoseconds a token step.
    public var time: Int64
    /// Of the time of the generation, 0…1.
    public var share: Double

    /// How many times as fast the generation would be; nil when nothing else were left.
    public var speedUp: Double? { share < 1 ? 1 / (1 - share) : nil }
  }

  /// Short name, stable: for scripts.
  public var name: String
  /// What is the matter, in one sentence with its numbers.
  public var evidence: String
  /// What to do about it.
  public var advice: String
  /// nil where it cannot be told.
  public var effect: Effect?

  init(name: String, evidence: String, advice: String, effect: Effect? = nil) {
    self.name = name
    self.evidence = evidence
    self.advice = advice
    self.effect = effect
  }

  /// Only what the numbers prove; most runs have none. The largest effect first, those without a number last.
  static func all(_ summary: Summary) -> [Finding] {
    let rules = [
      tooManyThreads, oversubscribed, barriers, idleThreads, preemption, fallback, experts, pageFaults,
      frequency,
      contextGrowth, head, sampling, outside, probeCost, recorderCost, losses, silentSites,
    ]
    return rules.compactMap { $0(summary) }.enumerated().sorted { a, b in
      (b.element.effect?.share ?? -1, a.offset) < (a.element.effect?.share ?? -1, b.offset)
    }.map(\.element)
  }
}
