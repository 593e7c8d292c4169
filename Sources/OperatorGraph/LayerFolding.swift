import Statistics
import TraceModel

extension FoldedGraph {
  /// Folds a graph.
  ///
  /// - Parameter graph: in the collapsed form, of the measurement's structure.
  /// - Returns: nil where no operator is in a layer, as far as names tell.
  public init?(_ graph: OperatorGraph, _ measurement: GraphMeasurement) {
    var folding = LayerFolding(graph, measurement)
    guard !folding.layers.isEmpty else { return nil }
    self.init()
    layers = folding.layers
    stepCount = measurement.stepCount
    graphTime = measurement.graphTimes.quantile(0.5)
    vertices = folding.vertices()
    criticalPath = graph.criticalPath(folding.medians)
    let critical = Set(criticalPath?.vertices ?? [])
    for index in vertices.indices {
      vertices[index].criticalMembers = vertices[index].members.filter(critical.contains)
    }
    edges = folding.edges(along: criticalPath?.vertices ?? [])
    differences = LayerDifference.all(of: vertices, layers: layers)
  }
}

private struct LayerFolding {
  let graph: OperatorGraph
  /// The layers that have operators, ascending.
  let layers: [Int]
  /// Median time of each vertex, nanoseconds.
  let medians: [Int64?]

  private let figures: [OperatorFigures?]
  private let tensors: TensorIndex
  private let layerOfVertex: [Int?]
  private var foldedOfVertex: [Int]

  init(_ graph: OperatorGraph, _ measurement: GraphMeasurement) {
    self.graph = graph
    tensors = TensorIndex(graph.structure)
    figures = graph.vertices.map(measurement.figures)
    medians = figures.map { $0?.times.quantile(0.5) }
    layerOfVertex = graph.drawnLayers()
    var layers = Set<Int>()
    for (vertex, layer) in layerOfVertex.enumerated() {
      if let layer, !graph.vertices[vertex].members.isEmpty { layers.insert(layer) }
    }
    self.layers = layers.sorted()
    foldedOfVertex = Array(repeating: -1, count: graph.vertices.count)
  }

  // MARK: - Vertices

  mutating func vertices() -> [FoldedVertex] {
    var groups = operatorGroups()
    groups += constantGroups()
    var out: [FoldedVertex] = []
    var orderInLayer = 0
    for group in groups {
      var vertex = fold(group)
      let first = group[0]
      if vertex.kind == .executed {
        if vertex.layers.isEmpty {
          // Operators are the first vertices, in order.
          vertex.order = first + 1
        } else {
          orderInLayer += 1
          vertex.order = orderInLayer
        }
      }
      for member in group { foldedOfVertex[member] = out.count }
      out.append(vertex)
    }
    return out
  }

  /// Vertices that are the same operator, in order of layers; the groups in order of execution.
  private func operatorGroups() -> [[Int]] {
    let computed = graph.vertices.indices.filter { !graph.vertices[$0].members.isEmpty }
    var ofLayer: [Int: [Int]] = [:]
    for vertex in computed {
      if let layer = layerOfVertex[vertex] { ofLayer[layer, default: []].append(vertex) }
    }
    var alignment = LayerAlignment()
    var groups: [[Int]] = []
    for layer in layers {
      let vertices = ofLayer[layer] ?? []
      let slots = alignment.add(vertices.map(key))
      for (vertex, slot) in zip(vertices, slots) {
        while groups.count <= slot { groups.append([]) }
        groups[slot].append(vertex)
      }
    }
    let firstInLayer = computed.first { layerOfVertex[$0] != nil } ?? 0
    let outside = computed.filter { layerOfVertex[$0] == nil }
    return outside.filter { $0 < firstInLayer }.map { [$0] } + alignment.order.map { groups[$0] }
      + outside.filter { $0 > firstInLayer }.map { [$0] }
  }

  private func key(_ vertex: Int) -> LayerAlignment.Key {
    LayerAlignment.Key(
      op: graph.vertices[vertex].op, name: graph.vertices[vertex].node.name(inLayer: layerOfVertex[vertex]),
      weights: weightNames(vertex))
  }

  /// Constants with the same name, each once a layer; those without a layer one by one.
  private func constantGroups() -> [[Int]] {
    struct Key: Hashable {
      var kind: Vertex.Kind
      var name: String
      var occurrence: Int
    }
    struct Place: Hashable {
      var kind: Vertex.Kind
      var name: String
      var layer: Int
    }
    var groups: [[Int]] = []
    var groupOfKey: [Key: Int] = [:]
    var seen: [Place: Int] = [:]
    let constants = graph.vertices.indices.filter { graph.vertices[$0].members.isEmpty }
    for vertex in constants.sorted(by: { (layerOfVertex[$0] ?? -1, $0) < (layerOfVertex[$1] ?? -1, $1) }) {
      guard let layer = layerOfVertex[vertex] else {
        groups.append([vertex])
        continue
      }
      let (kind, name) = (graph.vertices[vertex].kind, graph.vertices[vertex].node.name(inLayer: layer))
      let occurrence = seen[Place(kind: kind, name: name, layer: layer), default: 0]
      seen[Place(kind: kind, name: name, layer: layer)] = occurrence + 1
      let key = Key(kind: kind, name: name, occurrence: occurrence)
      if let group = groupOfKey[key] {
        groups[group].append(vertex)
      } else {
        groupOfKey[key] = groups.count
        groups.append([vertex])
      }
    }
    return groups
  }

