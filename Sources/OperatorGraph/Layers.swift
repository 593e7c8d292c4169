extension OperatorGraph {
  /// The layer that each vertex is drawn in.
  ///
  /// Names tell most of them. Tensors that the engine left unnamed stand between two of
  /// the same layer in execution order and are drawn with them.
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
    return layers
  }
}
