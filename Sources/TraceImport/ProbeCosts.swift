import TraceModel

extension TraceInfo {
  /// What probe hits add to the times of operators, from prices measured on the recording machine.
  ///
  /// - Parameter calibration: the trace's own, or another of the same machine.
  /// - Returns: nil where it is not known, with the reason.
  public func probeCost(_ calibration: Calibration?) -> (cost: ProbeCost?, reason: String?) {
    guard let calibration, !calibration.probes.isEmpty else {
      return (nil, "what a hit costs was not measured on this machine")
    }
    // The values are read behind the time stamp, by the dozen of times that differ from counter to counter.
    if !metadata.counterColumns.isEmpty { return (nil, "reading counters in each hit is not in the prices") }
    let allowed = Set(metadata.targetCPUs)
    let probes = calibration.probes.first { $0.cpu.map(allowed.contains) ?? false } ?? calibration.probes[0]

    /// What a hit of a role's sites takes; nil where they are of several classes.
    func price(_ role: String) -> ProbeCost.Hit? {
      let sites = metadata.sites.filter { $0.role == role && !silentSites.contains($0.index) }
      let classes = Set(sites.compactMap(\.instructionClass))
      guard classes.count == 1, let name = classes.first, let price = probes.classes[name],
        let before = price.before, let after = price.after
      else { return nil }
      return ProbeCost.Hit(before: before, after: after)
    }
    guard let begin = price("op_begin") else {
      return (nil, "hits of such instructions as operators begin with were not measured")
    }
    let barrier = price("barrier_loop")
    if barrier == nil, metadata.hasSite("barrier_loop") {
      return (nil, "hits of such instructions as barriers are probed at were not measured")
    }
    return (ProbeCost(begin: begin, fused: price("op_fused") ?? begin, barrier: barrier), nil)
  }
}
