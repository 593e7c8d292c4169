import Statistics

/// How the operators of a drawing look: shape by class, colour by what was measured, a thick border on the
/// critical path.
struct DOTStyle {
  /// nil where nothing was measured: colours then show the class.
  let scale: ColourScale?
  private var classes: Set<OperatorClass> = []
  private var kinds: Set<String> = []
  private var hasUnmeasured = false
  private var hasCritical = false

  static let criticalColour = "#1a237e"

  init(scale: ColourScale?) { self.scale = scale }

  static let graphAttributes = """
      rankdir=TB; ranksep=0.25; nodesep=0.18; newrank=true; nslimit=2; nslimit1=2; mclimit=0.5;
      fontname="Helvetica"; labelloc=t; labeljust=l;
      node [shape=box, style=filled, fontname="Helvetica", fontsize=11, margin="0.08,0.04", height=0.3, \
    color="#00000066"];
      edge [color="#555555", arrowsize=0.6, fontname="Helvetica", fontsize=9];

    """

  /// The attributes of an operator; notes what the legend has to explain.
  mutating func attributes(ofOperator op: String, value: Double?, isCritical: Bool) -> [String] {
    let operatorClass = OperatorClass(op: op)
    classes.insert(operatorClass)
    var out = [Self.shape(operatorClass)]
    var styles = Self.styles(operatorClass)
    if let scale {
      if let value {
        out.append("fillcolor=\"\(scale.colour(value))\"")
        if scale.isDark(value) { out.append("fontcolor=\"#ffffff\"") }
      } else {
        hasUnmeasured = true
        styles.append("dashed")
        out += ["fillcolor=\"#ffffff\"", "fontcolor=\"#666666\""]
      }
    } else {
      out.append("fillcolor=\"\(Self.colour(operatorClass))\"")
    }
    if isCritical {
      hasCritical = true
      out += ["penwidth=2.5", "color=\"\(Self.criticalColour)\""]
    }
    out.append("style=\"\(styles.joined(separator: ","))\"")
    return out
  }

  /// The attributes of what is no operator; notes what the legend has to explain.
  mutating func attributes(of kind: Vertex.Kind) -> [String] {
    kinds.insert(kind.name)
    return Self.attributes(of: kind)
  }

  private static func attributes(of kind: Vertex.Kind) -> [String] {
    switch kind {
    case .executed: []
    case .notExecuted: ["fillcolor=\"#ffffff\"", "style=\"dashed\"", "fontcolor=\"#666666\""]
    case .constant(.weight): ["shape=note", "fillcolor=\"#e8e8e8\""]
    case .constant(.cache): ["shape=cylinder", "fillcolor=\"#ffe9a8\""]
    case .constant(.input): ["shape=ellipse", "fillcolor=\"#dff3df\""]
    case .missing: ["shape=box", "style=dashed", "fontcolor=\"#b00020\"", "color=\"#b00020\""]
    }
  }

  static func edgeAttributes(_ kind: Edge.Kind, isCritical: Bool, more: [String] = []) -> String {
    var out = more
    switch kind {
    case .data: break
    case .view: out.append("arrowhead=empty")
    case .memory: out.append("style=dashed")
    }
    if isCritical {
      out += ["penwidth=2.5", "color=\"\(criticalColour)\""]
    } else if kind == .memory {
      out.append("color=\"#c26a00\"")
    }
    return out.isEmpty ? "" : " [\(out.joined(separator: ", "))]"
  }

  // MARK: - Legend

