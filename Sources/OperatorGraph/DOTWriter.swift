import Statistics
import TraceModel

/// How a graph is drawn.
public struct DOTOptions: Sendable {
  /// What colours show, where something was measured; without a measurement they show the class of the
  /// operators.
  public var measure = GraphMeasure.time
  /// Draw weights, inputs and caches, each once per layer that uses it.
  public var showsConstants: Bool
  /// Above the picture, such as what the graph is of.
  public var title: String

  public init(measure: GraphMeasure = .time, showsConstants: Bool = false, title: String = "") {
    self.measure = measure
    self.showsConstants = showsConstants
    self.title = title
  }
}

extension OperatorGraph {
  /// The graph in Graphviz's language, to be drawn with `dot -Tsvg`: a box per operator, grouped by layer,
  /// the layers in as many columns as make the picture about as high as it is wide.
  public func dot(_ measurement: GraphMeasurement? = nil, _ options: DOTOptions = DOTOptions()) -> String {
    var writer = DOTWriter(self, measurement, options)
    return writer.text()
  }
}

private struct DOTWriter {
  let graph: OperatorGraph
  let options: DOTOptions
  private let layers: [Int?]
  private let order: [Int?]
  private let figures: [OperatorFigures?]
  private let values: [Double?]
  /// Median times; nanoseconds.
  private let times: [Int64?]
  private let total: Int64
  private let criticalPath: CriticalPath?
  private let isCritical: [Bool]
  /// The vertex that follows on the critical path.
  private let nextOnPath: [Int: Int]
  /// Types of the weights that vertices read, where they are not the vertex's own.
  private let weightTypes: [Int: String]
  private let columns: LayerColumns
  private let graphTime: Int64?
  private var style: DOTStyle

  init(_ graph: OperatorGraph, _ measurement: GraphMeasurement?, _ options: DOTOptions) {
    self.graph = graph
    self.options = options
    layers = graph.drawnLayers()
    order = graph.executionOrder()
    figures = graph.vertices.map { measurement?.figures(of: $0) }
    values = figures.map(options.measure.value)
    times = figures.map { $0?.times.quantile(0.5) }
    total = times.reduce(0) { $0.addingClamped($1 ?? 0) }
    graphTime = measurement?.graphTimes.quantile(0.5)
    // Tensors of the raw form have no edges through shared memory, so no path through them is one of
    // dependencies.
    criticalPath = graph.form == .collapsed ? graph.criticalPath(times) : nil
    let path = criticalPath?.vertices ?? []
    var isCritical = Array(repeating: false, count: graph.vertices.count)
    for vertex in path { isCritical[vertex] = true }
    self.isCritical = isCritical
    nextOnPath = Dictionary(uniqueKeysWithValues: zip(path, path.dropFirst()))
    weightTypes = graph.edges.reduce(into: [:]) { types, edge in
      let source = graph.vertices[edge.from]
      guard source.kind == .constant(.weight), source.node.type != graph.vertices[edge.to].node.type else {
        return
      }
      types[edge.to] = types[edge.to] ?? source.node.type
    }
    columns = LayerColumns(graph, layers)
    let isMeasured = figures.contains { $0 != nil }
    style = DOTStyle(scale: isMeasured ? ColourScale(options.measure, values) : nil)
  }

