import Statistics

/// How a mixture of experts used its experts; nothing for other models.
extension SummaryText {
  mutating func experts() {
    for use in summary.expertUses {
      let name = summary.expertUses.count > 1 ? "Experts of model \(use.model + 1)" : "Experts"
      page.heading("\(name) (\(extent(use)))")
      balance(use)
      cache(use)
      operatorTime(use)
    }
    for remark in summary.expertRemarks { page.line("  \(remark)") }
  }

  private func extent(_ use: ExpertUse) -> String {
    let counts = Set(use.layers.map(\.experts.count)).sorted()
    var text =
      "\(formatCount(use.layers.count, "layer")) of \(counts.map(String.init).joined(separator: " or ")) experts"
    if let each = use.expertBytes {
      text += ", \(formatBytes(each)) each"
    } else if let all = use.allBytes {
      text += ", \(formatBytes(all)) together"
    }
    return text + "; \(formatCount(use.steps, "token step"))"
  }

  private mutating func balance(_ use: ExpertUse) {
    let rows = use.layers.compactMap { layer in ExpertBalance(layer).map { (layer: layer, balance: $0) } }
    guard let worst = rows.max(by: { $0.balance.maxOverMean < $1.balance.maxOverMean }) else { return }
    let ratios = rows.map(\.balance.maxOverMean).sorted()
    var text =
      "the busiest expert of a layer has \(formatDecimal(ratios[(ratios.count - 1) / 2], digits: 1)) times the mean"
      + " (median of the layers)"
    text +=
      "; most in\(Self.layerName(worst.layer)): expert \(worst.balance.busiest),"
      + " \(formatDecimal(worst.balance.maxOverMean, digits: 1)) times"
    page.fact("imbalance", text)
    let never = rows.reduce(0) { $0 + $1.balance.neverUsed }
    var unused = "\(never) of \(use.expertCount)"
    let random = rows.compactMap(\.balance.neverUsedAtRandom)
    if random.count == rows.count {
      unused +=
        "; if every token chose at random it would be \(formatDecimal(random.reduce(0, +), digits: 1))"
    }
    page.fact("never used", unused)
    guard let share = use.reuse.nextStepShare else { return }
    var again = "\(formatShare(share)) of the uses, the first of each expert left out"
    let chances = use.layers.compactMap { layer in
      layer.layer.used.map { Double($0) / Double(layer.experts.count) }
    }
    if let chance = chances.first, chances.count == use.layers.count, chances.allSatisfy({ $0 == chance }) {
      again += "; a token uses \(formatShare(chance)) of a layer's"
    }
    page.fact("used the step before", again)
  }

  private static func layerName(_ layer: ExpertLayerUse) -> String {
    layer.layer.number.map { " layer \($0)" } ?? " a layer without a number"
  }

  private mutating func cache(_ use: ExpertUse) {
    guard let firsts = use.cache.firstUseShare else { return }
    page.fact(
      "first uses", "\(formatShare(firsts)) of \(formatCount(use.cache.uses, "use")): no cache has those")
    let reachable = [0.9, 0.5].filter { use.cache.lruExperts(forHitRate: $0) != nil }
    guard !reachable.isEmpty else {
      page.fact("cache", "no size has half of the uses in this recording: record more tokens")
      return
    }
    for rate in reachable {
      guard let lru = use.cache.lruExperts(forHitRate: rate) else { continue }
      var text = "LRU \(lru) of \(use.expertCount) experts"
      if let bytes = use.lruBytes(forHitRate: rate), let all = use.allBytes {
        text += " (\(formatBytes(bytes)) of \(formatBytes(all)))"
      }
      text += optimalText(use.cache, rate)
      page.fact("cache for \(formatDecimal(rate * 100, digits: 0)) % hits", text)
    }
    let each = use.layerCaches
    let rate = reachable[0]
    if use.layers.count > 1, let size = each.lruExperts(forHitRate: rate) {
      page.fact(
        "a cache for each layer",
        "\(formatDecimal(rate * 100, digits: 0)) % hits: LRU \(formatCount(size, "expert")) each"
          + optimalText(each, rate))
    }
    gap(use)
  }

