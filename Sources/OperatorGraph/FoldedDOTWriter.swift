import Statistics
import TraceModel

extension FoldedGraph {
  /// The folded graph in Graphviz's language: one layer, what is outside of layers, and what differs between
  /// layers.
  public func dot(_ options: DOTOptions = DOTOptions()) -> String {
    var writer = FoldedDOTWriter(self, options)
    return writer.text()
  }
}

private struct FoldedDOTWriter {
  let graph: FoldedGraph
  let options: DOTOptions
  private let total: Int64
  private var style: DOTStyle
  private var hasPartial = false

  init(_ graph: FoldedGraph, _ options: DOTOptions) {
    self.graph = graph
    self.options = options
    total = graph.vertices.reduce(0) { $0.addingClamped($1.timePerGraph ?? 0) }
    let values = graph.vertices.map { options.measure.value($0.figures) }
    let isMeasured = graph.vertices.contains { $0.figures != nil }
    style = DOTStyle(scale: isMeasured ? ColourScale(options.measure, values) : nil)
  }

  mutating func text() -> String {
    var outside = ""
    var inside = ""
    for (index, vertex) in graph.vertices.enumerated() where isDrawn(index) {
      if vertex.layers.isEmpty {
        outside += "  " + statement(index)
      } else {
        inside += "    " + statement(index)
      }
    }
    var body = outside
    body += "  subgraph cluster_layer {\n    label=\(dotQuoted(clusterLabel)); labeljust=l;"
    body += " style=\"rounded,filled\"; color=\"#b8c0cc\"; fillcolor=\"#f5f7fa\"; fontsize=14;\n"
    let (ports, edges) = edgesText()
    body += inside + ports + "  }\n" + edges
    let top = graph.vertices.indices.first { graph.vertices[$0].kind == .executed }
    return "digraph layer {\n\(DOTStyle.graphAttributes)"
      + "  fontsize=16; label=\(dotQuoted(heading, isLeft: true));\n"
      + style.legend(leftOf: top.map { ["n\($0)"] } ?? []) + body + "}\n"
  }

  private func isDrawn(_ index: Int) -> Bool {
    switch graph.vertices[index].kind {
    case .constant: options.showsConstants
    default: true
    }
  }

  // MARK: - Vertices

  private mutating func statement(_ index: Int) -> String {
    let vertex = graph.vertices[index]
    var attributes = ["label=\(dotQuoted(label(vertex)))"]
    if vertex.kind == .executed {
      attributes += style.attributes(
        ofOperator: vertex.op, value: options.measure.value(vertex.figures),
        isCritical: !vertex.criticalMembers.isEmpty)
      if isPartial(vertex) { attributes.append("peripheries=2") }
    } else {
      attributes += style.attributes(of: vertex.kind)
    }
    if let figures = vertex.figures { attributes.append("tooltip=\(dotQuoted(figures.rateText))") }
    return "n\(index) [\(attributes.joined(separator: ", "))];\n"
  }

  private func isPartial(_ vertex: FoldedVertex) -> Bool {
    !vertex.layers.isEmpty && vertex.layers.count < graph.layers.count
  }

  private func label(_ vertex: FoldedVertex) -> String {
    if vertex.kind == .missing { return "not recorded" }
    let order = vertex.order.map { "\($0)  " } ?? ""
    var lines = [order + oneLine(vertex.name.isEmpty ? vertex.op : vertex.name)]
    if vertex.name.isEmpty, let weights = vertex.weights.first { lines.append(oneLine("of \(weights)")) }
    let usual = vertex.variants[0]
    let types = usual.weightTypes.filter { $0 != usual.result.type }.joined(separator: "+")
    var facts = [
      oneLine(types.isEmpty ? usual.result.type : "\(types)→\(usual.result.type)"),
      shapeText(usual.result.shape),
    ]
    if !vertex.name.isEmpty, vertex.kind == .executed { facts.insert(oneLine(vertex.op), at: 0) }
    lines.append(facts.joined(separator: "  "))
    if vertex.kind == .executed {
      if style.scale != nil { lines += measuredLines(vertex) }
      lines += differenceLines(vertex)
    }
    return lines.joined(separator: "\n")
  }

  private func measuredLines(_ vertex: FoldedVertex) -> [String] {
    guard let figures = vertex.figures, let p50 = figures.times.quantile(0.5),
      let p95 = figures.times.quantile(0.95)
    else { return ["not recorded"] }
    var times = "p50 \(formatDuration(p50))  p95 \(formatDuration(p95))"
    if let time = vertex.timePerGraph, total > 0 {
      times += "  \(formatShare(Double(time) / Double(total)))"
    }
    if options.measure == .time { return [times] }
    return [options.measure.value(figures).map(options.measure.text) ?? "not recorded", times]
  }

  private func differenceLines(_ vertex: FoldedVertex) -> [String] {
    var lines: [String] = []
    if isPartial(vertex) { lines.append("only in \(layersText(vertex.layers))") }
    for variant in vertex.variants.dropFirst().prefix(3) {
      let types = variant.weightTypes.joined(separator: "+")
      let form =
        variant.weightTypes == vertex.variants[0].weightTypes
        ? "\(variant.result.type) \(shapeText(variant.result.shape))" : types
      let time = variant.figures?.times.quantile(0.5).map { ": p50 \(formatDuration($0))" } ?? ""
      lines.append("\(oneLine(form)) in \(layersText(variant.layers))\(time)")
    }
    for outlier in vertex.outliers.prefix(3) {
      lines.append("layer \(outlier.layer): \(formatDuration(outlier.time))")
    }
    if vertex.outliers.count > 3 { lines.append("\(vertex.outliers.count - 3) more layers stand out") }
    return lines
  }

