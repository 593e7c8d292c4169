import OperatorGraph
import Statistics
import TraceModel

/// The operators of a layer and what they wait for.
extension ReportPage {
  var graph: Section {
    let (id, title) = ("graph", "A layer as a graph")
    guard let measurement = statistics.graph.measurement else {
      return Section(
        id: id, title: title,
        body: Self.notRecorded(
          "The structure of graphs: record without --no-structure, at --level graph or op."))
    }
    let whole = OperatorGraph(measurement.structure, form: .collapsed, fused: measurement.fused)
    guard let folded = FoldedGraph(whole, measurement) else {
      return Section(
        id: id, title: title,
        body: Self.notRecorded(
          "As far as the names of tensors tell no operator of this graph is in a layer: prof-analyze dag draws it whole."
        ))
    }
    let drawn = folded.vertices.indices.filter { folded.vertices[$0].kind == .executed }
    guard drawn.count <= Self.drawnVertices, folded.edges.count <= Self.drawnEdges else {
      return Section(
        id: id, title: title,
        body:
          "<p class=\"note\">A layer of \(drawn.count) operators is too large for this page: prof-analyze dag --fold-layers</p>"
      )
    }
    let layers = formatCount(folded.layers.count, "layer")
    let steps =
      folded.stepCount > 0
      ? "\(formatCount(folded.stepCount, "\(measurement.step?.phase.rawValue ?? "token") step"))" : "no step"
    return Section(
      id: id, title: title,
      lead: """
        One layer for \(layers), over \(steps): each box an operator with the median time of a call, the darker the \
        longer. What is joined waits for each other; thick is the critical path, which no number of cores shortens by \
        computing branches at the same time.
        """,
      body: drawing(folded, drawn) + critical(folded) + differences(folded) + operatorTable(folded, drawn))
  }

  private static let drawnVertices = 240
  private static let drawnEdges = 2000

  private func drawing(_ graph: FoldedGraph, _ drawn: [Int]) -> HTML {
    // Outside of layers there may be one that takes as long as a whole layer.
    let longest =
      drawn.filter { !graph.vertices[$0].layers.isEmpty }
      .compactMap { graph.vertices[$0].figures?.times.quantile(0.5) }.max() ?? 0
    // What comes from the layer before stands for itself at the top: an edge to it would go up.
    let comesFromBefore = graph.edges.filter { $0.distance > 0 }
    var boxes: [GraphDrawing.Box] = []
    if !comesFromBefore.isEmpty {
      boxes.append(
        GraphDrawing.Box(lines: ["layer before"], kind: "stub", tip: "What the layer before hands on"))
    }
    var boxOfVertex: [Int: Int] = [:]
    for index in drawn {
      boxOfVertex[index] = boxes.count
      boxes.append(box(graph.vertices[index], of: graph.layers.count, longest: longest))
    }
    var edges = Set<GraphEdge>()
    for edge in graph.edges {
      guard let to = boxOfVertex[edge.to], let from = edge.distance > 0 ? 0 : boxOfVertex[edge.from] else {
        continue
      }
      edges.insert(GraphEdge(from: from, to: to, isMemory: edge.kind == .memory, isCritical: edge.isCritical))
    }
    // Of several between two boxes the most telling is drawn.
    var best: [[Int]: GraphEdge] = [:]
    for edge in edges {
      let pair = [edge.from, edge.to]
      if best[pair].map({ edge.weight > $0.weight }) ?? true { best[pair] = edge }
    }
    let shown = best.values.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    return GraphDrawing(
      title: "Operators of a layer and what they wait for: \(drawn.count) operators", boxes: boxes,
      edges: shown.map {
        GraphDrawing.Edge(
          from: $0.from, to: $0.to, kind: ($0.isMemory ? "memory " : "") + ($0.isCritical ? "critical" : ""))
      }
    ).html
      + "<p class=\"note\">Dashed: through memory that one writes and the other reads, such as the key-value cache.</p>\n"
  }

  private struct GraphEdge: Hashable {
    var from: Int
    var to: Int
    var isMemory: Bool
    var isCritical: Bool

    var weight: Int { (isCritical ? 2 : 0) + (isMemory ? 0 : 1) }
  }

