import TraceModel

/// How a graph is drawn.
public struct DOTOptions: Sendable {
  /// Nanoseconds by index in the structure's nodes. Where given, colours show time
  /// instead of the operator's family, and labels tell time and share.
  public var durations: [Int: Int64]
  /// Draw weights, inputs and caches, each once per layer that uses it.
  public var showsConstants: Bool
  /// Above the picture, such as what the durations are.
  public var title: String

  public init(durations: [Int: Int64] = [:], showsConstants: Bool = false, title: String = "") {
    self.durations = durations
    self.showsConstants = showsConstants
    self.title = title
  }
}

extension OperatorGraph {
  /// The graph in Graphviz's language, to be drawn with `dot -Tsvg`: a box per operator,
  /// grouped by layer.
  public func dot(_ options: DOTOptions = DOTOptions()) -> String {
    DOTWriter(graph: self, options: options).text()
  }
}

private struct DOTWriter {
  let graph: OperatorGraph
  let options: DOTOptions
  private let layers: [Int?]
  private let durations: [Int64?]
  /// Types of the weights that vertices read, where they are not the vertex's own.
  private let weightTypes: [Int: String]
  private let total: Int64
  private let longest: Int64

  init(graph: OperatorGraph, options: DOTOptions) {
    self.graph = graph
    self.options = options
    layers = graph.drawnLayers()
    durations = graph.vertices.indices.map { graph.duration(of: $0, in: options.durations) }
    weightTypes = graph.edges.reduce(into: [:]) { types, edge in
      let source = graph.vertices[edge.from]
      guard source.kind == .constant(.weight), source.node.type != graph.vertices[edge.to].node.type else {
        return
      }
      types[edge.to] = types[edge.to] ?? source.node.type
    }
    total = durations.reduce(0) { $0.addingReportingOverflow($1 ?? 0).partialValue }
    longest = durations.reduce(0) { max($0, $1 ?? 0) }
  }

