import Statistics
import TraceModel

extension FoldedGraph {
  /// The folded graph as JSON, for programs: one vertex, edge and difference a line.
  ///
  /// `{"form":"folded","layers":[…],"steps":…,"graph_ns":…,"critical_path":…,
  /// "nodes":[…],"edges":[…],"differences":[…]}`.
  ///
  /// - `critical_path` is that of the whole graph, without `nodes`: see `OperatorGraph.json`.
  /// - A node has `index` (which edges refer to), `kind`, `name` (with `N` for the layer's number), `op`,
  ///   `part`, `type`, `shape`, `weight_types`, `weights` (names), `order` (of execution: in a layer, outside
  ///   in the graph), `layers` (empty outside of layers), `critical_layers` and `critical`; where it was
  ///   recorded `ns_per_graph` (all layers together) and the figures of a node of `OperatorGraph.json`, over
  ///   all layers and steps; `variants` (`layers`, `type`, `shape`, `weight_types`, `sources` with `type` and
  ///   `shape`, `duration_ns`, most frequent first) and `outliers` (`layer`, `duration_ns`, `typical_ns`).
  /// - An edge has `from`, `to`, `kind`, `distance` (1: `to` is in the next layer), `layers` and `critical`.
  /// - A difference has `kind` (`presence`, `weights`, `shape`, `time`), `nodes`, `layers` and `text`.
  ///
  /// null is what was not recorded or is not known.
  ///
  /// - Parameter counters: the counters to write.
  public func json(counters: [CounterColumn] = []) -> String {
    var out = "{\"form\":\"folded\",\"layers\":\(jsonList(layers)),\"steps\":\(stepCount)"
    out += ",\"graph_ns\":\(jsonNumber(graphTime)),\"critical_path\":"
    out += criticalPath.map { "{\($0.json(graphTime: graphTime))}" } ?? "null"
    out += ",\"nodes\":["
    for (index, vertex) in vertices.enumerated() {
      out += index == 0 ? "\n" : ",\n"
      append(index, vertex, counters, to: &out)
    }
    out += "\n],\"edges\":["
    for (index, edge) in edges.enumerated() {
      out += index == 0 ? "\n" : ",\n"
      out += "{\"from\":\(edge.from),\"to\":\(edge.to),\"kind\":\"\(edge.kind.rawValue)\""
      out +=
        ",\"distance\":\(edge.distance),\"layers\":\(jsonList(edge.layers)),\"critical\":\(edge.isCritical)}"
    }
    out += "\n],\"differences\":["
    for (index, difference) in differences.enumerated() {
      out += index == 0 ? "\n" : ",\n"
      out += "{\"kind\":\"\(difference.kind.rawValue)\",\"nodes\":\(jsonList(difference.vertices))"
      out += ",\"layers\":\(jsonList(difference.layers)),\"text\":\(jsonQuoted(difference.text))}"
    }
    return out + "\n]}\n"
  }

  private func append(
    _ index: Int, _ vertex: FoldedVertex, _ counters: [CounterColumn], to out: inout String
  ) {
    let usual = vertex.variants[0]
    out += "{\"index\":\(index),\"kind\":\"\(vertex.kind.name)\",\"name\":\(jsonQuoted(vertex.name))"
    out += ",\"op\":\(jsonQuoted(vertex.op)),\"part\":\"\(vertex.part.rawValue)\""
    out += ",\"type\":\(jsonQuoted(usual.result.type)),\"shape\":\(jsonList(usual.result.shape))"
    out += ",\"weight_types\":\(strings(usual.weightTypes)),\"weights\":\(strings(vertex.weights))"
    out += ",\"order\":\(vertex.order.map(String.init) ?? "null"),\"layers\":\(jsonList(vertex.layers))"
    out += ",\"critical_layers\":\(jsonList(vertex.criticalLayers))"
    out += ",\"critical\":\(!vertex.criticalMembers.isEmpty)"
    if let figures = vertex.figures {
      out += ",\"ns_per_graph\":\(jsonNumber(vertex.timePerGraph)),\(figures.json(counters))"
    }
    out += ",\"variants\":[" + vertex.variants.map(json).joined(separator: ",") + "],\"outliers\":["
    out += vertex.outliers.map {
      "{\"layer\":\($0.layer),\"duration_ns\":\($0.time),\"typical_ns\":\($0.typical)}"
    }.joined(separator: ",")
    out += "]}"
  }

  private func json(_ variant: LayerVariant) -> String {
    let sources = variant.sources.map { "{\"type\":\(jsonQuoted($0.type)),\"shape\":\(jsonList($0.shape))}" }
    return "{\"layers\":\(jsonList(variant.layers)),\"type\":\(jsonQuoted(variant.result.type))"
      + ",\"shape\":\(jsonList(variant.result.shape)),\"weight_types\":\(strings(variant.weightTypes))"
      + ",\"sources\":[\(sources.joined(separator: ","))]"
      + ",\"duration_ns\":\(jsonNumber(variant.figures?.times.quantile(0.5)))}"
  }

  private func strings(_ texts: [String]) -> String {
    "[" + texts.map(jsonQuoted).joined(separator: ",") + "]"
  }
}
