import TraceModel

/// A stretch of memory within one allocation.
struct MemoryRegion {
  /// Names the allocation: the address of the tensor that all views of it lead to.
  var storage: UInt64
  /// Bytes of the target's memory; nil where unknown, which may be any of the storage.
  var bytes: Range<UInt64>?

  func overlaps(_ other: MemoryRegion) -> Bool {
    guard let bytes, let others = other.bytes else { return true }
    return bytes.overlaps(others)
  }

  func covers(_ other: MemoryRegion) -> Bool {
    guard let bytes, let others = other.bytes else { return false }
    return bytes.lowerBound <= others.lowerBound && bytes.upperBound >= others.upperBound
  }
}

/// Which memory the tensors of a structure live in, as far as it orders operators.
///
/// ggml reuses the memory of computed tensors as soon as nobody reads them any more, so
/// equal data addresses mean nothing by themselves. What orders operators is a write into
/// another tensor (`view_src`: CPY and SET_ROWS into a cache, in-place operators), and
/// tensors that lie in memory of a cache.
struct MemoryMap {
  private let structure: GraphStructure
  private let tensors: TensorIndex
  /// Memory of the constants that overlap each other, by address; the first one names the storage.
  private var stretches: [(bytes: Range<UInt64>, storage: UInt64)] = []
  private var storageOfConstant: [UInt64: UInt64] = [:]
  /// Storages of constants that the graph writes into.
  private var written: Set<UInt64> = []

  init(_ structure: GraphStructure, _ tensors: TensorIndex) {
    self.structure = structure
    self.tensors = tensors
    mergeConstants()
    for node in structure.nodes where node.isExecuted && node.viewSource != nil {
      let root = root(of: node)
      if let storage = storageOfConstant[root] { written.insert(storage) }
    }
    for constant in structure.constants where constant.name.hasPrefix("cache_") {
      if let storage = storageOfConstant[constant.address] { written.insert(storage) }
    }
  }

  /// What a constant is, by what the graph does with it and else by its name.
  func kind(of constant: Node) -> ConstantKind {
    if let storage = storageOfConstant[constant.address], written.contains(storage) { return .cache }
    return constant.isWeight ? .weight : .input
  }

  /// The memory of a tensor.
  func region(at address: UInt64) -> MemoryRegion {
    guard let tensor = tensors.tensor(at: address) else { return MemoryRegion(storage: address, bytes: nil) }
    return MemoryRegion(storage: storage(of: tensor), bytes: tensor.bytes)
  }

  /// The memory that an executed node writes into, where that is another tensor's.
  func written(byNode index: Int) -> MemoryRegion? {
    let node = structure.nodes[index]
    let storage = storage(of: node)
    return storage == node.address ? nil : MemoryRegion(storage: storage, bytes: node.bytes)
  }

  private func storage(of tensor: Node) -> UInt64 {
    let root = root(of: tensor)
    if let storage = storageOfConstant[root] { return storage }
    // A tensor that views nothing, in the middle of a cache.
    if root == tensor.address || tensors.tensor(at: root) == nil, let data = tensor.data,
      let stretch = stretch(holding: data), written.contains(stretch.storage)
    {
      return stretch.storage
    }
    return root
  }

  /// The tensor that a chain of views ends at. ggml keeps chains at length one.
  private func root(of tensor: Node) -> UInt64 {
    var tensor = tensor
    for _ in 0..<64 {
      guard let next = tensor.viewSource else { return tensor.address }
      guard let viewed = tensors.tensor(at: next) else { return next }
      tensor = viewed
    }
    return tensor.address
  }

