import Statistics
import TraceModel

/// Which experts were used, and what a cache of them would hold.
extension ReportPage {
  var experts: Section {
    let (id, title) = ("experts", "Experts")
    let remarks = summary.expertRemarks.map { "<p class=\"note\">\($0)</p>\n" as HTML }.joined()
    guard !summary.expertUses.isEmpty else {
      return Section(id: id, title: title, body: noExperts + remarks)
    }
    let uses = summary.expertUses.prefix(Self.shownModels)
    let parts = uses.map { use -> HTML in
      (summary.expertUses.count > 1 ? Self.heading("Model \(use.model + 1)") : .empty) + facts(use) + map(use)
        + overTime(use)
        + cache(use) + reuse(use)
    }
    let table = DataTable(caption: "Experts by layer", ExpertLayerTable(Array(uses)), limit: 256).html
    return Section(
      id: id, title: title,
      lead:
        "Which experts the tokens of all steps but warm-up were routed to, and how often each is wanted again.",
      body: parts.joined() + "<details><summary>Each layer as a table</summary>\(table)</details>\n" + remarks
    )
  }

  private static let shownModels = 3

  private var noExperts: HTML {
    if summary.models.contains(where: { ($0.experts ?? 0) > 1 }) {
      return Self.notRecorded(
        "The model has experts, but not which were chosen: record at --level op, without --no-experts.")
    }
    if summary.models.isEmpty {
      return Self.notRecorded("Whether the model has experts: record without --no-structure, at --level op.")
    }
    return "<p class=\"absent\">No mixture of experts: no graph of this run multiplies by experts.</p>\n"
  }

  private func facts(_ use: ExpertUse) -> HTML {
    let balances = use.layers.compactMap { layer in ExpertBalance(layer).map { (layer: layer, balance: $0) } }
    var list: [(String, HTML)] = []
    let counts = Set(use.layers.map(\.experts.count)).sorted().map(String.init).joined(separator: " or ")
    var extent = "\(formatCount(use.layers.count, "layer")) of \(counts) experts"
    if let each = use.expertBytes { extent += ", \(formatBytes(each)) each" }
    list.append(("experts", "\(extent), \(formatCount(use.steps, "token step"))"))
    if let worst = balances.max(by: { $0.balance.maxOverMean < $1.balance.maxOverMean }) {
      let layer = worst.layer.layer.number.map { "layer \($0)" } ?? "a layer without a number"
      list.append(
        (
          "busiest",
          "expert \(worst.balance.busiest) of \(layer) has \(formatDecimal(worst.balance.maxOverMean, digits: 1)) times the mean"
        ))
      let never = balances.reduce(0) { $0 + $1.balance.neverUsed }
      let random = balances.compactMap(\.balance.neverUsedAtRandom)
      let chance =
        random.count == balances.count
        ? "; at random it would be \(formatDecimal(random.reduce(0, +), digits: 1))" : ""
      list.append(("never used", "\(never) of \(use.expertCount)\(chance)"))
    }
    if let share = use.reuse.nextStepShare {
      list.append(("used the step before", "\(formatShare(share)) of the uses but the first"))
    }
    for rate in [0.9, 0.5] {
      guard let size = use.cache.lruExperts(forHitRate: rate) else { continue }
      var text = "LRU of \(size) experts"
      if let bytes = use.lruBytes(forHitRate: rate) { text += " (\(formatBytes(bytes)))" }
      if let best = use.cache.optimalExperts(forHitRate: rate) {
        text += "; the best replacement needs \(best)"
      }
      list.append(("cache for \(Int(rate * 100)) % hits", "\(text)"))
    }
    return Self.list(list)
  }

  // MARK: - Heat maps

  private func map(_ use: ExpertUse) -> HTML {
    Self.heading("Tokens by layer and expert")
      + HeatMap(
        title: "Tokens routed to each expert of each layer",
        rows: use.layers.map { layer in
          HeatMap.Row(
            label: layer.layer.number.map { "layer \($0)" } ?? "layer ?", values: layer.experts.map(\.tokens))
        }, columnName: "expert", unit: "tokens"
      ).html
  }

  /// Of the layer that uses its experts least evenly: there it changes most, if it does.
  private func overTime(_ use: ExpertUse) -> HTML {
    let uneven = use.layers.indices.compactMap { index in
      ExpertBalance(use.layers[index]).map { (index, $0.gini) }
    }
    .max { $0.1 < $1.1 }
    guard let (layer, _) = uneven, use.windows.count > 1 else { return .empty }
    let name = use.layers[layer].layer.number.map { "layer \($0)" } ?? "the layer used least evenly"
    return Self.heading("Experts of \(name) over time")
      + HeatMap(
        title: "Tokens routed to each expert of \(name) in turn",
        rows: use.windows.map { window in
          HeatMap.Row(
            label: window.steps.count == 1
              ? "step \(window.steps.lowerBound)"
              : "steps \(window.steps.lowerBound)–\(window.steps.upperBound)",
            values: layer < window.tokens.count ? window.tokens[layer].map(UInt64.init) : [])
        }, columnName: "expert", unit: "tokens", isByRow: true
      ).html
  }

