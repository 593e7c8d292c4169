import CTraceRecords
import GGML
import TraceModel

/// The walk of a graph in progress on a thread.
struct StructureWalk {
  var number: UInt32
  var expectedNodes: Int
  var addresses: [UInt64] = []
  var tensors: Int = 0
  var isDamaged = false
}

/// Turns walks into structures.
///
/// Builds without graph uids are walked for every graph. Most of these walks show the same content: they get
/// the number of the first one, so that a visitor sees each different structure once and memory stays bounded.
struct StructureStore {
  /// A hostile walk may claim anything.
  static let maxNodes = 1 << 16
  private static let maxTensors = 1 << 18
  private static let maxIndexes = 4096
  private static let maxIndexedNodes = 4 << 20

  private let names: OperatorNames
  private let layout: TensorLayout?
  private var tensors: [UInt64: Tensor] = [:]
  /// Rises when a tensor comes that differs from the one before at its address in more than its data.
  private var contentVersion = 0
  /// By trace number; the oldest are dropped.
  private var indexes: [UInt32: StructureIndex] = [:]
  private var order: [UInt32] = []
  private var dropped = 0
  private var indexedNodes = 0
  /// By content.
  private var canonical: [ContentKey: UInt32] = [:]
  /// By the list of addresses: the last structure built from it and the version that it was built at.
  private var recent: [ContentKey: (version: Int, index: StructureIndex)] = [:]

  var distinctCount: Int { canonical.count }

  private struct ContentKey: Hashable {
    var a: Int
    var b: Int
  }

  init(names: OperatorNames, layout: TensorLayout?) {
    self.names = names
    self.layout = layout
  }

  func index(_ number: UInt32) -> StructureIndex? { indexes[number] }

  mutating func add(_ record: RecordView, to walk: inout StructureWalk, _ oddities: inout OddityCounts) {
    let head = MemoryLayout<pi_tensor>.size
    guard let tensor = record.read(pi_tensor.self), Int(tensor.tensor_bytes) <= record.byteCount - head else {
      oddities.count(.shortRecord)
      walk.isDamaged = true
      return
    }
    walk.tensors += 1
    let bytes = UnsafeRawBufferPointer(start: record.base + head, count: Int(tensor.tensor_bytes))
    guard let layout,
      var decoded = Tensor(address: tensor.address, bytes: bytes, layout: layout, names: names)
    else {
      oddities.count(.undecodableTensor)
      walk.isDamaged = true
      return
    }
    if let old = tensors[tensor.address] {
      var comparable = old
      comparable.node.data = decoded.node.data
      if comparable == decoded {
        // Shares the old one's strings and arrays.
        decoded = comparable
      } else {
        contentVersion += 1
      }
    } else {
      guard tensors.count < Self.maxTensors else {
        oddities.count(.tooMany)
        walk.isDamaged = true
        return
      }
      contentVersion += 1
    }
    tensors[tensor.address] = decoded
  }

  /// Ends a walk. Returns the structure when it is one that was not seen before.
  mutating func finish(_ walk: StructureWalk, isWhole: Bool) -> GraphStructure? {
    let addressKey = Self.key { hasher in
      hasher.combine(walk.addresses)
      hasher.combine(isWhole)
    }
    if let known = recent[addressKey], known.version == contentVersion {
      remember(known.index, as: walk.number)
      return nil
    }
    var isComplete = isWhole
    let found = walk.addresses.map { address -> Tensor in
      if let tensor = tensors[address] { return tensor }
      isComplete = false
      return Tensor(missingAt: address)
    }
    var structure = GraphStructure(
      number: walk.number, nodes: found, isComplete: isComplete, tensor: { tensors[$0] })
    let contentKey = Self.contentKey(structure)
    let isNew = canonical[contentKey] == nil
    structure.number = canonical[contentKey] ?? walk.number
    // A hostile trace may hold millions of different structures; then they are only no longer recognised.
    if canonical.count < Self.maxTensors { canonical[contentKey] = structure.number }
    let index = StructureIndex(structure, number: structure.number, addresses: walk.addresses)
    if recent.count >= Self.maxIndexes { recent.removeAll() }
    recent[addressKey] = (contentVersion, index)
    remember(index, as: walk.number)
    return isNew ? structure : nil
  }

  private mutating func remember(_ index: StructureIndex, as number: UInt32) {
    if let old = indexes[number] {
      indexedNodes -= old.nodeCount
    } else {
      order.append(number)
    }
    indexes[number] = index
    indexedNodes += index.nodeCount
    // Running graphs hold on to the index that they use.
    while order.count - dropped > 1,
      order.count - dropped > Self.maxIndexes || indexedNodes > Self.maxIndexedNodes
    {
      if let old = indexes.removeValue(forKey: order[dropped]) { indexedNodes -= old.nodeCount }
      dropped += 1
    }
    if dropped > Self.maxIndexes {
      order.removeFirst(dropped)
      dropped = 0
    }
  }

  /// Two hashes with different seeds: 128 bits, so that different structures are never taken for the same.
  private static func key(_ feed: (inout Hasher) -> Void) -> ContentKey {
    var a = Hasher()
    a.combine(1)
    feed(&a)
    var b = Hasher()
    b.combine(2)
    feed(&b)
    return ContentKey(a: a.finalize(), b: b.finalize())
  }

  /// What a structure is apart from where it lies in memory.
  private static func contentKey(_ structure: GraphStructure) -> ContentKey {
    var places: [UInt64: Int] = [:]
    for (i, node) in (structure.nodes + structure.constants).enumerated() where places[node.address] == nil {
      places[node.address] = i
    }
    return key { hasher in
      hasher.combine(structure.isComplete)
      hasher.combine(structure.nodes.count)
      for var node in structure.nodes + structure.constants {
        node.address = 0
        node.data = nil
        node.sources = node.sources.map { source in source.map { places[$0].map { UInt64($0) } ?? .max } }
        node.viewSource = node.viewSource.map { places[$0].map { UInt64($0) } ?? .max }
        hasher.combine(node)
      }
    }
  }
}