  mutating func text() -> String {
    var body = ""
    var members: [Int: [Int]] = [:]
    var outside: [Int] = []
    for vertex in graph.vertices.indices where !isConstant(vertex) {
      if let layer = layers[vertex] {
        members[layer, default: []].append(vertex)
      } else {
        outside.append(vertex)
      }
    }
    let (constants, constantEdges) = options.showsConstants ? drawnConstants() : ([:], [])
    for vertex in outside { body += "  " + statement(vertex, id: "n\(vertex)") }
    for use in constants[nil] ?? [] { body += "  " + statement(use.vertex, id: use.id) }
    var column: Int?
    for layer in Set(members.keys).union(constants.keys.compactMap(\.self)).sorted() {
      // A box around each column keeps its layers below each other.
      if !columns.tops.isEmpty, columns.column(of: layer) != column {
        if column != nil { body += "  }\n" }
        column = columns.column(of: layer)
        body += "  subgraph cluster_column_\(column ?? 0) {\n    label=\"\"; style=\"\"; peripheries=0;\n"
      }
      body += "  subgraph \(dotQuoted("cluster_layer_\(layer)")) {\n"
      body += "    label=\(dotQuoted(clusterLabel(layer, members[layer] ?? []))); peripheries=1;"
      body += " style=\"rounded,filled\"; color=\"#b8c0cc\"; fillcolor=\"#f5f7fa\";"
      body += " fontsize=\(14 * columns.textScale);\n"
      for vertex in members[layer] ?? [] { body += "    " + statement(vertex, id: "n\(vertex)") }
      for use in constants[layer] ?? [] { body += "    " + statement(use.vertex, id: use.id) }
      body += "  }\n"
    }
    if column != nil { body += "  }\n" }
    body += edgesText()
    body += constantEdges.joined()
    let first = graph.vertices.indices.first { !isConstant($0) }
    let tops = columns.tops.isEmpty ? first.map { [$0] } ?? [] : columns.tops
    return "digraph operators {\n\(DOTStyle.graphAttributes)"
      + "  fontsize=\(16 * columns.textScale); label=\(dotQuoted(heading, isLeft: true));\n"
      + style.legend(leftOf: tops.map { "n\($0)" }, textScale: columns.textScale) + body + "}\n"
  }

  // MARK: - Constants

  private func isConstant(_ vertex: Int) -> Bool {
    if case .constant = graph.vertices[vertex].kind { return true }
    return false
  }

  private struct Use: Hashable {
    var vertex: Int
    var layer: Int?
    var id: String { "c\(vertex)_\(layer.map(String.init) ?? "x")" }
  }

  /// Constants once per layer that uses them: one box for a mask that every layer reads
  /// would draw lines over the whole picture.
  private func drawnConstants() -> (uses: [Int?: [Use]], edges: [String]) {
    var uses: [Int?: [Use]] = [:]
    var known = Set<Use>()
    var lines: [String] = []
    for edge in graph.edges where isConstant(edge.from) {
      let use = Use(vertex: edge.from, layer: layers[edge.to])
      if known.insert(use).inserted { uses[use.layer, default: []].append(use) }
      let to = isConstant(edge.to) ? Use(vertex: edge.to, layer: layers[edge.to]).id : "n\(edge.to)"
      let attributes = DOTStyle.edgeAttributes(edge.kind, isCritical: false)
      lines.append("  \(use.id) -> \(to)\(attributes);\n")
    }
    return (uses, lines)
  }

  // MARK: - Vertices

  private mutating func statement(_ index: Int, id: String) -> String {
    let vertex = graph.vertices[index]
    var attributes = ["label=\(dotQuoted(label(index)))", "tooltip=\(dotQuoted(tooltip(index)))"]
    if vertex.kind == .executed {
      attributes += style.attributes(
        ofOperator: vertex.op, value: values[index], isCritical: isCritical[index])
    } else {
      attributes += style.attributes(of: vertex.kind)
    }
    return "\(id) [\(attributes.joined(separator: ", "))];\n"
  }

  private func label(_ index: Int) -> String {
    let vertex = graph.vertices[index]
    if vertex.kind == .missing { return "not recorded\n0x\(String(vertex.node.address, radix: 16))" }
    let order = order[index].map { "\($0)  " } ?? ""
    var lines = [order + oneLine(vertex.node.name.isEmpty ? vertex.op : vertex.node.name)]
    // What makes a matrix product slow or fast is the type of its weights.
    let type = weightTypes[index].map { "\($0)→\(vertex.node.type)" } ?? vertex.node.type
    var facts = [oneLine(type), shapeText(vertex.node.shape)]
    if !vertex.node.name.isEmpty, !isConstant(index) { facts.insert(oneLine(vertex.op), at: 0) }
    lines.append(facts.joined(separator: "  "))
    if vertex.kind == .executed, style.scale != nil { lines.append(measuredText(index)) }
    return lines.joined(separator: "\n")
  }