  private func box(_ vertex: FoldedVertex, of layers: Int, longest: Int64) -> GraphDrawing.Box {
    let usual = vertex.variants.first
    let types = usual?.weightTypes.joined(separator: "+") ?? ""
    let kindOfWork = vertex.op + (types.isEmpty ? "" : " \(types)")
    var lines =
      vertex.name.isEmpty
      ? [kindOfWork] + vertex.weights.prefix(1).map { "of \($0)" } : [vertex.name, kindOfWork]
    var tip = [
      "\(vertex.op), \(vertex.layers.isEmpty ? "outside of layers" : formatCount(vertex.layers.count, "layer"))"
    ]
    if let usual {
      tip.append("\(usual.result.type) \(Self.text(shape: usual.result.shape))")
    }
    if !vertex.weights.isEmpty { tip.append("weights \(vertex.weights.prefix(3).joined(separator: ", "))") }
    var kind = "outside"
    if let figures = vertex.figures, let median = figures.times.quantile(0.5) {
      lines.append(formatDuration(median))
      let level = longest > 0 ? min(Int((Double(max(median, 0)) / Double(longest)).squareRoot() * 8), 7) : 0
      kind = "h\(level)"
      tip.append(
        "median \(formatDuration(median)), p95 \(formatDuration(figures.times.quantile(0.95) ?? median))")
      if let bandwidth = figures.bandwidth { tip.append("\(formatDecimal(bandwidth / 1e9, digits: 2)) GB/s") }
      if let rate = figures.flopRate { tip.append("\(formatDecimal(rate / 1e9, digits: 2)) GFLOP/s") }
    } else {
      lines.append("time not recorded")
    }
    if !vertex.layers.isEmpty, vertex.layers.count < layers {
      lines.append("in \(vertex.layers.count) of \(layers) layers")
    }
    for outlier in vertex.outliers.prefix(3) {
      tip.append(
        "layer \(outlier.layer): \(formatDuration(outlier.time)) instead of \(formatDuration(outlier.typical))"
      )
    }
    if !vertex.criticalMembers.isEmpty { kind += " critical" }
    return GraphDrawing.Box(lines: lines, kind: kind, tip: tip.joined(separator: "; "))
  }

  private func critical(_ graph: FoldedGraph) -> HTML {
    guard let path = graph.criticalPath, path.total > 0 else { return .empty }
    let share = Double(path.length) / Double(path.total)
    return """
      <p>The critical path of the whole graph takes \(formatDuration(path.length)) of the \(formatDuration(path.total)) \
      that its operators take together (\(formatShare(share))): \
      \(share > 0.9 ? "there is little that could run beside it." : "the rest could run beside it.")</p>

      """
  }

  private static let shownDifferences = 20

  private func differences(_ graph: FoldedGraph) -> HTML {
    guard graph.layers.count > 1 else { return .empty }
    guard !graph.differences.isEmpty else {
      return "<p class=\"note\">All layers are alike in operators, types, shapes and times.</p>\n"
    }
    let items = graph.differences.prefix(Self.shownDifferences).map { "<li>\($0.text)</li>" as HTML }
    let more = graph.differences.count - items.count
    let rest: HTML = more > 0 ? "<li>\(more) more: prof-analyze dag --fold-layers</li>" : ""
    return Self.heading("What differs between layers") + "<ul>\(items)\(rest)</ul>\n"
  }

  private func operatorTable(_ graph: FoldedGraph, _ drawn: [Int]) -> HTML {
    let rows = drawn.map { index -> [DataTable.Field] in
      let vertex = graph.vertices[index]
      let times = vertex.figures?.times
      return [
        .count(vertex.order), .name(vertex.title), .name(vertex.op),
        .text(vertex.variants.first?.weightTypes.joined(separator: "+")),
        .text(vertex.layers.isEmpty ? "outside" : "\(vertex.layers.count)"), .duration(times?.quantile(0.5)),
        .duration(times?.quantile(0.95)), .duration(vertex.timePerGraph),
        .decimal(vertex.figures?.bandwidth.map { $0 / 1e9 }, digits: 2),
        .decimal(vertex.figures?.flopRate.map { $0 / 1e9 }, digits: 2),
      ]
    }
    let table = DataTable(
      caption: "Operators of a layer, and outside of layers",
      columns: [
        .init(heading: "order"), .init(heading: "operator", isText: true),
        .init(heading: "kind", isText: true),
        .init(heading: "weights", isText: true), .init(heading: "layers"), .init(heading: "p50"),
        .init(heading: "p95"), .init(heading: "a graph", hint: "In all layers together, on average"),
        .init(heading: "GB/s"), .init(heading: "GFLOP/s"),
      ], rows: rows
    ).html
    return "<details><summary>The same as a table</summary>\(table)</details>\n"
  }
}
