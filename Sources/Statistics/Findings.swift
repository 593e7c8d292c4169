import TraceModel

/// Something worth acting on, with the numbers that show it.
public struct Finding: Sendable, Equatable {
  /// Short name, stable: for scripts.
  public var name: String
  /// What is the matter, in one sentence with its numbers.
  public var evidence: String
  /// What to do about it.
  public var advice: String

  /// Main-thread time in barriers from which waiting is worth a finding.
  static let barrierLimit = 0.2
  /// Time of the generation spent in samplers, or outside of the engine.
  static let betweenStepsLimit = 0.1
  /// The recorder's part of one CPU, and of the steps' time in the target.
  static let recorderLimit = 0.05
  /// Of the token steps' time on all threads that compute: without a CPU although they could run.
  static let runnableLimit = 0.02
  /// Of the clock frequency at the begin of decoding that is gone at its end.
  static let frequencyLimit = 0.1
  /// In a shorter recording, start and end of the recorder are most of what it costs.
  static let leastDuration: Int64 = 10_000_000_000

  /// Only what the numbers prove; most runs have none.
  static func all(_ summary: Summary) -> [Finding] {
    [
      tooManyThreads(summary), barriers(summary), sampling(summary), recorderCost(summary),
      probeCost(summary), losses(summary), preemption(summary), frequency(summary), silentSites(summary),
    ].compactMap { $0 }
  }

  private static func tooManyThreads(_ summary: Summary) -> Finding? {
    guard let cpus = summary.facts.cpuCount, cpus > 0, summary.graphThreads > cpus else { return nil }
    return Finding(
      name: "more-threads-than-cpus",
      evidence: "graphs are computed with \(summary.graphThreads) threads on \(cpus) CPUs.",
      advice: "Threads spin in barriers and take the CPU from those that work: use -t \(cpus) or fewer.")
  }

  private static func barriers(_ summary: Summary) -> Finding? {
    // With one thread there is nobody to wait for: what lies between operators is the loop itself.
    guard summary.threads.count > 1,
      let main = summary.threads.filter(\.totals.isMain).max(by: { a, b in
        a.totals.operators &+ a.totals.barrier < b.totals.operators &+ b.totals.barrier
      }), let share = main.barrierShare, share > barrierLimit
    else { return nil }
    let evidence =
      "the main thread (\(main.thread.rawValue)) waits in barriers for \(formatShare(share)) of its time in"
      + " graphs (\(formatDuration(main.totals.barrier)))"
    let waits = summary.threads.compactMap { row in row.barrierShare.map { (share: $0, thread: row.thread) } }
    guard let least = waits.min(by: { $0.share < $1.share }), least.share <= barrierLimit else {
      let mean = main.totals.operators / Int64(clamping: max(main.totals.operatorCount, 1))
      return Finding(
        name: "barriers",
        evidence: evidence + ", and no thread waits less than \(formatShare(barrierLimit)).",
        advice: "No single thread holds up the others: with \(formatDuration(mean)) an operator on average,"
          + " meeting at the barrier weighs as much as the work. Try fewer threads.")
    }
    return Finding(
      name: "barriers", evidence: evidence + ".",
      advice:
        "Thread \(least.thread.rawValue) waits least (\(formatShare(least.share))): the others wait for it."
        + " Its core is slower or shared with something else; pin the threads or use fewer.")
  }

  private static func sampling(_ summary: Summary) -> Finding? {
    guard let decode = summary.phaseTimes.first(where: { $0.phase == .decode }) else { return nil }
    let generation = decode.wall &+ decode.time.sampling
    guard generation > 0 else { return nil }
    let share = Double(decode.time.sampling) / Double(generation)
    guard share > betweenStepsLimit else { return nil }
    return Finding(
      name: "sampling",
      evidence: "sampling takes \(formatShare(share)) of the generation"
        + " (\(formatDuration(decode.time.sampling / Int64(max(decode.steps, 1)))) a token).",
      advice: "Fewer samplers in the chain, or a smaller top-k before the costly ones, make tokens faster.")
  }

  private static func recorderCost(_ summary: Summary) -> Finding? {
    guard let time = summary.facts.recorderTime, let duration = summary.facts.duration,
      duration >= leastDuration
    else { return nil }
    let share = Double(time) / Double(duration)
    guard share > recorderLimit else { return nil }
    return Finding(
      name: "recorder-cost",
      evidence: "the recorder itself used \(formatShare(share)) of one CPU (\(formatDuration(time))).",
      advice: "Where the target needs all CPUs it ran slower than without: record with a lower --level or"
        + " --compress 0, and compare speeds.")
  }

  private static func probeCost(_ summary: Summary) -> Finding? {
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    guard let time = summary.facts.probeTime, wall > 0 else { return nil }
    // Probes run in all threads that compute, nearly all of them inside of token steps.
    let share = Double(time) / Double(wall) / Double(max(summary.threads.count, 1))
    guard share > recorderLimit else { return nil }
    return Finding(
      name: "probe-cost",
      evidence: "by hits and expected price, probes took about \(formatShare(share)) of the token steps' time"
        + " (\(formatDuration(time)) in \(formatCount(max(summary.threads.count, 1), "thread"))).",
      advice: "Operators of a few microseconds look longer than they are: record with --level graph to see"
        + " the speed without them.")
  }

  private static func losses(_ summary: Summary) -> Finding? {
    guard summary.facts.lostRecords > 0 else { return nil }
    return Finding(
      name: "losses",
      evidence: "\(formatCount(summary.facts.lostRecords, "record")) lost in"
        + " \(formatCount(summary.coverage.lossGaps, "interval")).",
      advice: "Sums are too small by what was lost: record with a larger --buffer.")
  }
}