  /// A cluster at the left that explains what was drawn so far, and what keeps the columns right of it in
  /// order.
  ///
  /// - Parameter tops: the first vertex of each column.
  func legend(leftOf tops: [String], textScale: Int = 1) -> String {
    var entries: [(id: String, label: String, attributes: [String])] = []
    for operatorClass in OperatorClass.allCases where classes.contains(operatorClass) {
      let fill = scale == nil ? Self.colour(operatorClass) : "#ffffff"
      let style = Self.styles(operatorClass).joined(separator: ",")
      entries.append(
        (
          "class_\(entries.count)", operatorClass.rawValue,
          [Self.shape(operatorClass), "fillcolor=\"\(fill)\"", "style=\"\(style)\""]
        ))
    }
    for kind in Self.explained where kinds.contains(kind.name) {
      let label = kind == .notExecuted ? "not executed" : kind.name
      entries.append(("kind_\(entries.count)", label, Self.attributes(of: kind)))
    }
    if hasUnmeasured {
      let attributes = ["fillcolor=\"#ffffff\"", "fontcolor=\"#666666\"", "style=\"filled,dashed\""]
      entries.append(("unmeasured", "not recorded", attributes))
    }
    if hasCritical {
      let attributes = ["fillcolor=\"#ffffff\"", "penwidth=2.5", "color=\"\(Self.criticalColour)\""]
      entries.append(("critical", "critical path", attributes))
    }
    // A graph of nothing has nothing to explain; a statement without a vertex is none.
    guard scale != nil || !entries.isEmpty else { return "" }
    var out = "  subgraph cluster_legend {\n    label=\"\"; style=\"rounded\"; color=\"#b8c0cc\";\n"
    var ids: [String] = []
    if let scaleLabel = scaleLabel(textScale) {
      ids.append("legend_scale")
      out += "    legend_scale [shape=plaintext, style=\"\", label=<\(scaleLabel)>];\n"
    }
    for entry in entries {
      ids.append("legend_\(entry.id)")
      let attributes = ["label=\(dotQuoted(entry.label))", "fontsize=\(10 * textScale)"] + entry.attributes
      out += "    legend_\(entry.id) [\(attributes.joined(separator: ", "))];\n"
    }
    out += "    \(ids.joined(separator: " -> ")) [style=invis, weight=100];\n  }\n"
    // Only between vertices outside of clusters does Graphviz keep to the order that edges within a rank ask
    // for.
    let anchors = tops.indices.map { "anchor_\($0)" }
    for (anchor, top) in zip(anchors, tops) {
      out +=
        "  \(anchor) [style=invis, shape=point, width=0.01, label=\"\"]; \(anchor) -> \(top) [style=invis];\n"
    }
    let row = ids.prefix(1) + anchors
    return out + "  { rank=same; \(row.joined(separator: " -> ")) [style=invis]; }\n"
  }

  private static let explained: [Vertex.Kind] = [
    .notExecuted, .constant(.weight), .constant(.cache), .constant(.input), .missing,
  ]

  /// The colours with the values that they begin at.
  private func scaleLabel(_ textScale: Int) -> String? {
    guard let scale else { return nil }
    let title = htmlQuoted(oneLine(scale.measure.title))
    let size = "point-size=\"\(10 * textScale)\""
    var rows = "<tr><td border=\"0\" colspan=\"2\"><font \(size)>\(title)</font></td></tr>"
    if let maximum = scale.maximum {
      for (index, (bound, colour)) in zip(scale.bounds, scale.colours).enumerated() {
        let end = index + 1 < scale.bounds.count ? scale.bounds[index + 1] : maximum
        let text = "\(scale.measure.text(bound)) – \(scale.measure.text(end))"
        rows += "<tr><td bgcolor=\"\(colour)\" width=\"\(24 * textScale)\"></td>"
        rows += "<td border=\"0\" align=\"left\"><font \(size)>\(htmlQuoted(text))</font></td></tr>"
      }
    } else {
      rows += "<tr><td border=\"0\" colspan=\"2\"><font \(size)>no value above 0</font></td></tr>"
    }
    return "<table border=\"0\" cellborder=\"1\" cellspacing=\"0\">\(rows)</table>"
  }

  // MARK: - Classes

  /// Shapes that waste little room around three lines of text.
  private static func shape(_ operatorClass: OperatorClass) -> String {
    switch operatorClass {
    case .matrixProduct: "shape=box"
    case .attention: "shape=hexagon"
    case .normalisation: "shape=octagon"
    case .position: "shape=box3d"
    case .elementWise: "shape=box"
    case .dataMovement: "shape=tab"
    case .routing: "shape=box"
    case .recurrence: "shape=component"
    case .other: "shape=underline"
    }
  }

  private static func styles(_ operatorClass: OperatorClass) -> [String] {
    switch operatorClass {
    case .elementWise: ["filled", "rounded"]
    case .routing: ["filled", "diagonals"]
    default: ["filled"]
    }
  }

  private static func colour(_ operatorClass: OperatorClass) -> String {
    switch operatorClass {
    case .matrixProduct: "#a9cdf0"
    case .attention: "#f6b9a5"
    case .normalisation: "#cfe8c4"
    case .position: "#dcc8ee"
    case .dataMovement: "#fbe3a1"
    case .routing: "#f7c6dd"
    case .recurrence: "#bfe5e1"
    case .elementWise, .other: "#f0f0f0"
    }
  }
}
