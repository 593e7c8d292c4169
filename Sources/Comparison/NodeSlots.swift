import TraceModel

/// Numbers the nodes of all structures by name and operator, after the parts of `TimePart`. Structures with the same
/// nodes share a list.
struct NodeSlots: Sendable {
  /// Nodes told apart; what comes after is `TimePart.otherNodes`.
  static let limit = 1 << 14

  private(set) var nodes: [NodeKey] = []
  private var slotOfNode: [NodeKey: UInt32] = [:]
  private var lists: [List] = []
  private var numberOfSlots: [[UInt32]: Int] = [:]
  private var listOfStructure: [UInt32: Int] = [:]

  private struct List: Sendable {
    var slots: [UInt32]
    var isExecuted: [Bool]
    var keys: [NodeKey]
    var fused: [UInt64: UInt32] = [:]
  }

  mutating func add(_ structure: GraphStructure) {
    let keys = structure.nodes.map {
      NodeKey(name: $0.isNumbered ? "" : $0.name, op: $0.op, layer: $0.layer)
    }
    let executed = structure.nodes.map(\.isExecuted)
    // A view gets no slot: it takes no time.
    let slots = zip(keys, executed).map { $1 ? slot(of: $0) : 0 }
    if let known = numberOfSlots[slots] {
      listOfStructure[structure.number] = known
      return
    }
    numberOfSlots[slots] = lists.count
    listOfStructure[structure.number] = lists.count
    lists.append(List(slots: slots, isExecuted: executed, keys: keys))
  }

  mutating func slot(of span: OperatorSpan) -> Int {
    let unknown = TimePart.otherNodes.slot
    guard let number = listOfStructure[span.structure], span.node >= 0,
      Int(span.node) < lists[number].slots.count
    else { return unknown }
    let first = Int(span.node)
    guard span.lastNode > span.node, Int(span.lastNode) < lists[number].slots.count else {
      let slot = Int(lists[number].slots[first])
      return slot == 0 ? unknown : slot
    }
    let place = UInt64(UInt32(bitPattern: span.node)) << 32 | UInt64(UInt32(bitPattern: span.lastNode))
    if let known = lists[number].fused[place] { return Int(known) }
    // Its ends took part even where they are empty tensors; between them views do not.
    let last = Int(span.lastNode)
    let parts = (first...last).filter { $0 == first || $0 == last || lists[number].isExecuted[$0] }
    var key = lists[number].keys[last]
    key.op = parts.map { lists[number].keys[$0].op }.joined(separator: "+")
    let slot = slot(of: key)
    lists[number].fused[place] = slot
    return Int(slot)
  }

  private mutating func slot(of key: NodeKey) -> UInt32 {
    if let known = slotOfNode[key] { return known }
    guard nodes.count < Self.limit else { return UInt32(TimePart.otherNodes.slot) }
    let slot = UInt32(TimePart.allCases.count + nodes.count)
    nodes.append(key)
    slotOfNode[key] = slot
    return slot
  }
}
