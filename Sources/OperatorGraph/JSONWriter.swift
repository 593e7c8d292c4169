import TraceModel

extension OperatorGraph {
  /// The graph as JSON, for programs: one vertex and one edge a line.
  ///
  /// `{"structure":…,"form":"raw"|"collapsed","complete":…,"omitted_edges":…,"nodes":[…],"edges":[…]}`.
  /// A node has `index` (which edges refer to), `kind` (`executed`, `not executed`, `weight`, `cache`,
  /// `input`, `missing`), `name`, `op`, `type`, `shape`, `address` (hexadecimal string), `sources`
  /// (per slot null or `name` and `address`, as in the target), `view_source`, `executed`, `layer`,
  /// `part`, `members` (execution order in the structure) and, where known, `duration_ns`.
  ///
  /// - Parameter durations: nanoseconds by index in the structure's nodes.
  public func json(durations: [Int: Int64] = [:]) -> String {
    let names = Dictionary(
      (structure.nodes + structure.constants).lazy.map { ($0.address, $0.name) },
      uniquingKeysWith: { first, _ in first })
    var out = "{\"structure\":\(structure.number),\"form\":\"\(form.rawValue)\","
    out += "\"complete\":\(structure.isComplete),\"omitted_edges\":\(omittedEdgeCount),\"nodes\":["
    for index in vertices.indices {
      out += index == 0 ? "\n" : ",\n"
      append(vertex: index, names, durations, to: &out)
    }
    out += "\n],\"edges\":["
    for (index, edge) in edges.enumerated() {
      out += index == 0 ? "\n" : ",\n"
      out += "{\"from\":\(edge.from),\"to\":\(edge.to),\"kind\":\"\(edge.kind.rawValue)\""
      if let slot = edge.slot { out += ",\"slot\":\(slot)" }
      out += "}"
    }
    out += "\n]}\n"
    return out
  }

  private func append(
    vertex index: Int, _ names: [UInt64: String], _ durations: [Int: Int64], to out: inout String
  ) {
    let vertex = vertices[index]
    let node = vertex.node
    out += "{\"index\":\(index),\"kind\":\"\(vertex.kind.name)\",\"name\":\(jsonQuoted(node.name)),"
    out += "\"op\":\(jsonQuoted(vertex.op)),\"type\":\(jsonQuoted(node.type)),\"shape\":["
    out += node.shape.map(String.init).joined(separator: ",")
    out += "],\"address\":\(hexadecimal(node.address)),\"sources\":["
    let sources = sources(of: vertex).map { source in
      guard let source else { return "null" }
      return "{\"name\":\(names[source].map(jsonQuoted) ?? "null"),\"address\":\(hexadecimal(source))}"
    }
    out += sources.joined(separator: ",")
    out += "],\"view_source\":\(node.viewSource.map(hexadecimal) ?? "null")"
    out += ",\"executed\":\(vertex.kind == .executed),\"layer\":\(node.layer.map(String.init) ?? "null")"
    out += ",\"part\":\"\(node.part.rawValue)\",\"members\":["
    out += vertex.members.map(String.init).joined(separator: ",")
    out += "]"
    if let duration = duration(of: index, in: durations) { out += ",\"duration_ns\":\(duration)" }
    out += "}"
  }
}

extension Vertex.Kind {
  /// The kind as the JSON names it.
  var name: String {
    switch self {
    case .executed: "executed"
    case .notExecuted: "not executed"
    case .constant(let kind): kind.rawValue
    case .missing: "missing"
    }
  }
}

/// Hexadecimal, in quotes: JSON numbers lose bits beyond 2^53.
private func hexadecimal(_ value: UInt64) -> String {
  "\"0x\(String(value, radix: 16))\""
}

private func jsonQuoted(_ text: String) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "\n": out += "\\n"
    case "\t": out += "\\t"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f:
      let digits = String(scalar.value, radix: 16)
      out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out + "\""
}