  private func measuredText(_ index: Int) -> String {
    let time = times[index].map { "\(formatDuration($0))  \(share($0))" }
    if options.measure == .time { return time ?? "not recorded" }
    return "\(values[index].map(options.measure.text) ?? "not recorded")\(time.map { "  \($0)" } ?? "")"
  }

  private func tooltip(_ index: Int) -> String {
    let vertex = graph.vertices[index]
    let node = vertex.node
    let members = vertex.members.map(String.init).joined(separator: ", ")
    let bytes = "\(node.byteCount) bytes at 0x\(String(node.address, radix: 16))"
    var lines = [
      oneLine("\(vertex.op) \(node.name)"), "\(oneLine(node.type)) \(shapeText(node.shape)), \(bytes)",
      "node \(members)",
    ]
    if let figures = figures[index] { lines.append(figures.rateText) }
    return lines.joined(separator: "\n")
  }

  private func clusterLabel(_ layer: Int, _ vertices: [Int]) -> String {
    guard total > 0 else { return "layer \(layer)" }
    let time = vertices.reduce(Int64(0)) { $0.addingClamped(times[$1] ?? 0) }
    return "layer \(layer)   \(formatDuration(time))  \(share(time))"
  }

  private var heading: String {
    let operators = graph.vertices.count { $0.kind == .executed }
    let parts = [options.title, "structure \(graph.structure.number), \(formatCount(operators, "operator"))"]
    var lines = [parts.filter { !$0.isEmpty }.joined(separator: " · ")]
    if let criticalPath { lines.append(criticalPath.text(graphTime: graphTime)) }
    lines.append(
      graph.form == .raw
        ? "every tensor, as in the target"
        : "numbers: order of execution · solid: data · hollow arrow: through views"
          + " · dashed: written into shared memory")
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: - Edges

  /// Edges between operators. One that leads to another column ends in a mark there and here: as a line it
  /// would cross the picture.
  private func edgesText() -> String {
    var out = ""
    var marks = Set<String>()
    for edge in graph.edges where !isConstant(edge.from) && !isConstant(edge.to) {
      // Constants give way to these: the chain of operators stays straight. The row of constants above the
      // first operator of a layer must not lie beside the last of the layer before: boxes that share a row
      // stand beside each other.
      let rows = options.showsConstants && layers[edge.from] != layers[edge.to] ? ["minlen=2"] : []
      let attributes = DOTStyle.edgeAttributes(
        edge.kind, isCritical: nextOnPath[edge.from] == edge.to, more: ["weight=4"] + rows)
      guard columns.separates(layers[edge.from], layers[edge.to]) else {
        out += "  n\(edge.from) -> n\(edge.to)\(attributes);\n"
        continue
      }
      let end = layers[edge.to].map { "layer \($0)" } ?? "the end"
      let name = graph.vertices[edge.from].node.name
      let start = oneLine(name.isEmpty ? graph.vertices[edge.from].op : name)
      let place = layers[edge.to].map(String.init) ?? "x"
      let (leaving, coming) = ("out\(edge.from)_\(place)", "in\(edge.from)_\(place)")
      if marks.insert(leaving).inserted {
        out += "  \(leaving) [\(Self.markAttributes), label=\(dotQuoted("to \(end)"))];\n"
        out += "  \(coming) [\(Self.markAttributes), label=\(dotQuoted("from \(start)"))];\n"
        out += "  n\(edge.from) -> \(leaving)\(attributes);\n"
      }
      out += "  \(coming) -> n\(edge.to)\(attributes);\n"
    }
    return out
  }

  private static let markAttributes = "shape=cds, style=filled, fillcolor=\"#ffffff\", fontsize=10"

  private func share(_ duration: Int64) -> String {
    total > 0 ? formatShare(Double(duration) / Double(total)) : ""
  }
}