  private func optimalText(_ curve: CacheCurve, _ rate: Double) -> String {
    if let best = curve.optimalExperts(forHitRate: rate) { return "; optimal replacement \(best)" }
    return curve.hasOptimal ? "" : "; optimal replacement not worked out for so many experts"
  }

  /// Where the best replacement is farthest ahead of LRU.
  private mutating func gap(_ use: ExpertUse) {
    let lru = use.cache.lruHitRates(upTo: use.expertCount)
    guard let optimal = use.cache.optimalHitRates(upTo: use.expertCount),
      let size = lru.indices.max(by: { optimal[$0] - lru[$0] < optimal[$1] - lru[$1] }),
      optimal[size] > lru[size]
    else { return }
    page.fact(
      "LRU behind optimal",
      "most with \(formatCount(size, "expert")): \(formatShare(lru[size])) hits instead of"
        + " \(formatShare(optimal[size])); all sizes: prof-analyze experts --cache")
  }

  private mutating func operatorTime(_ use: ExpertUse) {
    let relation = use.reuse.timeByDistance
    let what = "MUL_MAT_ID by distance"
    switch relation.verdict {
    case .tooFewSamples:
      page.fact(
        what,
        "cannot tell: \(formatCount(relation.samples, "layer")) in decode steps, fewer than \(Correlation.leastSamples)"
      )
    case .nothingVaries: page.fact(what, "cannot tell: all experts were used at the same distance")
    case .notSeen, .seen:
      var text =
        relation.verdict == .seen
        ? "takes \((relation.coefficient ?? 0) > 0 ? "longer" : "less") when its experts were last used long ago"
        : "no relation seen between its time and how long ago its experts were used"
      if let r = relation.coefficient { text += " (r \(formatDecimal(r, digits: 2))" }
      text += ", \(formatCount(relation.samples, "sample")))"
      page.fact(what, text + means(use))
    }
    majorFaults(use)
  }

  /// The two ends of the range of distances with enough samples.
  private func means(_ use: ExpertUse) -> String {
    let solid = use.reuse.buckets.filter {
      $0.distances != nil && $0.samples >= UInt64(Correlation.leastSamples)
    }
    guard let near = solid.first, let far = solid.last, near != far, let nearTime = near.meanTime,
      let farTime = far.meanTime, let nearRange = near.distances, let farRange = far.distances
    else { return "" }
    return ": mean \(formatDuration(nearTime)) at \(steps(nearRange)), \(formatDuration(farTime)) at"
      + " \(steps(farRange))"
  }

  private func steps(_ range: ClosedRange<Int>) -> String {
    range.count == 1
      ? formatCount(range.lowerBound, "step") : "\(range.lowerBound)-\(range.upperBound) steps"
  }

  private mutating func majorFaults(_ use: ExpertUse) {
    let what = "major faults in it"
    guard let faults = use.reuse.majorFaults else {
      page.fact(what, "not recorded (pi-record --pmc major-faults)")
      return
    }
    guard faults > 0 else {
      page.fact(what, "none: the experts were in memory")
      return
    }
    var text = formatCount(faults, "fault")
    let byDistance = use.reuse.majorFaultsByDistance
    if byDistance.verdict == .seen, let r = byDistance.coefficient {
      text +=
        "; \(r > 0 ? "more" : "fewer") when experts were last used long ago (r \(formatDecimal(r, digits: 2)))"
    }
    let byFaults = use.reuse.timeByMajorFaults
    if byFaults.verdict == .seen, let r = byFaults.coefficient, r > 0 {
      text += "; its time goes with them (r \(formatDecimal(r, digits: 2)))"
    }
    page.fact(what, text)
  }
}
