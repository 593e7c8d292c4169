extension OperatorGraph {
  /// The layer that each vertex is drawn in.
  ///
  /// Names tell most of them. Tensors that the engine left unnamed stand between two of
  /// the same layer in execution order and are drawn with them. One whose result is used in a single other
  /// layer alone belongs there: llama.cpp's last layer picks the tokens that need logits out of the result of
  /// the layer before.
  func drawnLayers() -> [Int?] {
    var layers = vertices.map(\.node.layer)
    let computed = vertices.indices.filter { !vertices[$0].members.isEmpty }
    var previous: Int?
    var unnamed: [Int] = []
    for index in computed {
      guard let layer = layers[index] else {
        unnamed.append(index)
        continue
      }
      if layer == previous {
        for index in unnamed { layers[index] = layer }
      }
      unnamed = []
      previous = layer
    }
    let outgoing = Adjacency(edges, count: vertices.count, by: \.from)
    // Backwards, so that of several in a row the last one comes first.
    for index in computed.reversed() where layers[index] != nil && vertices[index].node.isNumbered {
      let readers = outgoing[index].map { layers[edges[$0].to] }
      if let reader = readers.first, let layer = reader, readers.allSatisfy({ $0 == layer }) {
        layers[index] = layer
      }
    }
    return layers
  }
}
