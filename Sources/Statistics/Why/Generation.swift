import TraceModel

/// Where the time of the token steps that generate went, with what belongs to them behind: what findings are
/// measured by. Nanoseconds.
public struct Generation: Sendable, Equatable {
  public var steps = 0
  /// Of the steps, of the samplers behind them, and of the caller's own code where another token followed.
  public var time: Int64 = 0
  /// The part in barriers, in samplers, and outside of the engine, without what was taken from the thread
  /// there.
  public var barrier: Int64 = 0
  public var sampling: Int64 = 0
  public var outside: Int64 = 0

  /// Of a time that could be won in all steps together: of one step, and as a share; nil without steps.
  func effect(_ total: Int64) -> Finding.Effect? {
    guard steps > 0, time > 0 else { return nil }
    return Finding.Effect(
      time: total / Int64(steps), share: min(max(Double(total) / Double(time), 0), 1))
  }

  /// Of a share of the time.
  func effect(share: Double) -> Finding.Effect? {
    effect(Int64(min(max(share, 0), 1) * Double(time)))
  }
}

extension Explainer {
  public var generation: Generation {
    var result = Generation()
    for (place, step) in accounts.steps.enumerated() where step.phase.generates && step.isComplete {
      result.steps += 1
      result.time &+= explained(place)
      result.barrier &+= accounts.time(of: place, .barrier)
      result.sampling &+= accounts.time(of: place, .sampling)
      if expectations.isFollowed[place] { result.outside &+= accounts.time(of: place, .outside) }
    }
    return result
  }
}
