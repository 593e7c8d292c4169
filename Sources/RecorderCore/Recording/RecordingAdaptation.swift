import CTraceRecords

/// Probes that come and go while a recording runs.
extension Recording {
  /// Two token steps show which sites fire. One that does not although its neighbours do gives way to the next plan.
  func replaceSilentSites() throws(RecorderError) {
    guard !hasReplacedSites, drain.tokenSteps >= 2 else { return }
    hasReplacedSites = true
    if let metadata = try probes.tryNextPlan(for: silentRoles) { output.writeMetadata(metadata) }
  }

  /// Barriers are probed at first, so that the sites are known to fire, and as long as threads wait there.
  func adaptBarriers() throws(RecorderError) {
    guard options.level == .op, drain.tokenSteps >= 2, drain.mostThreads > 0 else { return }
    let wanted = drain.mostThreads > 1
    guard wanted != links.hasBarrierProbes else { return }
    try links.setBarrierProbes(wanted)
    var json = JSONWriter()
    json.object { json in
      json.array("notes") { json in
        json.string(
          nil,
          wanted
            ? "barriers are probed again: a graph is computed by \(drain.mostThreads) threads"
            : "barriers are not probed while graphs are computed by one thread: an operator ends where the next begins"
        )
      }
    }
    output.writeMetadata(json)
  }

  /// Takes operator probes out and puts them back as --qos-min-tps asks.
  func guardSpeed(now: UInt64) throws(RecorderError) {
    guard speedGuard != nil else { return }
    for step in drain.takeDecodeSteps() {
      speedGuard?.step(begin: step.begin, end: step.end, tokens: step.tokens)
    }
    guard let action = speedGuard?.decide(now: now), let speed = speedGuard?.tokensPerSecond else { return }
    switch action {
    case .drop:
      // The record first: what operators still come behind it are none that were missed.
      journal.recordProbes(PI_PROBES_DROPPED, tokensPerSecond: speed)
      links.dropOperatorProbes()
    case .resume:
      try links.resumeOperatorProbes()
      journal.recordProbes(PI_PROBES_RESUMED, tokensPerSecond: speed)
    }
  }
}