  // MARK: - Text around

  private var clusterLabel: String {
    let names = layersText(graph.layers)
    var text =
      graph.layers.count == 1
      ? "\(names), the only one" : "one layer for \(graph.layers.count): \(names)"
    let time = graph.vertices.reduce(Int64(0)) {
      $1.layers.isEmpty ? $0 : $0.addingClamped($1.timePerGraph ?? 0)
    }
    if total > 0 {
      let share = formatShare(Double(time) / Double(total))
      text += " · together \(formatDuration(time)), \(share) of the operators' time"
    }
    return text
  }

  private var heading: String {
    var lines = [options.title].filter { !$0.isEmpty }
    if let path = graph.criticalPath { lines.append(path.text(graphTime: graph.graphTime)) }
    lines.append(
      "numbers: order of execution · solid: data · hollow arrow: through views"
        + " · dashed: written into shared memory"
        + (graph.layers.count > 1 ? " · double border: not in all layers" : ""))
    if graph.layers.count > 1 {
      lines.append(
        graph.differences.isEmpty ? "all layers are alike" : "what differs between layers:")
    }
    lines += graph.differences.prefix(8).map { "    \(clipped($0.text))" }
    if graph.differences.count > 8 { lines.append("    \(graph.differences.count - 8) more") }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Names in a text of differences may be of any length.
  private func clipped(_ text: String) -> String {
    text.unicodeScalars.count > 160
      ? String(String.UnicodeScalarView(text.unicodeScalars.prefix(160))) + "…" : text
  }

  // MARK: - Edges

  /// Edges, and the marks inside of the layer that stand for the result of the layer before: what goes from
  /// layer to layer goes there once, and so does what the first layer has instead.
  private func edgesText() -> (ports: String, edges: String) {
    let drawn = graph.edges.filter { isDrawn($0.from) && isDrawn($0.to) }
    /// Whether a way to the mark is critical, by its vertex.
    var ports: [Int: Bool] = [:]
    /// Edges from the layer before to each vertex.
    var carried: [Int: [FoldedEdge]] = [:]
    for edge in drawn where edge.distance == 1 {
      ports[edge.from] = ports[edge.from, default: false] || edge.isCritical
      carried[edge.to, default: []].append(edge)
    }
    var text = ""
    /// Ways from outside to the mark, by both ends, and the layers that then have theirs from the mark.
    var entries: [[Int]: FoldedEdge] = [:]
    var entering: [[Int]: [Int]] = [:]
    for edge in drawn where edge.distance != 1 {
      if let other = carried[edge.to]?.first(where: { isInstead(edge, of: $0) }) {
        let ends = [edge.from, other.from]
        entries[ends, default: edge].isCritical = edge.isCritical || entries[ends]?.isCritical ?? false
        entering[[other.from, other.to], default: []] += edge.layers
      } else {
        text += "  n\(edge.from) -> n\(edge.to)\(attributes(of: edge));\n"
      }
    }
    for var edge in drawn where edge.distance == 1 {
      edge.layers = Set(edge.layers).union(entering[[edge.from, edge.to]] ?? []).sorted()
      let label = partLabel(edge, of: graph.vertices[edge.to].layers.count)
      text += "  p\(edge.from) -> n\(edge.to)\(attributes(of: edge, label + ["weight=4"]));\n"
    }
    for (ends, edge) in entries.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
      let label = "label=\(dotQuoted(layersText(edge.layers)))"
      text += "  n\(ends[0]) -> p\(ends[1])\(attributes(of: edge, [label, "weight=4"]));\n"
    }
    var marks = ""
    for (port, isCritical) in ports.sorted(by: { $0.key < $1.key }) {
      let label = oneLine("\(graph.vertices[port].title) of the layer before")
      marks += "    p\(port) [shape=cds, fillcolor=\"#ffffff\", fontsize=10, label=\(dotQuoted(label))];\n"
      let attributes = DOTStyle.edgeAttributes(
        .data, isCritical: isCritical, more: ["constraint=false", "label=\"next layer\""])
      text += "  n\(port) -> p\(port)\(attributes);\n"
    }
    return (marks, text)
  }

  /// True where an edge from outside gives layers what others have from the layer before.
  private func isInstead(_ edge: FoldedEdge, of carried: FoldedEdge) -> Bool {
    graph.vertices[edge.from].kind == .executed && graph.vertices[edge.from].layers.isEmpty
      && edge.kind == carried.kind && Set(edge.layers).isDisjoint(with: carried.layers)
  }

  private func attributes(of edge: FoldedEdge) -> String {
    let to = graph.vertices[edge.to]
    let from = graph.vertices[edge.from]
    if edge.distance != 0 {
      let label = "label=\(dotQuoted("\(edge.distance) layers on"))"
      return attributes(of: edge, ["constraint=false", label])
    }
    let label = partLabel(edge, of: (to.layers.isEmpty ? from : to).layers.count)
    return attributes(of: edge, label + (from.kind == .executed ? ["weight=4"] : []))
  }

  private func attributes(of edge: FoldedEdge, _ more: [String]) -> String {
    DOTStyle.edgeAttributes(edge.kind, isCritical: edge.isCritical, more: more)
  }

  /// Names the layers of an edge that not all of them have.
  private func partLabel(_ edge: FoldedEdge, of count: Int) -> [String] {
    edge.layers.count < count ? ["label=\(dotQuoted(layersText(edge.layers)))"] : []
  }
}
