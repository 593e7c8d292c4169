import TraceModel

/// Tells the work of each node of a structure, in the order of its nodes; nil where unknown.
///
/// What an operator costs is the engine's knowledge, so the statistics are given it.
public typealias WorkModel = @Sendable (GraphStructure) -> [OperatorWork?]

/// The nodes of all structures under small numbers (slots), so that a span needs two array
/// look-ups. Nodes that no table could tell apart share a slot, and structures with the same
/// slots share their list: a graph that is rebuilt for every token costs nothing.
struct NodeCatalog {
  struct Entry: Hashable {
    var name: String
    var op: String
    /// Type of the weights for matrix products and row look-ups, else of the result.
    var type: String
    var shape: [Int64]
    var layer: Int?
    var part: ModelPart
    var work: OperatorWork?
    /// Bytes of the result.
    var byteCount: Int64
    var isExecuted: Bool
    /// Several operators that ran as one.
    var isFused = false
  }

  /// The slot of operators whose node is not known.
  static let unknown: UInt32 = 0

  private(set) var entries: [Entry]
  /// Slot to the number of its (operator, type).
  private(set) var operatorOfSlot: [UInt32] = [0]
  /// Operator and type of each operator number.
  private(set) var operators: [OperatorName]

  struct OperatorName: Hashable {
    var op: String
    var type: String?
  }

  private let workModel: WorkModel?
  private var slotOfEntry: [Entry: UInt32] = [:]
  private var numberOfOperator: [OperatorName: UInt32]
  private var slots: [UInt32] = []
  /// Beside `slots`: the last node of the operator that was fused onto this one, and its slot.
  private var fusedLast: [Int32] = []
  private var fusedSlot: [UInt32] = []
  private var placeOfList: [[UInt32]: Place] = [:]
  private var placeOfStructure: [UInt32: Place] = [:]
  /// The structure looked up last: consecutive spans nearly always share it.
  private var current: (structure: UInt32, place: Place) = (0, Place(base: 0, count: 0))

  private struct Place {
    var base: Int
    var count: Int
  }

  /// By the base of their place: nodes whose work varies from step to step.
  private var varyingOfPlace: [Int: [WorkStatistics.VaryingNode]] = [:]

  init(workModel: WorkModel?) {
    self.workModel = workModel
    let unknown = OperatorName(op: "unknown", type: nil)
    entries = [
      Entry(
        name: "", op: "unknown", type: "", shape: [], layer: nil, part: .other, work: nil, byteCount: 0,
        isExecuted: true)
    ]
    operators = [unknown]
    numberOfOperator = [unknown: 0]
  }

  mutating func add(_ structure: GraphStructure) {
    let work = workModel?(structure)
    var typeOfTensor: [UInt64: String] = [:]
    for tensor in structure.constants { typeOfTensor[tensor.address] = tensor.type }
    for tensor in structure.nodes { typeOfTensor[tensor.address] = tensor.type }

    let list = structure.nodes.enumerated().map { index, node in
      var type = node.type
      if Self.readsWeights(node.op), let first = node.sources.first, let source = first {
        type = typeOfTensor[source] ?? type
      }
      let nodeWork = work.flatMap { index < $0.count ? $0[index] : nil }
      return slot(
        for: Entry(
          name: node.name, op: node.op, type: type, shape: node.shape, layer: node.layer, part: node.part,
          work: node.isExecuted ? nodeWork : nil, byteCount: node.byteCount, isExecuted: node.isExecuted))
    }
    let place: Place
    if let known = placeOfList[list] {
      place = known
    } else {
      place = Place(base: slots.count, count: list.count)
      slots.append(contentsOf: list)
      fusedLast.append(contentsOf: repeatElement(-1, count: list.count))
      fusedSlot.append(contentsOf: repeatElement(Self.unknown, count: list.count))
      placeOfList[list] = place
      varyingOfPlace[place.base] = varyingNodes(list)
    }
    placeOfStructure[structure.number] = place
    current = (structure.number, place)
  }

