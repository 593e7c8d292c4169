import TraceModel

/// Turns a structure into vertices and edges.
struct GraphBuilder {
  private(set) var vertices: [Vertex] = []
  private(set) var edges: [Edge] = []
  private(set) var ignoredFusions: [FusedOperator] = []
  private(set) var omittedEdgeCount = 0

  private let structure: GraphStructure
  private let tensors: TensorIndex
  private let memory: MemoryMap
  /// Vertices of sources that are no node of the structure, by address.
  private var outside: [UInt64: Int] = [:]
  /// Edges allowed. A tensor has at most ten sources, so a real graph stays far below.
  private let edgeLimit: Int

  init(_ structure: GraphStructure) {
    self.structure = structure
    tensors = TensorIndex(structure)
    memory = MemoryMap(structure, tensors)
    edgeLimit = 16 * (structure.nodes.count + 1024)
  }

  // MARK: - Raw

  mutating func buildRaw() {
    for (index, node) in structure.nodes.enumerated() {
      vertices.append(
        Vertex(kind: node.isExecuted ? .executed : .notExecuted, node: node, members: [index], op: node.op))
    }
    for constant in structure.constants {
      let vertex = Vertex(
        kind: .constant(memory.kind(of: constant)), node: constant, members: [], op: constant.op)
      // Duplicates of an address keep a vertex each, and the first one gets the edges.
      outside[constant.address] = outside[constant.address] ?? vertices.count
      vertices.append(vertex)
    }
    // A constant may have sources too: a view among the leafs.
    for index in 0..<(structure.nodes.count + structure.constants.count) {
      for (slot, source) in vertices[index].node.sources.enumerated() {
        guard let source else { continue }
        let from = tensors.node(at: source) ?? outsideVertex(source)
        append(Edge(from: from, to: index, kind: .data, slot: slot))
      }
    }
  }

  // MARK: - Collapsed

  mutating func buildCollapsed(fused: some Sequence<FusedOperator>) {
    let groups = operatorGroups(fused)
    var vertexOfNode = [Int?](repeating: nil, count: structure.nodes.count)
    for group in groups {
      let members = group.map { structure.nodes[$0] }
      for node in group { vertexOfNode[node] = vertices.count }
      let op = members.map(\.op).joined(separator: "+")
      vertices.append(Vertex(kind: .executed, node: members[members.count - 1], members: group, op: op))
    }
    var search = SourceSearch(structure, tensors)
    var writes = WriteLog(budget: 512 * (structure.nodes.count + 1024))
    for (index, group) in groups.enumerated() {
      let producers = connect(index, group, vertexOfNode, &search)
      order(index, group, &writes, connected: producers)
    }
    omittedEdgeCount += search.abandonedCount + writes.abandonedCount
  }

  /// The nodes of each operator, in execution order.
  private mutating func operatorGroups(_ fused: some Sequence<FusedOperator>) -> [[Int]] {
    let nodes = structure.nodes
    var lastOfFirst: [Int: Int] = [:]
    var taken = Set<Int>()
    for fusion in Set(fused).sorted(by: { ($0.node, $0.lastNode) < ($1.node, $1.lastNode) })
    where fusion.node != fusion.lastNode {
      // ggml fuses neighbours, at most a handful, with views between them at most.
      guard fusion.node >= 0, fusion.node < fusion.lastNode, fusion.lastNode < nodes.count,
        fusion.lastNode - fusion.node < 64, nodes[fusion.node].isExecuted, nodes[fusion.lastNode].isExecuted,
        taken.isDisjoint(with: fusion.node...fusion.lastNode)
      else {
        ignoredFusions.append(fusion)
        continue
      }
      taken.formUnion(fusion.node...fusion.lastNode)
      lastOfFirst[fusion.node] = fusion.lastNode
    }
    var groups: [[Int]] = []
    var index = 0
    while index < nodes.count {
      let last = lastOfFirst[index] ?? index
      let group = (index...last).filter { nodes[$0].isExecuted }
      if !group.isEmpty { groups.append(group) }
      index = last + 1
    }
    return groups
  }

  /// Edges to an operator from what its sources come from, through everything that is not executed.
  ///
  /// - Returns: the vertices that the edges come from.
  private mutating func connect(
    _ vertex: Int, _ group: [Int], _ vertexOfNode: [Int?], _ search: inout SourceSearch
  ) -> Set<Int> {
    var known: [Int: Int] = [:]
    for member in group {
      for (slot, source) in structure.nodes[member].sources.enumerated() {
        guard let source else { continue }
        for origin in search.origins(of: source) {
          let from: Int
          switch origin.tensor {
          case .node(let node):
            guard let producer = vertexOfNode[node] else { continue }
            // What one member of a fused operator hands to a later one never leaves the operator.
            if producer == vertex, node < member { continue }
            from = producer
          case .address(let address): from = outsideVertex(address)
          }
          let kind: Edge.Kind = origin.isThroughView ? .view : .data
          if let edge = known[from] {
            if kind == .data { edges[edge].kind = .data }
          } else if append(Edge(from: from, to: vertex, kind: kind, slot: slot)) {
            known[from] = edges.count - 1
          }
        }
      }
    }
    return Set(known.keys)
  }

