import TraceModel

/// Threads that are too many, wait for each other, or do nothing.
extension Finding {
  /// Main-thread time in barriers from which waiting is worth a finding.
  static let barrierLimit = 0.2
  /// Of the barriers, with a thread that had no CPU.
  static let oversubscribedLimit = 0.1
  /// Of the busiest thread's time in operators, from which a thread takes part at all.
  static let idleLimit = 0.1
  /// Fewer operators than this are no habit.
  private static let leastOperators: UInt64 = 64

  static func tooManyThreads(_ summary: Summary) -> Finding? {
    guard let cpus = summary.facts.cpuCount, cpus > 0, summary.graphThreads > cpus else { return nil }
    var evidence = "graphs are computed with \(summary.graphThreads) threads on \(cpus) CPUs"
    if let share = oversubscribedShare(summary) {
      evidence += "; at \(formatShare(share)) of the barriers a thread could run and had no CPU"
    }
    return Finding(
      name: "more-threads-than-cpus", evidence: evidence + ".",
      advice: "Threads spin in barriers and take the CPU from those that work: use -t \(cpus) or fewer.",
      effect: summary.generation.effect(ownPreemption(summary) ?? summary.generation.barrier))
  }

  /// No more threads than CPUs, but not all of these are the target's.
  static func oversubscribed(_ summary: Summary) -> Finding? {
    guard summary.facts.cpuCount.map({ summary.graphThreads <= $0 }) ?? true,
      let share = oversubscribedShare(summary), share > oversubscribedLimit
    else { return nil }
    return Finding(
      name: "oversubscribed-barriers",
      evidence: "at \(formatShare(share)) of the barriers (\(summary.meetings.oversubscribed) of"
        + " \(summary.meetings.meetings)) threads waited for one that could run and had no CPU,"
        + " for \(formatDuration(summary.meetings.oversubscribedTime)) together.",
      advice: "Fewer CPUs are free than the \(summary.graphThreads) threads need: see who has them"
        + " (prof-analyze threads), or use fewer threads.",
      effect: summary.interference.flatMap { summary.generation.effect($0.forOthers) })
  }

  private static func oversubscribedShare(_ summary: Summary) -> Double? {
    guard summary.interference != nil, summary.meetings.meetings > 0 else { return nil }
    return Double(summary.meetings.oversubscribed) / Double(summary.meetings.meetings)
  }

  /// What the target's own threads cost it, and threads that nobody is blamed for; nil where not recorded.
  private static func ownPreemption(_ summary: Summary) -> Int64? {
    summary.interference.map { interference in
      interference.takers.reduce(0) { $1.kind == .target || $1.kind == .unknown ? $0 &+ $1.cost : $0 }
    }
  }

  static func barriers(_ summary: Summary) -> Finding? {
    // With one thread there is nobody to wait for: what lies between operators is the loop itself.
    guard summary.threads.count > 1,
      let main = summary.threads.filter(\.totals.isMain).max(by: { a, b in
        a.totals.operators &+ a.totals.barrier < b.totals.operators &+ b.totals.barrier
      }), let share = main.barrierShare, share > barrierLimit
    else { return nil }
    var evidence =
      "the main thread (\(main.thread.rawValue)) waits in barriers for \(formatShare(share)) of its time in"
      + " graphs (\(formatDuration(main.totals.barrier)))"
    if let worst = summary.imbalances.first, let excess = worst.excess, excess > 0.2 {
      evidence +=
        "; least even is \(worst.op): its last thread works \(formatShare(excess)) longer than all on average"
    }
    let effect = summary.generation.effect(summary.generation.barrier)
    let waits = summary.threads.compactMap { row in row.barrierShare.map { (share: $0, thread: row.thread) } }
    guard let least = waits.min(by: { $0.share < $1.share }), least.share <= barrierLimit else {
      let mean = main.totals.operators / Int64(clamping: max(main.totals.operatorCount, 1))
      return Finding(
        name: "barriers",
        evidence: evidence + ", and no thread waits less than \(formatShare(barrierLimit)).",
        advice: "No single thread holds up the others: with \(formatDuration(mean)) an operator on average,"
          + " meeting at the barrier weighs as much as the work. Try fewer threads.", effect: effect)
    }
    return Finding(
      name: "barriers", evidence: evidence + ".",
      advice:
        "Thread \(least.thread.rawValue) waits least (\(formatShare(least.share))): the others wait for it."
        + " Its core is slower or shared with something else; pin the threads or use fewer.", effect: effect)
  }

  static func idleThreads(_ summary: Summary) -> Finding? {
    let working = summary.threads.filter { $0.totals.operatorCount >= leastOperators }
    guard working.count > 1, let most = working.map(\.totals.operators).max(), most > 0 else { return nil }
    let idle = working.filter { Double($0.totals.operators) < idleLimit * Double(most) }
    guard let least = idle.min(by: { $0.totals.operators < $1.totals.operators }) else { return nil }
    return Finding(
      name: "idle-threads",
      evidence:
        "\(idle.count) of \(working.count) threads do nearly no work: thread \(least.thread.rawValue) takes part"
        + " in \(least.totals.operatorCount) operators and works \(formatDuration(least.totals.operators)) in them,"
        + " the busiest \(formatDuration(most)).",
      advice:
        "Operators too small to divide, or of which one thread does all: -t \(working.count - idle.count)"
        + " gives the same speed, and the CPUs that now spin in barriers to others.")
  }
}
