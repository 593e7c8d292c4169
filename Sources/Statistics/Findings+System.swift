import TraceModel

/// What the system around the target does to it.
extension Finding {
  static func preemption(_ summary: Summary) -> Finding? {
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    let threads = max(summary.threads.count, 1)
    guard wall > 0 else { return nil }
    let share = Double(summary.scheduler.runnableInSteps) / Double(wall) / Double(threads)
    guard share > runnableLimit,
      let worst = summary.scheduler.preemptors(target: summary.facts.processes).first
    else { return nil }
    return Finding(
      name: "preempted",
      evidence: "for \(formatShare(share)) of the token steps' time, threads could run and had no CPU;"
        + " most of all \(worst.isTarget ? "the target's other threads" : worst.name) had it (\(formatCount(worst.count, "time")),"
        + " \(formatDuration(worst.time))).",
      advice: "All threads wait at the barrier for the one without a CPU: "
        + (worst.isTarget
          ? "use fewer threads, no more than there are free CPUs."
          : "keep other tasks off these CPUs (taskset, nice), or use fewer threads."))
  }

  static func frequency(_ summary: Summary) -> Finding? {
    let fallen = summary.frequencies.filter { ($0.fall ?? 0) > frequencyLimit }
    guard let worst = fallen.max(by: { ($0.fall ?? 0) < ($1.fall ?? 0) }), let start = worst.decodeStart,
      let end = worst.decodeEnd
    else { return nil }
    var evidence =
      "while decoding, the clock of \(worst.name) fell from \(formatFrequency(start)) to"
      + " \(formatFrequency(end))"
    if let hottest = summary.temperatures.max(by: { $0.maximum < $1.maximum }) {
      evidence += "; \(hottest.name) reached \(formatTemperature(hottest.maximum))"
    }
    return Finding(
      name: "frequency-fell", evidence: evidence + ".",
      advice: "Speeds of short runs will not last: cool the board, or measure after it has settled.")
  }

  static func silentSites(_ summary: Summary) -> Finding? {
    let silent = summary.facts.silentSites
    guard !silent.isEmpty else { return nil }
    let shown = silent.prefix(4).joined(separator: ", ")
    return Finding(
      name: "silent-sites",
      evidence: "\(formatCount(silent.count, "probe site")) never fired although neighbours did: \(shown)"
        + (silent.count > 4 ? ", …" : "") + ".",
      advice: "What they stand for is missing here: the compiler may have inlined the function. `prof-analyze"
        + " info` lists the sites.")
  }
}