  /// Edges to an operator from those that wrote into memory that it reads or writes; then notes its own
  /// writes.
  private mutating func order(
    _ vertex: Int, _ group: [Int], _ writes: inout WriteLog, connected: Set<Int>
  ) {
    var connected = connected
    let written = group.compactMap { memory.written(byNode: $0) }
    let read = group.flatMap { structure.nodes[$0].sources }.compactMap(\.self).map { memory.region(at: $0) }
    for region in read + written {
      for writer in writes.writers(overlapping: region) where connected.insert(writer).inserted {
        append(Edge(from: writer, to: vertex, kind: .memory, slot: nil))
      }
    }
    for region in written { writes.add(vertex, region) }
  }

  // MARK: - Both

  /// The vertex of a tensor that no executed node computes.
  private mutating func outsideVertex(_ address: UInt64) -> Int {
    if let known = outside[address] { return known }
    let vertex: Vertex
    if let tensor = tensors.tensor(at: address) {
      vertex = Vertex(kind: .constant(memory.kind(of: tensor)), node: tensor, members: [], op: tensor.op)
    } else {
      let unknown = Node(
        address: address, name: "", op: "", type: "", shape: [], strides: [], sources: [], viewSource: nil,
        data: nil, isExecuted: false, byteCount: 0, layer: nil, part: .other)
      vertex = Vertex(kind: .missing, node: unknown, members: [], op: "")
    }
    outside[address] = vertices.count
    vertices.append(vertex)
    return vertices.count - 1
  }

  @discardableResult
  private mutating func append(_ edge: Edge) -> Bool {
    guard edges.count < edgeLimit else {
      omittedEdgeCount += 1
      return false
    }
    edges.append(edge)
    return true
  }
}

/// Finds tensors of a structure by address.
struct TensorIndex {
  private let structure: GraphStructure
  private let nodes: [UInt64: Int]
  private let constants: [UInt64: Int]

  init(_ structure: GraphStructure) {
    self.structure = structure
    func index(_ tensors: [Node]) -> [UInt64: Int] {
      Dictionary(
        tensors.enumerated().lazy.map { ($0.element.address, $0.offset) },
        uniquingKeysWith: { first, _ in first })
    }
    nodes = index(structure.nodes)
    constants = index(structure.constants)
  }

  /// The index in the structure's nodes.
  func node(at address: UInt64) -> Int? { nodes[address] }

  func tensor(at address: UInt64) -> Node? {
    nodes[address].map { structure.nodes[$0] } ?? constants[address].map { structure.constants[$0] }
  }
}

/// Follows sources through nodes that are never executed.
struct SourceSearch {
  enum Tensor {
    /// An executed node.
    case node(Int)
    /// A constant, or something that the trace does not hold.
    case address(UInt64)
  }

  /// Searches given up since the nodes passed through exceeded every sound measure.
  private(set) var abandonedCount = 0

  private let structure: GraphStructure
  private let tensors: TensorIndex
  /// The search that visited a node last: chains may be cyclic in a hostile trace.
  private var visit: [Int]
  private var currentVisit = 0
  private var budget: Int

  init(_ structure: GraphStructure, _ tensors: TensorIndex) {
    self.structure = structure
    self.tensors = tensors
    visit = Array(repeating: 0, count: structure.nodes.count)
    budget = 256 * (structure.nodes.count + 1024)
  }

  mutating func origins(of source: UInt64) -> [(tensor: Tensor, isThroughView: Bool)] {
    guard let first = tensors.node(at: source) else { return [(.address(source), false)] }
    if structure.nodes[first].isExecuted { return [(.node(first), false)] }
    currentVisit += 1
    visit[first] = currentVisit
    var pending = [first]
    var found: [(tensor: Tensor, isThroughView: Bool)] = []
    while let index = pending.popLast() {
      guard budget > 0 else {
        abandonedCount += 1
        return found
      }
      budget -= 1
      let node = structure.nodes[index]
      var sources = node.sources.compactMap(\.self)
      if sources.isEmpty, let viewSource = node.viewSource { sources = [viewSource] }
      if sources.isEmpty { found.append((.address(node.address), index != first)) }
      for source in sources.reversed() {
        guard let next = tensors.node(at: source) else {
          found.append((.address(source), true))
          continue
        }
        guard visit[next] != currentVisit else { continue }
        visit[next] = currentVisit
        if structure.nodes[next].isExecuted {
          found.append((.node(next), true))
        } else {
          pending.append(next)
        }
      }
    }
    return found
  }
}