  private func fold(_ members: [Int]) -> FoldedVertex {
    let first = graph.vertices[members[0]]
    let variants = variants(of: members)
    return FoldedVertex(
      kind: first.kind, op: first.op, name: first.node.name(inLayer: layerOfVertex[members[0]]),
      weights: weightNames(members[0]), firstSource: firstSource(members[0]), part: first.node.part,
      order: nil,
      layers: members.compactMap { layerOfVertex[$0] }, members: members, figures: merged(members),
      timePerGraph: timePerGraph(members),
      variants: variants.map(\.variant), outliers: variants.flatMap { outliers(among: $0.members) })
  }

  private func merged(_ members: [Int]) -> OperatorFigures? {
    members.reduce(nil) { sum, member in
      guard var sum else { return figures[member] }
      if let more = figures[member] { sum.merge(more) }
      return sum
    }
  }

  private func timePerGraph(_ members: [Int]) -> Int64? {
    let means = members.compactMap { member in figures[member].flatMap { $0.perCall($0.time) } }
    return means.isEmpty ? nil : means.reduce(0) { $0.addingClamped($1) }
  }

  private func variants(of members: [Int]) -> [(variant: LayerVariant, members: [Int])] {
    struct Form: Hashable {
      var result: TensorForm
      var sources: [TensorForm]
    }
    var groups: [(form: Form, members: [Int])] = []
    var groupOfForm: [Form: Int] = [:]
    for member in members {
      let node = graph.vertices[member].node
      let form = Form(
        result: TensorForm(
          type: node.type, shape: node.shape, isWeight: graph.vertices[member].kind == .constant(.weight)),
        sources: graph.sources(of: graph.vertices[member]).compactMap(tensorForm))
      if let group = groupOfForm[form] {
        groups[group].members.append(member)
      } else {
        groupOfForm[form] = groups.count
        groups.append((form, [member]))
      }
    }
    // A stable sort: of equals the one that comes first in the layers.
    let order = groups.indices.sorted {
      (groups[$1].members.count, $0) < (groups[$0].members.count, $1)
    }
    return order.map { index in
      let (form, members) = groups[index]
      let variant = LayerVariant(
        layers: members.compactMap { layerOfVertex[$0] }, result: form.result, sources: form.sources,
        figures: merged(members))
      return (variant, members)
    }
  }

  private func tensorForm(_ source: UInt64?) -> TensorForm? {
    guard let tensor = source.flatMap({ tensors.tensor(at: $0) }) else { return nil }
    return TensorForm(type: tensor.type, shape: tensor.shape, isWeight: tensor.isWeight)
  }

  /// Layers that stand out of others of the same form.
  ///
  /// By more than 5 times the usual distance from the median (the median absolute deviation as a standard
  /// deviation), by more than a fifth, and by more than a microsecond. Of fewer than five layers it cannot be
  /// told.
  private func outliers(among members: [Int]) -> [LayerOutlier] {
    let times = members.compactMap { member in
      medians[member].flatMap { time in layerOfVertex[member].map { (layer: $0, time: time) } }
    }
    guard times.count >= 5, let typical = median(times.map(\.time)),
      let deviation = median(times.map { $0.time.distance(from: typical) })
    else { return [] }
    let least = max(Int64(min(7.41 * Double(deviation), 0x1p62)), typical / 5, 1000)
    return times.filter { $0.time.distance(from: typical) > least }
      .map { LayerOutlier(layer: $0.layer, time: $0.time, typical: typical) }
  }

  private func median(_ values: [Int64]) -> Int64? {
    values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2]
  }

  private func weightNames(_ vertex: Int) -> [String] {
    guard !graph.vertices[vertex].members.isEmpty else { return [] }
    return graph.sources(of: graph.vertices[vertex]).compactMap { source in
      guard let tensor = source.flatMap({ tensors.tensor(at: $0) }), tensor.isWeight else { return nil }
      return tensor.name(inLayer: layerOfVertex[vertex])
    }
  }

  private func firstSource(_ vertex: Int) -> String {
    if let weight = weightNames(vertex).first { return weight }
    for case let source? in graph.sources(of: graph.vertices[vertex]) {
      guard let tensor = tensors.tensor(at: source) else { continue }
      let name = tensor.name(inLayer: tensor.layer)
      return name.isEmpty ? tensor.op : name
    }
    return ""
  }

  // MARK: - Edges

  func edges(along path: [Int]) -> [FoldedEdge] {
    struct Key: Hashable {
      var from: Int
      var to: Int
      var kind: Edge.Kind
      var distance: Int
    }
    var next: [Int: Int] = [:]
    for (from, to) in zip(path, path.dropFirst()) { next[from] = to }
    var out: [FoldedEdge] = []
    var indexOfKey: [Key: Int] = [:]
    for edge in graph.edges {
      let (from, to) = (foldedOfVertex[edge.from], foldedOfVertex[edge.to])
      let distance =
        if let a = layerOfVertex[edge.from], let b = layerOfVertex[edge.to] { b - a } else { 0 }
      let key = Key(from: from, to: to, kind: edge.kind, distance: distance)
      let index = indexOfKey[key] ?? out.count
      if index == out.count {
        indexOfKey[key] = index
        out.append(
          FoldedEdge(from: from, to: to, kind: edge.kind, distance: distance, layers: [], isCritical: false))
      }
      if let layer = layerOfVertex[edge.to] ?? layerOfVertex[edge.from] { out[index].layers.append(layer) }
      if next[edge.from] == edge.to { out[index].isCritical = true }
    }
    for index in out.indices { out[index].layers = Array(Set(out[index].layers)).sorted() }
    return out
  }
}

extension Int64 {
  fileprivate func distance(from other: Int64) -> Int64 {
    let (difference, overflow) = subtractingReportingOverflow(other)
    return overflow ? .max : Int64(clamping: difference.magnitude)
  }
}