  // MARK: - Cache

  /// Sizes that the curve has at most.
  private static let shownSizes = 200

  private func cache(_ use: ExpertUse) -> HTML {
    let lru = use.cache.lruHitRates(upTo: use.expertCount)
    guard lru.count > 1 else { return .empty }
    let optimal = use.cache.optimalHitRates(upTo: use.expertCount)
    let last = lru.count - 1
    let sizes = Set((0...Self.shownSizes).map { last * $0 / Self.shownSizes }).sorted()
    func line(_ rates: [Double]) -> PathData {
      var path = PathData()
      for (index, size) in sizes.enumerated() {
        let (x, y) = (Plot.x(Double(size) / Double(last)), Plot.y(rates[size]))
        if index == 0 { path.move(x, y) } else { path.line(x, y) }
      }
      return path
    }
    func label(_ size: Int) -> String {
      guard let each = use.expertBytes else { return "\(size)" }
      return formatBytes(each.multipliedReportingOverflow(by: Int64(size)).partialValue)
    }
    // What the pointer is over is told for each of these.
    let hits = sizes.enumerated().map { index, size -> HTML in
      let from = Plot.x((Double(size) - Double(last) / Double(2 * sizes.count)) / Double(last))
      let width = max(Int(Plot.side) / sizes.count, 1)
      let best = optimal.map { ", best replacement \(formatShare($0[size]))" } ?? ""
      let bytes = use.expertBytes != nil ? " (\(label(size)))" : ""
      return """
        <rect class="hit" x="\(from)" y="0" width="\(width)" height="\(Int(Plot.side))" \
        data-tip="\(formatCount(size, "expert"))\(bytes)&#10;LRU \(formatShare(lru[size]))\(best)"/>
        """
    }
    let best: HTML =
      optimal.map { "<g class=\"stroke c2\"><path class=\"line\" d=\"\(line($0))\"/></g>" } ?? ""
    let ticks =
      use.expertBytes.map { Ticks.bytes(to: Double($0) * Double(last), count: 5) }
      ?? Ticks.linear(to: Double(last), count: 5, label: Ticks.plain)
    let firsts = use.cache.firstUseShare.map { formatShare($0) } ?? "–"
    return Self.heading("What a cache of experts would have had")
      + StackedBar.legend(
        [("least recently used goes first (LRU)", "c1")]
          + (optimal == nil ? [] : [("best replacement there is", "c2")]))
      + Plot(
        title: "Hit rate of a cache for experts by its size, least recently used and optimal", height: 220,
        xTicks: ticks,
        yTicks: [0, 0.25, 0.5, 0.75, 1].map { Tick(place: $0, label: "\(Int($0 * 100)) %") },
        xLabel: use.expertBytes == nil ? "experts that it holds" : "bytes of experts that it holds",
        yLabel: "hit rate",
        marks: "\(best)<g class=\"stroke c1\"><path class=\"line\" d=\"\(line(lru))\"/></g>\(hits)"
      ).html
      + "<p class=\"note\">\(firsts) of the uses are the first of their expert, which no cache has.</p>\n"
  }

  private func reuse(_ use: ExpertUse) -> HTML {
    let buckets = use.reuse.buckets
    guard !buckets.isEmpty else { return .empty }
    let uses = buckets.reduce(0) { $0 + Double($1.uses) }
    let rows = buckets.map { bucket -> [DataTable.Field] in
      let name = bucket.distances.map {
        $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)–\($0.upperBound)"
      }
      return [
        DataTable.Field("\(name ?? "first use")", key: Double(bucket.distances?.lowerBound ?? .max)),
        .count(bucket.uses), .share(uses > 0 ? Double(bucket.uses) / uses : nil, bar: true),
        .count(bucket.samples),
        .duration(bucket.meanTime), .decimal(bucket.meanMajorFaults, digits: 2),
      ]
    }
    let relation = use.reuse.timeByDistance
    let verdict =
      switch relation.verdict {
      case .tooFewSamples: "Too few decode steps to tell whether the products take longer then."
      case .nothingVaries: "All experts were used at the same distance: whether it matters cannot be told."
      case .notSeen: "No relation is seen between that and the time of the products."
      case .seen:
        "The products with experts take \((relation.coefficient ?? 0) > 0 ? "longer" : "less") the longer ago that was"
          + (relation.coefficient.map { " (r \(formatDecimal($0, digits: 2)))." } ?? ".")
      }
    return Self.heading("How long ago an expert was used before")
      + DataTable(
        caption: "Uses of experts by the token steps since the last one",
        columns: [
          .init(heading: "steps ago"), .init(heading: "uses"), .init(heading: "share"),
          .init(heading: "layers", hint: "Layers in decode steps whose expert used longest ago is that old"),
          .init(heading: "time of their products", hint: "All MUL_MAT_ID of the layer, on average"),
          .init(heading: "major faults"),
        ], rows: rows, note: verdict
      ).html
  }
}
