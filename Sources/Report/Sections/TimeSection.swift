import Statistics
import TraceModel

/// Where the time goes: kinds of time, operators, parts of the model, nodes, counters, backends.
extension ReportPage {
  var time: Section {
    let lead: HTML =
      "Wall time of the token steps on the thread that computes their graphs. Warm-up steps are left out below the bars."
    return Section(
      id: "time", title: "Where the time goes", lead: lead,
      body: kindsOfTime + parts + operators + nodes + backends + counters + speculation + absentKinds)
  }

  // MARK: - Kinds

  private struct Kind {
    var name: String
    var colour: String
    var value: (StepTime) -> Int64
  }

  private var kinds: [Kind] {
    let graphs =
      summary.hasOperators
      ? [
        Kind(name: "operators", colour: "c1", value: \.operators),
        Kind(name: "barrier waits", colour: "c2", value: \.barrier),
        Kind(name: "graphs of other backends", colour: "c4", value: \.backendGraphs),
        Kind(name: "graph start and end", colour: "c3", value: \.graphOverhead),
        Kind(name: "operators not probed", colour: "c6", value: \.notProbed),
      ] : [Kind(name: "graphs", colour: "c1", value: \.graphs)]
    return graphs + [
      Kind(name: "setup before the graph", colour: "c5", value: \.setup),
      Kind(name: "between graphs", colour: "c6", value: \.betweenGraphs),
      Kind(name: "finish after the graph", colour: "c7", value: \.finish),
    ]
  }

  private var kindsOfTime: HTML {
    guard !summary.phaseTimes.isEmpty else {
      return Self.notRecorded("The trace holds no token step: record a target while it generates.")
    }
    guard summary.hasGraphs else {
      return Self.notRecorded("Only token steps are in this trace: record with --level graph or --level op.")
    }
    let times = summary.phaseTimes.filter { $0.wall > 0 }
    let shown = kinds.filter { kind in times.contains { kind.value($0.time) > 0 } }
    let bars = times.map { time -> HTML in
      var segments = shown.map { kind in
        Segment(
          name: kind.name, colour: kind.colour, value: Double(max(kind.value(time.time), 0)),
          text: formatDuration(kind.value(time.time)))
      }
      segments.append(
        Segment(
          name: "without a name", colour: "none", value: Double(max(time.unaccounted, 0)),
          text: formatDuration(time.unaccounted)))
      return StackedBar(
        label: time.phase.rawValue, segments: segments,
        note: "\(formatDuration(time.wall)) in \(formatCount(time.steps, "step"))"
      ).html
    }
    let level =
      summary.hasOperators
      ? HTML.empty : Self.notRecorded("Operators inside of graphs: record with --level op.")
    return StackedBar.legend(shown.map { ($0.name, $0.colour) }) + "<div class=\"bars\">\(bars)</div>\n"
      + level
  }

  private var parts: HTML {
    guard summary.parts.contains(where: { $0.part != .other }) else {
      guard summary.hasOperators else { return .empty }
      return Self.heading("Parts of the model")
        + Self.notRecorded("Parts are known from the names of tensors: record without --no-structure.")
    }
    let colours: [ModelPart: String] = [
      .attention: "c1", .ffn: "c2", .head: "c3", .embedding: "c4", .other: "c6",
    ]
    func bar(_ label: String, _ share: (Summary.PartShare) -> Double?) -> HTML? {
      let segments = summary.parts.compactMap { part in
        share(part).map {
          Segment(
            name: Self.name(part.part), colour: colours[part.part] ?? "c6", value: $0,
            text: "\(formatShare($0)) of the wall time")
        }
      }
      return segments.isEmpty
        ? nil
        : StackedBar(
          label: label, segments: segments,
          note: "\(formatShare(segments.reduce(0) { $0 + $1.value })) of the wall time"
        ).html
    }
    let bars = [
      bar("prefill", \.prefillShare), bar("decode", \.decodeShare), bar("all", \.share),
    ].compactMap { $0 }
    return Self.heading("Parts of the model, operators only")
      + StackedBar.legend(summary.parts.map { (Self.name($0.part), colours[$0.part] ?? "c6") })
      + "<div class=\"bars\">\(bars)</div>\n"
  }