  /// Gives constants that share memory one storage: an engine may make several tensors for one cache.
  private mutating func mergeConstants() {
    let placed = structure.constants.filter { $0.viewSource == nil }
      .compactMap { constant in constant.bytes.map { (bytes: $0, address: constant.address) } }
      .sorted { $0.bytes.lowerBound < $1.bytes.lowerBound }
    for (bytes, address) in placed {
      if let last = stretches.last, last.bytes.upperBound > bytes.lowerBound {
        let end = max(last.bytes.upperBound, bytes.upperBound)
        stretches[stretches.count - 1].bytes = last.bytes.lowerBound..<end
        storageOfConstant[address] = last.storage
      } else {
        stretches.append((bytes, address))
        storageOfConstant[address] = address
      }
    }
    for constant in structure.constants where storageOfConstant[constant.address] == nil {
      storageOfConstant[constant.address] = storageOfConstant[root(of: constant)] ?? root(of: constant)
    }
  }

  private func stretch(holding address: UInt64) -> (bytes: Range<UInt64>, storage: UInt64)? {
    var low = 0
    var high = stretches.count
    while low < high {
      let middle = (low + high) / 2
      if stretches[middle].bytes.upperBound > address { high = middle } else { low = middle + 1 }
    }
    guard low < stretches.count, stretches[low].bytes.contains(address) else { return nil }
    return stretches[low]
  }
}

extension Node {
  /// A parameter of the model, by its name.
  var isWeight: Bool { [".weight", ".bias", ".scale"].contains(where: name.hasSuffix) }

  /// Where the tensor's elements lie, first to last byte, gaps between rows included; nil
  /// where it is not allocated, empty, or described by numbers that cannot be.
  fileprivate var bytes: Range<UInt64>? {
    guard let data, byteCount > 0, !shape.isEmpty, shape.count == strides.count else { return nil }
    guard shape.allSatisfy({ $0 > 0 }) else { return nil }
    var elements: UInt64 = 1
    var end = data
    for dimension in shape.indices {
      let extent = UInt64(shape[dimension])
      guard let product = elements.multiplied(by: extent) else { return nil }
      elements = product
      guard dimension > 0 else { continue }
      guard let outer = (extent - 1).multiplied(by: strides[dimension]), let sum = end.adding(outer) else {
        return nil
      }
      end = sum
    }
    let total = UInt64(byteCount)
    let row: UInt64
    if total % elements == 0 {
      guard let inner = UInt64(shape[0] - 1).multiplied(by: strides[0]),
        let sum = inner.adding(total / elements)
      else { return nil }
      row = sum
    } else {
      // Quantised: rows are packed, and the stride counts blocks.
      row = max(total / (elements / UInt64(shape[0])), 1)
    }
    guard let limit = end.adding(row) else { return nil }
    return data..<limit
  }
}

extension UInt64 {
  fileprivate func multiplied(by other: UInt64) -> UInt64? {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? nil : product
  }

  fileprivate func adding(_ other: UInt64) -> UInt64? {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? nil : sum
  }
}

/// The writes into shared memory so far, in execution order.
struct WriteLog {
  /// Lookups given up since the writes compared exceeded every sound measure.
  private(set) var abandonedCount = 0

  private var writes: [UInt64: [(writer: Int, region: MemoryRegion)]] = [:]
  private var budget: Int

  /// - Parameter budget: comparisons of regions that may be made in all.
  init(budget: Int) {
    self.budget = budget
  }

  /// The operators whose writes a reader of the region depends on.
  mutating func writers(overlapping region: MemoryRegion) -> [Int] {
    guard let all = writes[region.storage] else { return [] }
    guard budget >= all.count else {
      abandonedCount += 1
      return []
    }
    budget -= all.count
    return all.filter { $0.region.overlaps(region) }.map(\.writer)
  }

  /// Notes a write; the writer must already depend on the earlier ones that it overlaps.
  mutating func add(_ writer: Int, _ region: MemoryRegion) {
    // Readers of what is wholly written again depend on the earlier writer through the later one.
    let count = writes[region.storage]?.count ?? 0
    if budget >= count {
      budget -= count
      writes[region.storage]?.removeAll { region.covers($0.region) }
    }
    writes[region.storage, default: []].append((writer, region))
  }
}
