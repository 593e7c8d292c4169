import TraceModel

/// The JSON of a structure's operators up to what differs from span to span, formatted
/// once per node: a name and its arguments are most of a timeline's bytes.
struct StructureText {
  /// A slice's JSON on both sides of its thread and times.
  struct Piece {
    /// `{"name":…,"cat":"operator","ph":"X","pid":…,"tid":`
    var head: [UInt8]
    /// `,"args":{…` without the closing braces.
    var tail: [UInt8]
  }

  private let structure: GraphStructure
  private let titles: OperatorTitle
  private let process: UInt32
  private let nodesByAddress: [UInt64: Node]
  private var plain: [Piece?]
  /// Fused operators by their first node: which last node it was, and the text.
  private var fused: [Int: (last: Int, piece: Piece)] = [:]

  init(_ structure: GraphStructure, titles: OperatorTitle, process: UInt32) {
    self.structure = structure
    self.titles = titles
    self.process = process
    nodesByAddress = Dictionary(
      (structure.nodes + structure.constants).lazy.map { ($0.address, $0) },
      uniquingKeysWith: { first, _ in first })
    plain = Array(repeating: nil, count: structure.nodes.count)
  }

  /// A node by its index; nil where the structure has no such node.
  func node(_ index: Int) -> Node? { structure.nodes.indices.contains(index) ? structure.nodes[index] : nil }

  /// The text of an operator; nil where the structure has no such node.
  mutating func piece(node: Int, lastNode: Int) -> Piece? {
    guard plain.indices.contains(node), plain.indices.contains(lastNode) else { return nil }
    if node == lastNode {
      if let piece = plain[node] { return piece }
      let piece = format([structure.nodes[node]])
      plain[node] = piece
      return piece
    }
    if let known = fused[node], known.last == lastNode { return known.piece }
    let piece = format([structure.nodes[node], structure.nodes[lastNode]])
    fused[node] = (lastNode, piece)
    return piece
  }

  /// - Parameter members: the node, or the first and the last of a fused operator.
  private func format(_ members: [Node]) -> Piece {
    // The last of a fused operator has the result, and the name that readers know.
    let result = members[members.count - 1]
    let op = members.map(\.op).joined(separator: "+")

    var head = JSONText()
    head.raw("{\"name\":\"")
    switch titles {
    case .op: head.contents(op)
    case .node: head.contents(result.name.isEmpty ? op : result.name)
    case .nodeAndOp:
      if !result.name.isEmpty {
        head.contents(result.name)
        head.raw(" ")
      }
      head.contents(op)
    }
    head.raw("\",\"cat\":\"operator\",\"ph\":\"X\",\"pid\":")
    head.decimal(process)
    head.raw(",\"tid\":")

    var tail = JSONText()
    tail.raw(",\"args\":{\"node\":")
    tail.string(result.name)
    tail.raw(",\"op\":")
    tail.string(op)
    tail.raw(",\"type\":")
    tail.string(result.type)
    tail.raw(",\"shape\":\"")
    tail.shape(result.shape)
    tail.raw("\"")
    if let layer = result.layer {
      tail.raw(",\"layer\":")
      tail.decimal(layer)
    }
    tail.raw(",\"part\":")
    tail.string(result.part.rawValue)
    for (index, source) in sources(of: members).enumerated() {
      tail.raw(",\"source ")
      tail.decimal(index)
      tail.raw("\":\"")
      if let node = nodesByAddress[source] {
        if !node.name.isEmpty {
          tail.contents(node.name)
          tail.raw(" ")
        }
        tail.contents(node.type)
        tail.raw(" ")
        tail.shape(node.shape)
      } else {
        tail.raw("not recorded")
      }
      tail.raw("\"")
    }
    return Piece(head: head.bytes, tail: tail.bytes)
  }

  /// What the operator reads: the members' sources without what one hands to the other.
  private func sources(of members: [Node]) -> [UInt64] {
    let own = members.dropLast().map(\.address)
    return members.flatMap(\.sources).compactMap(\.self).filter { !own.contains($0) }
  }
}
