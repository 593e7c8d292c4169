import TraceModel

/// A node that is executed, as far as each operator needs it.
struct ExecutedNode {
  /// `PI_TENSOR_REF` of its tensor.
  var reference: UInt32
  /// Index in the structure's nodes.
  var node: Int32
  /// The last duration seen in nanoseconds, 0 for none: bounds a span whose end was lost.
  var duration: UInt32 = 0
  /// The run in which it was last seen, plus one: counts an operator once for all threads.
  var stamp: UInt32 = 0
  /// The operator was seen fused into an earlier one.
  var isAbsorbed = false
}

/// What the operators of running graphs need of a structure, laid out for speed.
///
/// An operator record names its tensor by 32 bits of its address. Threads run the executed nodes in order, so
/// the next one is nearly always the one expected: a comparison. Everything else goes through a hash table.
final class StructureIndex {
  /// The structure's number as handed to the visitor.
  let number: UInt32
  let nodeCount: Int
  /// Executed nodes.
  let executedCount: Int
  /// By position in execution order.
  let executed: UnsafeMutablePointer<ExecutedNode>
  private(set) var absorbedCount = 0
  /// Layer by node.
  let layers: [Int?]
  /// Routing ids by node: nodes with the same ids tensor have the same number; -1 for no MUL_MAT_ID.
  let routings: [Int32]
  /// Which node reported a routing in which run.
  var routingOwners: [(run: Int32, node: Int32)]

  /// Node by hash of the reference; -1 for empty.
  private let table: UnsafeMutablePointer<Int32>
  private let tableReferences: UnsafeMutablePointer<UInt32>
  private let mask: Int
  /// Position by node, -1 for nodes that are not executed.
  private let positions: UnsafeMutablePointer<Int32>

  init(_ structure: GraphStructure, number: UInt32, addresses: [UInt64]) {
    self.number = number
    nodeCount = structure.nodes.count
    let order = structure.nodes.indices.filter { structure.nodes[$0].isExecuted }
    executedCount = order.count
    executed = .allocate(capacity: max(order.count, 1))
    positions = .allocate(capacity: max(nodeCount, 1))
    positions.initialize(repeating: -1, count: max(nodeCount, 1))
    for (position, node) in order.enumerated() {
      (executed + position).initialize(
        to: ExecutedNode(
          reference: Self.reference(addresses[node]), node: Int32(truncatingIfNeeded: node)))
      positions[node] = Int32(truncatingIfNeeded: position)
    }
    var size = 16
    while size < nodeCount * 2 { size *= 2 }
    mask = size - 1
    table = .allocate(capacity: size)
    table.initialize(repeating: -1, count: size)
    tableReferences = .allocate(capacity: size)
    tableReferences.initialize(repeating: 0, count: size)
    layers = structure.nodes.map(\.layer)
    var numbers: [UInt64: Int32] = [:]
    routings = structure.nodes.map { node in
      guard node.op == "MUL_MAT_ID", node.sources.count > 2, let ids = node.sources[2] else { return -1 }
      if let known = numbers[ids] { return known }
      let next = Int32(numbers.count)
      numbers[ids] = next
      return next
    }
    routingOwners = Array(repeating: (-1, -1), count: numbers.count)
    // Of several nodes with one reference the first is found.
    for node in 0..<nodeCount {
      let reference = Self.reference(addresses[node])
      var slot = Self.slot(reference) & mask
      while table[slot] >= 0, tableReferences[slot] != reference { slot = (slot + 1) & mask }
      if table[slot] < 0 {
        table[slot] = Int32(truncatingIfNeeded: node)
        tableReferences[slot] = reference
      }
    }
  }

  deinit {
    executed.deallocate()
    positions.deallocate()
    table.deallocate()
    tableReferences.deallocate()
  }

  /// `PI_TENSOR_REF`.
  static func reference(_ address: UInt64) -> UInt32 { UInt32(truncatingIfNeeded: address >> 4) }

  private static func slot(_ reference: UInt32) -> Int { Int((reference &* 0x9e37_79b1) >> 7) }

  /// The node with this reference and its position among the executed ones (-1 if it is not one); nil for none.
  func find(_ reference: UInt32) -> (node: Int32, position: Int32)? {
    var slot = Self.slot(reference) & mask
    while table[slot] >= 0 {
      if tableReferences[slot] == reference { return (table[slot], positions[Int(table[slot])]) }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// Notes that the executed nodes behind `first` up to `last` are done together with it.
  func absorb(after first: Int32, through last: Int32) {
    guard first >= 0, last > first, last < executedCount else { return }
    for position in Int(first) + 1...Int(last) where !executed[position].isAbsorbed {
      executed[position].isAbsorbed = true
      absorbedCount += 1
    }
  }

  /// Operators that one thread starts in one run.
  var operatorsPerThread: Int { executedCount - absorbedCount }

  /// Operators that a thread should have started between two positions.
  func startable(from: Int32, to: Int32) -> Int {
    var count = 0
    var position = from
    while position < to {
      if !executed[Int(position)].isAbsorbed { count += 1 }
      position += 1
    }
    return count
  }
}