  func text() -> String {
    var out = """
      digraph operators {
        rankdir=TB; ranksep=0.28; nodesep=0.22; newrank=true;
        fontname="Helvetica"; fontsize=16; labelloc=t; label=\(dotQuoted(heading));
        node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=11, margin="0.12,0.05", \
      color="#00000055"];
        edge [color="#555555", arrowsize=0.6, fontname="Helvetica", fontsize=9];

      """
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
    for vertex in outside { out += "  " + statement(vertex, id: "n\(vertex)") }
    for use in constants[nil] ?? [] { out += "  " + statement(use.vertex, id: use.id) }
    for layer in Set(members.keys).union(constants.keys.compactMap(\.self)).sorted() {
      out += "  subgraph \(dotQuoted("cluster_layer_\(layer)")) {\n"
      out += "    label=\(dotQuoted(clusterLabel(layer, members[layer] ?? [])));"
      out += " style=\"rounded,filled\"; color=\"#b8c0cc\"; fillcolor=\"#f5f7fa\"; fontsize=13;\n"
      for vertex in members[layer] ?? [] { out += "    " + statement(vertex, id: "n\(vertex)") }
      for use in constants[layer] ?? [] { out += "    " + statement(use.vertex, id: use.id) }
      out += "  }\n"
    }
    for edge in graph.edges where !isConstant(edge.from) && !isConstant(edge.to) {
      out += "  n\(edge.from) -> n\(edge.to)\(attributes(of: edge));\n"
    }
    out += constantEdges.joined()
    return out + "}\n"
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
      // Weight 0: constants move to where there is room, and the chain of operators stays straight.
      lines.append("  \(use.id) -> \(to) [weight=0\(edge.kind == .view ? ", arrowhead=empty" : "")];\n")
    }
    return (uses, lines)
  }

  // MARK: - Vertices

  private func statement(_ index: Int, id: String) -> String {
    let vertex = graph.vertices[index]
    var attributes = ["label=\(dotQuoted(label(index)))", "tooltip=\(dotQuoted(tooltip(vertex)))"]
    switch vertex.kind {
    case .executed: attributes.append("fillcolor=\"\(fill(index))\"")
    case .notExecuted: attributes += ["fillcolor=\"#ffffff\"", "style=\"dashed\"", "fontcolor=\"#666666\""]
    case .constant(.weight): attributes += ["shape=note", "style=filled", "fillcolor=\"#e8e8e8\""]
    case .constant(.cache): attributes += ["shape=cylinder", "style=filled", "fillcolor=\"#ffe9a8\""]
    case .constant(.input): attributes += ["shape=ellipse", "style=filled", "fillcolor=\"#dff3df\""]
    case .missing:
      attributes += ["shape=octagon", "style=dashed", "fontcolor=\"#b00020\"", "color=\"#b00020\""]
    }
    if isDark(index) { attributes.append("fontcolor=\"#ffffff\"") }
    return "\(id) [\(attributes.joined(separator: ", "))];\n"
  }

  private func label(_ index: Int) -> String {
    let vertex = graph.vertices[index]
    if vertex.kind == .missing { return "not recorded\n0x\(String(vertex.node.address, radix: 16))" }
    var lines = [oneLine(vertex.node.name.isEmpty ? vertex.op : vertex.node.name)]
    // What makes a matrix product slow or fast is the type of its weights.
    let type = weightTypes[index].map { "\($0)→\(vertex.node.type)" } ?? vertex.node.type
    var facts = [oneLine(type), shapeText(vertex.node.shape)]
    if !vertex.node.name.isEmpty, !isConstant(index) { facts.insert(oneLine(vertex.op), at: 0) }
    lines.append(facts.joined(separator: "  "))
    if let duration = durations[index] {
      lines.append(total > 0 ? "\(timeText(duration))  \(percent(duration))" : timeText(duration))
    }
    return lines.joined(separator: "\n")
  }

  private func tooltip(_ vertex: Vertex) -> String {
    let node = vertex.node
    let members = vertex.members.map(String.init).joined(separator: ", ")
    let bytes = "\(node.byteCount) bytes at 0x\(String(node.address, radix: 16))"
    return
      "\(oneLine("\(vertex.op) \(node.name)"))\n\(node.type) \(shapeText(node.shape)), \(bytes)\nnode \(members)"
  }

  private func clusterLabel(_ layer: Int, _ vertices: [Int]) -> String {
    guard total > 0 else { return "layer \(layer)" }
    let time = vertices.reduce(Int64(0)) { $0.addingReportingOverflow(durations[$1] ?? 0).partialValue }
    return "layer \(layer)   \(timeText(time))  \(percent(time))"
  }

  private var heading: String {
    let operators = graph.vertices.count { $0.kind == .executed }
    var parts = [options.title].filter { !$0.isEmpty }
    parts.append("structure \(graph.structure.number), \(operators) operators")
    if total > 0 { parts.append(timeText(total)) }
    let legend = "solid: data · hollow arrow: through views · dashed: written into shared memory"
    return parts.joined(separator: " · ") + "\n"
      + (graph.form == .raw ? "every tensor, as in the target" : legend)
  }

  // MARK: - Colours

  private func fill(_ index: Int) -> String {
    guard longest > 0 else { return Self.familyColour(graph.vertices[index].op) }
    guard let duration = durations[index] else { return "#ffffff" }
    return Self.heat[heatStep(duration)]
  }

  private func isDark(_ index: Int) -> Bool {
    guard longest > 0, graph.vertices[index].kind == .executed, let duration = durations[index] else {
      return false
    }
    return heatStep(duration) >= 6
  }

  /// Square root of the share of the longest: a few matrix products would leave all others white.
  private func heatStep(_ duration: Int64) -> Int {
    let share = max(0, Double(duration) / Double(longest))
    return min(Self.heat.count - 1, Int(share.squareRoot() * Double(Self.heat.count)))
  }

  private static let heat = [
    "#fff8ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#b30000",
  ]

  private static func familyColour(_ op: String) -> String {
    switch op {
    case _ where op.hasPrefix("MUL_MAT") || op == "OUT_PROD": "#a9cdf0"
    case _ where op.hasPrefix("FLASH_ATTN") || op.hasPrefix("SOFT_MAX"): "#f6b9a5"
    case _ where op.contains("NORM"): "#cfe8c4"
    case _ where op.hasPrefix("ROPE"): "#dcc8ee"
    case "CPY", "CONT", "DUP", "SET_ROWS", "GET_ROWS", "SET", "CONCAT", "REPEAT": "#fbe3a1"
    default: "#f0f0f0"
    }
  }

  private func attributes(of edge: Edge) -> String {
    let thick = durations[edge.to].map { longest > 0 && heatStep($0) >= 6 } ?? false
    switch edge.kind {
    case .data: return thick ? " [penwidth=1.6]" : ""
    case .view: return " [arrowhead=empty]"
    case .memory: return " [style=dashed, color=\"#c26a00\"]"
    }
  }

  // MARK: - Text

  private func percent(_ duration: Int64) -> String {
    "\(fixed(100 * Double(duration) / Double(total), digits: 1)) %"
  }
}

/// A string constant of DOT, to be shown as it is: Graphviz takes backslash sequences and
/// HTML entities in labels for its own. A newline makes a new line.
func dotQuoted(_ text: String) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "&": out += "&amp;"
    case "\n": out += "\\n"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f: out += "\u{fffd}"
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out + "\""
}

/// A name that cannot begin a line of its own: names come from other people's machines.
func oneLine(_ name: String) -> String {
  String(String.UnicodeScalarView(name.unicodeScalars.map { $0 == "\n" ? "␊" : $0 }))
}

/// `576×1`; outer dimensions of one are left out.
func shapeText(_ shape: [Int64]) -> String {
  var shape = shape
  while shape.count > 2, shape.last == 1 { shape.removeLast() }
  return shape.map(String.init).joined(separator: "×")
}

func timeText(_ nanoseconds: Int64) -> String {
  switch nanoseconds.magnitude {
  case ..<1000: "\(nanoseconds) ns"
  case ..<1_000_000: "\(fixed(Double(nanoseconds) / 1e3, digits: 1)) µs"
  case ..<1_000_000_000: "\(fixed(Double(nanoseconds) / 1e6, digits: 2)) ms"
  default: "\(fixed(Double(nanoseconds) / 1e9, digits: 2)) s"
  }
}

/// A number with so many digits behind the point, without Foundation.
func fixed(_ value: Double, digits: Int) -> String {
  var scale: Int64 = 1
  for _ in 0..<digits { scale *= 10 }
  let scaled = (value * Double(scale)).rounded()
  guard scaled.magnitude < 9e18 else { return "\(value)" }
  let magnitude = Int64(scaled.magnitude)
  let sign = scaled < 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(magnitude)" }
  let rest = String(magnitude % scale)
  return "\(sign)\(magnitude / scale).\(String(repeating: "0", count: digits - rest.count))\(rest)"
}
