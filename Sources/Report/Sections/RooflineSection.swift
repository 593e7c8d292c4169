import Statistics
import TraceModel

/// What the operators reach of what the machine can do.
extension ReportPage {
  private static let shownRooflines = 3

  var roofline: Section {
    let (id, title) = ("roofline", "Roofline")
    guard !summary.rooflines.isEmpty else {
      return Section(
        id: id, title: title, body: Self.notRecorded("The trace holds no token step of a known length."))
    }
    // The phase that generates first.
    let rooflines = summary.rooflines.sorted {
      ($0.phase == mainPhase ? 0 : 1) < ($1.phase == mainPhase ? 0 : 1)
    }
    let parts = rooflines.prefix(Self.shownRooflines).compactMap { roofline -> HTML? in
      guard let chart = RooflineChart(roofline) else { return nil }
      return Self.heading(
        roofline.phase.rawValue.prefix(1).uppercased() + roofline.phase.rawValue.dropFirst())
        + chart.html + table(roofline)
    }
    let ceilings = summary.rooflines.contains { $0.model.ceilings != nil }
    guard !parts.isEmpty else {
      return Section(
        id: id, title: title,
        body: Self.notRecorded(
          "What operators move and compute is known from the graph's structure: record without --no-structure, at"
            + " --level op."))
    }
    return Section(
      id: id, title: title,
      lead: """
        Each dot is a node, the larger the more time it takes: the farther to the right, the more it computes with each \
        byte that it moves; the higher, the faster. What touches a slope is limited by memory, what touches a level by \
        the cores. Rings are operator types. Bytes and operations are modelled from shapes and types.
        """,
      body: (ceilings ? machine : withoutCeilings) + legend(ceilings) + parts.joined())
  }

  private var withoutCeilings: HTML {
    Self.notRecorded(
      "What this machine can do at most: run pi-record calibrate on it, or give its file to prof-analyze report with"
        + " --ceilings. Without it the dots have nothing above them.")
  }

  private func legend(_ hasCeilings: Bool) -> HTML {
    let whole = ("the whole step", "ink")
    guard hasCeilings else { return StackedBar.legend([whole]) }
    return StackedBar.legend([
      whole, ("memory-bound", RooflineChart.colour(.memory)),
      ("compute-bound", RooflineChart.colour(.compute)),
      ("waiting and starting", RooflineChart.colour(.overhead)),
      ("cannot tell", RooflineChart.colour(.unclear)),
    ])
  }

  private var machine: HTML {
    guard let ceilings = summary.rooflines.compactMap(\.model.ceilings).last else { return .empty }
    var memory = formatRate(ceilings.memory, "B/s")
    if let usual = ceilings.usualPages, usual < ceilings.memory * 0.95 {
      memory += ", \(formatRate(usual, "B/s")) in pages of the usual size"
    }
    var list: [(String, HTML)] = [
      (
        "measured with",
        "\(formatCount(ceilings.threads, "thread"))\(ceilings.remark.map { "; \($0)" } ?? "")"
      ),
      ("reads memory", "\(memory)"),
    ]
    if let cache = ceilings.cache {
      let size = ceilings.cacheBytes.map { " of \(formatBytes($0))" } ?? ""
      list.append(("reads its last-level cache\(size)", "\(formatRate(cache, "B/s"))"))
    }
    for work in [Calibration.Work.f32, .f16, .int8] {
      guard let rate = ceilings.arithmetic[work] else { continue }
      list.append(("computes \(work.rawValue)", "\(formatRate(rate, work == .int8 ? "OP/s" : "FLOP/s"))"))
    }
    if ceilings.isDisturbed {
      list.append(("disturbed", "other programs ran while this was measured: the machine may do better"))
    }
    return Self.list(list)
  }

  private static let shownPoints = 16

  private func table(_ roofline: PhaseRoofline) -> HTML {
    let rows = roofline.operators.sorted { $0.performance.elapsed > $1.performance.elapsed }
      .prefix(Self.shownPoints).map { row -> [DataTable.Field] in
        let performance = row.performance
        let bound: HTML =
          performance.bound.map { "<i class=\"swatch \(RooflineChart.colour($0))\"></i>\(Self.name($0))" }
          ?? "–"
        return [
          .name(row.op), .text(row.type),
          .share(Double(performance.elapsed) / Double(max(roofline.whole.elapsed, 1)), bar: true),
          .decimal(performance.intensity, digits: 2), .speed(performance.bytesPerSecond, "B/s"),
          .share(performance.memoryShare), .speed(performance.flopsPerSecond, "FLOP/s"),
          .share(performance.computeShare), .decimal(performance.imbalance, digits: 2),
          DataTable.Field(bound),
        ]
      }
    return DataTable(
      caption: "Operator types of \(roofline.phase.rawValue) beside the ceilings, with their waits",
      columns: [
        .init(heading: "operator", isText: true), .init(heading: "type", isText: true),
        .init(heading: "share"),
        .init(heading: "FLOP/byte"), .init(heading: "moves"), .init(heading: "of memory"),
        .init(heading: "computes"),
        .init(heading: "of the peak"),
        .init(heading: "imbalance", hint: "The slowest thread's time over the mean of all"),
        .init(heading: "limited by", isText: true),
      ], rows: Array(rows),
      note: roofline.operators.contains { ($0.performance.memoryShare ?? 0) > 1 }
        ? "More than all of memory's speed comes from nearer caches." : ""
    ).html
  }

  private static func name(_ bound: Bound) -> String {
    switch bound {
    case .memory: "memory"
    case .compute: "the cores"
    case .overhead: "waiting, starting"
    case .unclear: "cannot tell"
    }
  }
}

extension DataTable.Field {
  static func speed(_ value: Double?, _ unit: String) -> DataTable.Field {
    value.map { DataTable.Field("\(formatRate($0, unit))", key: $0) } ?? .decimal(nil, digits: 0)
  }
}
