import Statistics
import TraceModel

extension OperatorGraph {
  /// The graph as JSON, for programs: one vertex and one edge a line.
  ///
  /// `{"structure":…,"form":"raw"|"collapsed","complete":…,"omitted_edges":…,"step":…,"phase":…,"graph_ns":…,
  /// "critical_path":…,"nodes":[…],"edges":[…]}`.
  ///
  /// - `critical_path`: null, or `length_ns`, `operators_ns` (all operators), `graph_ns` (wall time of the
  ///   graph), `complete` (false: without operators on cycles) and `nodes`, the indexes along it.
  /// - A node has `index` (which edges refer to), `kind` (`executed`, `not executed`, `weight`, `cache`,
  ///   `input`, `missing`), `name`, `op`, `type`, `shape`, `address` (hexadecimal string), `sources` (per
  ///   slot null or `name` and `address`, as in the target), `view_source`, `executed`, `layer`, `part`,
  ///   `members` (places in the target's graph), `order` (of execution, from 1), `critical`, and where it was
  ///   recorded `calls`, `duration_ns` (of a call, main thread), `p95_ns`, `bytes`, `flops` (of a call, by
  ///   the work model), `bytes_per_s`, `flops_per_s` and `counters` (of a call, all threads, by name).
  /// - An edge has `from`, `to`, `kind` (`data`, `view`: through views, `memory`: through shared memory) and
  ///   `slot`, the place among the sources of `to`.
  ///
  /// null is what was not recorded or is not known.
  ///
  /// - Parameter counters: the counters to write.
  public func json(_ measurement: GraphMeasurement? = nil, counters: [CounterColumn] = []) -> String {
    let names = Dictionary(
      (structure.nodes + structure.constants).lazy.map { ($0.address, $0.name) },
      uniquingKeysWith: { first, _ in first })
    let figures = vertices.map { measurement?.figures(of: $0) }
    let graphTime = measurement?.graphTimes.quantile(0.5)
    let path = form == .collapsed ? criticalPath(figures.map { $0?.times.quantile(0.5) }) : nil
    let critical = Set(path?.vertices ?? [])
    let order = executionOrder()
    var out = "{\"structure\":\(structure.number),\"form\":\"\(form.rawValue)\","
    out += "\"complete\":\(structure.isComplete),\"omitted_edges\":\(omittedEdgeCount)"
    out += ",\"step\":\(measurement?.step.map { String($0.index) } ?? "null")"
    out += ",\"phase\":\(measurement?.step.map { jsonQuoted($0.phase.rawValue) } ?? "null")"
    out += ",\"graph_ns\":\(jsonNumber(graphTime))"
    out += ",\"critical_path\":"
    out += path.map { "{\($0.json(graphTime: graphTime)),\"nodes\":\(jsonList($0.vertices))}" } ?? "null"
    out += ",\"nodes\":["
    for index in vertices.indices {
      out += index == 0 ? "\n" : ",\n"
      append(vertex: index, names, to: &out)
      out += ",\"order\":\(order[index].map(String.init) ?? "null"),\"critical\":\(critical.contains(index))"
      if let figures = figures[index] { out += "," + figures.json(counters) }
      out += "}"
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

  /// The beginning of a node's object.
  private func append(vertex index: Int, _ names: [UInt64: String], to out: inout String) {
    let vertex = vertices[index]
    let node = vertex.node
    out += "{\"index\":\(index),\"kind\":\"\(vertex.kind.name)\",\"name\":\(jsonQuoted(node.name)),"
    out +=
      "\"op\":\(jsonQuoted(vertex.op)),\"type\":\(jsonQuoted(node.type)),\"shape\":\(jsonList(node.shape))"
    out += ",\"address\":\(hexadecimal(node.address)),\"sources\":["
    let sources = sources(of: vertex).map { source in
      guard let source else { return "null" }
      return "{\"name\":\(names[source].map(jsonQuoted) ?? "null"),\"address\":\(hexadecimal(source))}"
    }
    out += sources.joined(separator: ",")
    out += "],\"view_source\":\(node.viewSource.map(hexadecimal) ?? "null")"
    out += ",\"executed\":\(vertex.kind == .executed),\"layer\":\(node.layer.map(String.init) ?? "null")"
    out += ",\"part\":\"\(node.part.rawValue)\",\"members\":\(jsonList(vertex.members))"
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
