import TraceModel

/// What the system around the target, and the recording itself, do to it.
extension Finding {
  /// Of the token steps' time on all threads that compute: without a CPU although they could run.
  static let runnableLimit = 0.02
  /// Of the clock frequency at the begin of decoding that is gone at its end.
  static let frequencyLimit = 0.1
  /// The recorder's part of one CPU, and of the steps' time in the target.
  static let recorderLimit = 0.05
  /// In a shorter recording, start and end of the recorder are most of what it costs.
  static let leastDuration: Int64 = 10_000_000_000

  static func preemption(_ summary: Summary) -> Finding? {
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    let threads = max(summary.threads.count, 1)
    guard wall > 0 else { return nil }
    let share = Double(summary.scheduler.runnableInSteps) / Double(wall) / Double(threads)
    let cost = summary.interference.flatMap { summary.generation.effect($0.preempted) }
    guard share > runnableLimit || cost?.share ?? 0 > runnableLimit else { return nil }
    var evidence = "for \(formatShare(share)) of the token steps' time, threads could run and had no CPU"
    var isTarget = false
    if let worst = summary.interference?.takers.first(where: { $0.kind == .task || $0.kind == .target }) {
      isTarget = worst.kind == .target
      evidence +=
        "; most of all \(worst.name) had it, which made \(formatCount(worst.steps, "token")) later by"
        + " \(formatDuration(worst.cost)) (\(formatCount(worst.count, "time")))"
    } else if let worst = summary.scheduler.preemptors(target: summary.facts.processes).first {
      isTarget = worst.isTarget
      evidence +=
        "; most of all \(isTarget ? "the target's other threads" : worst.name) had it"
        + " (\(formatCount(worst.count, "time")), \(formatDuration(worst.time)))"
    }
    return Finding(
      name: "preempted", evidence: evidence + ".",
      advice: "All threads wait at the barrier for the one without a CPU: "
        + (isTarget
          ? "use fewer threads, no more than there are free CPUs."
          : "keep other tasks off these CPUs (taskset, nice), or use fewer threads."),
      effect: cost)
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
      advice: "Speeds of short runs will not last: cool the board, or measure after it has settled.",
      effect: worst.fall.flatMap { summary.generation.effect(share: $0) })
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

  static func recorderCost(_ summary: Summary) -> Finding? {
    let taken = summary.interference?.takers.first { $0.kind == .task && $0.name == "pi-record" }
    let effect = taken.flatMap { summary.generation.effect($0.cost) }
    var evidence: [String] = []
    if let time = summary.facts.recorderTime, let duration = summary.facts.duration,
      duration >= leastDuration,
      Double(time) > recorderLimit * Double(duration)
    {
      evidence.append(
        "used \(formatShare(Double(time) / Double(duration))) of one CPU (\(formatDuration(time)))")
    }
    if let taken, let effect, effect.share > runnableLimit {
      evidence.append(
        "had a CPU that the target wanted, which made \(formatCount(taken.steps, "token")) later by"
          + " \(formatDuration(taken.cost))")
    }
    guard !evidence.isEmpty else { return nil }
    return Finding(
      name: "recorder-cost", evidence: "the recorder itself \(evidence.joined(separator: ", and ")).",
      advice: "Where the target needs all CPUs it ran slower than without: record with a lower --level or"
        + " --compress 0, and compare speeds.", effect: effect)
  }

  static func probeCost(_ summary: Summary) -> Finding? {
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    guard let time = summary.facts.probeTime, wall > 0 else { return nil }
    // Probes run in all threads that compute, nearly all of them inside of token steps.
    let share = Double(time) / Double(wall) / Double(max(summary.threads.count, 1))
    guard share > recorderLimit else { return nil }
    let advice =
      summary.operators.isEmpty
      ? "Steps this short take longer for the probes of tokens and graphs alone: --level token has the fewest; the"
        + " speed without any is higher."
      : "Operators of a few microseconds look longer than they are: record with --level graph to see the speed"
        + " without them."
    return Finding(
      name: "probe-cost",
      evidence:
        "by hits and \(summary.facts.isProbeTimeMeasured ? "measured" : "expected") price, probes took about"
        + " \(formatShare(share)) of the token steps' time"
        + " (\(formatDuration(time)) in \(formatCount(max(summary.threads.count, 1), "thread"))).",
      advice: advice, effect: summary.generation.effect(share: share))
  }

  static func losses(_ summary: Summary) -> Finding? {
    guard summary.facts.lostRecords > 0 else { return nil }
    return Finding(
      name: "losses",
      evidence: "\(formatCount(summary.facts.lostRecords, "record")) lost in"
        + " \(formatCount(summary.coverage.lossGaps, "interval")).",
      advice: "Sums are too small by what was lost: record with a larger --buffer.")
  }
}