  private func varyingNodes(_ list: [UInt32]) -> [WorkStatistics.VaryingNode]? {
    let nodes = list.compactMap { slot -> WorkStatistics.VaryingNode? in
      guard let varying = entries[Int(slot)].work?.varying, let layer = entries[Int(slot)].layer else {
        return nil
      }
      return WorkStatistics.VaryingNode(slot: slot, layer: layer, work: varying)
    }
    return nodes.isEmpty ? nil : nodes
  }

  /// The nodes of a structure whose work varies, in order.
  func varyingNodes(ofStructure number: UInt32) -> [WorkStatistics.VaryingNode] {
    if varyingOfPlace.isEmpty { return [] }
    return placeOfStructure[number].flatMap { varyingOfPlace[$0.base] } ?? []
  }

  /// The slot of an operator; `unknown` where structure or node are not known.
  @inline(__always)
  mutating func slot(structure: UInt32, node: Int32, lastNode: Int32) -> UInt32 {
    guard structure == current.structure || select(structure), node >= 0, Int(node) < current.place.count
    else { return Self.unknown }
    let index = current.place.base &+ Int(node)
    if lastNode <= node { return slots[index] }
    if fusedLast[index] == lastNode { return fusedSlot[index] }
    return fusedSlot(index, node: node, lastNode: lastNode)
  }

  @inline(never)
  private mutating func select(_ structure: UInt32) -> Bool {
    guard let place = placeOfStructure[structure] else { return false }
    current = (structure, place)
    return true
  }

  /// The slot of an operator that was not seen fused like this before.
  @inline(never)
  private mutating func fusedSlot(_ index: Int, node: Int32, lastNode: Int32) -> UInt32 {
    let place = current.place
    guard Int(lastNode) < place.count else { return slots[index] }
    let slot = fuse(slots[index...place.base + Int(lastNode)].map { entries[Int($0)] })
    fusedLast[index] = lastNode
    fusedSlot[index] = slot
    return slot
  }

  /// A fused operator has the name and shape of its last node, whose value it writes, and the
  /// operators of all: `RMS_NORM+MUL`. What it passes on inside never touches memory.
  private mutating func fuse(_ chain: [Entry]) -> UInt32 {
    // Its ends took part even where they are empty tensors, which are not executed alone; between them views do not.
    let ends = [0, chain.count - 1]
    let executed = chain.indices.filter { ends.contains($0) || chain[$0].isExecuted }.map { chain[$0] }
    guard var fused = executed.last else { return Self.unknown }
    fused.isFused = true
    fused.op = executed.map(\.op).joined(separator: "+")
    if let weights = executed.first(where: { Self.readsWeights($0.op) }) { fused.type = weights.type }
    var bytes: Int64? = 0
    var flops: Int64? = 0
    var persistent: Int64? = 0
    for (index, entry) in executed.enumerated() {
      let passedOn = index + 1 < executed.count ? entry.byteCount &* 2 : 0
      bytes = sum(bytes, entry.work?.bytes.map { $0 &- passedOn })
      flops = sum(flops, entry.work?.flops)
      persistent = sum(persistent, entry.work?.persistentBytes)
    }
    fused.work = OperatorWork(
      bytes: bytes.map { max($0, 0) }, flops: flops, persistentBytes: persistent,
      arithmetic: executed[0].work?.arithmetic ?? .f32)
    return slot(for: fused)
  }

  private func sum(_ a: Int64?, _ b: Int64?) -> Int64? {
    guard let a, let b else { return nil }
    return a &+ b
  }

  private mutating func slot(for entry: Entry) -> UInt32 {
    if let known = slotOfEntry[entry] { return known }
    let name = OperatorName(op: entry.op, type: entry.type)
    let number = numberOfOperator[name] ?? UInt32(truncatingIfNeeded: operators.count)
    if Int(number) == operators.count {
      operators.append(name)
      numberOfOperator[name] = number
    }
    let slot = UInt32(truncatingIfNeeded: entries.count)
    entries.append(entry)
    operatorOfSlot.append(number)
    slotOfEntry[entry] = slot
    return slot
  }

  /// Operators whose speed depends on the type of their first source, which are weights.
  private static func readsWeights(_ op: String) -> Bool {
    switch op {
    case "MUL_MAT", "MUL_MAT_ID", "OUT_PROD", "GET_ROWS": true
    default: false
    }
  }
}
