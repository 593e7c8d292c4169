import TraceModel

/// What page faults cost tokens, over the token steps that generate.
public struct FaultCosts: Sendable, Equatable {
  /// Token steps in which it is known.
  public var steps = 0
  public var faults: UInt64 = 0
  /// nil where they were not counted apart.
  public var majorFaults: UInt64?
  /// Nanoseconds that operators with faults took longer than expected, or waited; those that read experts
  /// apart.
  public var operators: Int64 = 0
  public var experts: Int64 = 0
  /// Routings to experts that no step before had used.
  public var firstExpertUses = 0
}

extension Explainer {
  /// nil where page faults were not counted.
  public var faultCosts: FaultCosts? {
    guard accounts.hasFaultCounters else { return nil }
    var result = FaultCosts(majorFaults: accounts.faultCounters.countsMajor ? 0 : nil)
    for (place, step) in accounts.steps.enumerated() where step.phase.generates {
      guard let faults = step.faults else { continue }
      result.steps += 1
      result.faults &+= faults
      result.majorFaults = result.majorFaults.map { $0 &+ (step.majorFaults ?? 0) }
      result.firstExpertUses &+= step.firstExpertUses ?? 0
      guard !accounts.faulted[step.faulted].isEmpty else { continue }
      let explanation = explanation(at: place)
      result.operators &+= explanation.time(.pageFaults) ?? 0
      result.experts &+= explanation.time(.expertMisses) ?? 0
    }
    return result
  }
}