  private static func name(_ part: ModelPart) -> String { part == .ffn ? "FFN" : part.rawValue }

  // MARK: - Operators and nodes

  private static let shownOperators = 40

  private var operators: HTML {
    guard !summary.operators.isEmpty else { return .empty }
    let rows = summary.operators.prefix(Self.shownOperators).map { operation -> [DataTable.Field] in
      let row = operation.row
      return [
        .name(row.op), .text(row.type), .share(row.share, bar: true), .share(operation.prefillShare),
        .share(operation.decodeShare), .duration(row.totals.total), .duration(row.totals.mean),
        .duration(row.median), .duration(row.percentile95), .count(row.totals.count),
        .duration(row.totals.barrier), .rate(row.bytes, row.totals.total), .rate(row.flops, row.totals.total),
      ]
    }
    let rest = summary.operators.count - rows.count
    return Self.heading("Operators")
      + DataTable(
        caption: "Time by operator type, without waits",
        columns: [
          .init(heading: "operator", isText: true),
          .init(heading: "type", isText: true, hint: "Of the weights for matrix products and row look-ups"),
          .init(heading: "share", hint: "Of the wall time of all token steps but warm-up"),
          .init(heading: "prefill"), .init(heading: "decode"), .init(heading: "total"),
          .init(heading: "mean"), .init(heading: "p50"), .init(heading: "p95"), .init(heading: "count"),
          .init(heading: "barriers behind", hint: "The main thread's waits for the other threads"),
          .init(heading: "GB/s", hint: "Bytes of all tensors read and written over the main thread's time"),
          .init(heading: "GFLOP/s"),
        ], rows: Array(rows),
        note: rest > 0 ? "\(formatCount(rest, "more type")): prof-analyze ops" : ""
      ).html
  }

  private static let shownNodes = 15

  private var nodes: HTML {
    let all = nodeTable(Summary.phases).rows.filter { $0.op != "unknown" }
    guard !all.isEmpty else {
      guard summary.hasOperators else { return .empty }
      return Self.heading("Nodes")
        + Self.notRecorded("Nodes are known from the graph's structure: record without --no-structure.")
    }
    let rows = all.prefix(Self.shownNodes).map { row -> [DataTable.Field] in
      let share = summary.wallTime > 0 ? Double(row.totals.total) / Double(summary.wallTime) : nil
      return [
        .name(row.name.isEmpty ? "(no name)" : row.name), .name(row.op), .text(row.type),
        .text(Self.text(shape: row.shape)), .share(share, bar: true),
        .duration(row.totals.total), .duration(row.totals.mean), .count(row.totals.count),
        .bytes(row.bytes), .rate(row.bytes, row.totals.mean), .rate(row.flops, row.totals.mean),
      ]
    }
    return Self.heading("Nodes")
      + DataTable(
        caption: "The nodes that take most time",
        columns: [
          .init(heading: "node", isText: true), .init(heading: "operator", isText: true),
          .init(heading: "type", isText: true),
          .init(heading: "shape", isText: true, hint: "Elements of the result, innermost first"),
          .init(heading: "share"), .init(heading: "total"), .init(heading: "mean"), .init(heading: "count"),
          .init(heading: "moved", hint: "Bytes read and written by one execution"), .init(heading: "GB/s"),
          .init(heading: "GFLOP/s"),
        ], rows: Array(rows),
        note: all.count > rows.count
          ? "\(formatCount(all.count - rows.count, "more node")): prof-analyze nodes" : ""
      ).html
  }

  /// `576×1`: outer dimensions of one are left out.
  static func text(shape: [Int64]) -> String {
    var shape = shape
    while shape.count > 2, shape.last == 1 { shape.removeLast() }
    return shape.map(String.init).joined(separator: "×")
  }

  func nodeTable(_ phases: Set<Phase>) -> NodeTable {
    NodeTable(statistics.run.operators, phases: phases, counters: summary.facts.counters)
  }
}

extension DataTable.Field {
  /// Thousand millions a second.
  static func rate(_ amount: Int64?, _ nanoseconds: Int64) -> DataTable.Field {
    guard let amount, nanoseconds > 0 else { return .decimal(nil, digits: 2) }
    return .decimal(Double(amount) / Double(nanoseconds), digits: 2)
  }
}
