import TraceModel

/// Who took CPUs from the target while it made tokens, and what that cost.
public struct Interference: Sendable {
  public enum Kind: String, Sendable {
    case task
    /// The target's own threads.
    case target
    /// Nobody: a thread had been woken and started on a CPU that was idle.
    case idle
    /// A thread had been woken, and it is not known who had the CPU until it got one.
    case unknown
  }

  public struct Taker: Sendable, Equatable {
    public var name: String
    public var kind: Kind
    public var count: Int
    /// How much later tokens came. Nanoseconds.
    public var cost: Int64
    /// Token steps that came later.
    public var steps: Int
  }

  /// Most cost first.
  public var takers: [Taker] = []
  /// Token steps looked at, and their wall time with what belongs to them behind. Nanoseconds.
  public var steps = 0
  public var time: Int64 = 0
  /// How much later they came because a thread had no CPU: the calling one, or one that it had to wait for or
  /// to work for.
  public var preempted: Int64 = 0
  /// The part of it because of another thread than the calling one.
  public var forOthers: Int64 = 0
  /// While the kernel moved a thread, and asleep in operators.
  public var migrating: Int64 = 0
  public var asleep: Int64 = 0

  /// Of the time; nil without any.
  public var share: Double? { time > 0 ? Double(preempted) / Double(time) : nil }
}

extension Explainer {
  /// Over the token steps that generate; nil without the scheduler's events.
  public var interference: Interference? {
    guard accounts.hasScheduler else { return nil }
    var result = Interference()
    var takers = Takers(facts.processes)
    var stepsOfTaker: [String: Int] = [:]
    for (place, step) in accounts.steps.enumerated() where step.phase.generates && step.isComplete {
      result.steps += 1
      result.time &+= explained(place)
      for use in TimeUse.allCases where !use.isOutside || expectations.isFollowed[place] {
        let time = accounts.time(of: place, use)
        if use.isPreemption { result.preempted &+= time }
        if use == .peerPreemption { result.forOthers &+= time }
        if use.isMigration { result.migrating &+= time }
        if use == .blocked || use == .blockedInFault { result.asleep &+= time }
      }
      var seen: Set<String> = []
      for entry in accounts.culpritTimes[step.culprits] where entry.use.isPreemption {
        guard !entry.use.isOutside || expectations.isFollowed[place] else { continue }
        seen.insert(takers.add(accounts.offCPU.culprits[Int(entry.culprit)], Int(entry.count), entry.time))
      }
      for (culprit, count, time) in peerClaims(place) {
        result.preempted &+= time
        result.forOthers &+= time
        seen.insert(takers.add(accounts.offCPU.culprits[Int(culprit)], count, time))
      }
      for name in seen { stepsOfTaker[name, default: 0] &+= 1 }
    }
    result.takers = takers.sorted.map { row in
      .init(
        name: row.name, kind: row.kind, count: row.count, cost: row.time,
        steps: stepsOfTaker[row.name] ?? 0)
    }
    return result
  }

  /// How evenly threads share operators, by type; those with the most time between first and last arrival
  /// first.
  public var imbalances: [ThreadMeetings.Imbalance] {
    accounts.threads.imbalances(accounts.kinds.kinds)
  }
}
