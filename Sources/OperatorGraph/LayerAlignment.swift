/// Matches the operators of layers with each other: one sequence that has all of them in order.
struct LayerAlignment {
  /// What operators must have in common to be the same one of two layers.
  struct Key: Hashable {
    var op: String
    var name: String
    var weights: [String]
  }

  /// Slots in order of execution. A slot is an operator of one or more layers, numbered as they came.
  private(set) var order: [Int] = []
  private var keys: [Key] = []
  /// In the order in which they came.
  private var slotsOfKey: [Key: [Int]] = [:]
  private var slotsOfSequence: [[Key]: [Int]] = [:]

  /// Operators of two sequences up to which they are compared for the least difference, which takes the
  /// product of their lengths in the worst case. Layers of real models have some 20 to 100.
  private static let exactLimit = 500

  /// Adds a layer's operators in order of execution.
  ///
  /// - Returns: the slot of each, all different.
  mutating func add(_ layer: [Key]) -> [Int] {
    // Most models have few kinds of layers.
    if let known = slotsOfSequence[layer] { return known }
    let slots = order.count + layer.count <= Self.exactLimit ? merge(layer) : matchByOccurrence(layer)
    slotsOfSequence[layer] = slots
    return slots
  }

  private mutating func merge(_ layer: [Key]) -> [Int] {
    let difference = layer.difference(from: order.map { keys[$0] })
    var removed = Set<Int>()
    var inserted = Set<Int>()
    for change in difference {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): inserted.insert(offset)
      }
    }
    var merged: [Int] = []
    var slots: [Int] = []
    var index = 0
    while index < order.count || slots.count < layer.count {
      if index < order.count, removed.contains(index) {
        merged.append(order[index])
        index += 1
      } else if inserted.contains(slots.count) {
        slots.append(newSlot(layer[slots.count]))
        merged.append(slots[slots.count - 1])
      } else {
        slots.append(order[index])
        merged.append(order[index])
        index += 1
      }
    }
    order = merged
    return slots
  }

  /// The first operator of a key is the first of that key in every layer, and so on; new ones come last.
  private mutating func matchByOccurrence(_ layer: [Key]) -> [Int] {
    var count: [Key: Int] = [:]
    return layer.map { key in
      let occurrence = count[key, default: 0]
      count[key] = occurrence + 1
      if let known = slotsOfKey[key], occurrence < known.count { return known[occurrence] }
      let slot = newSlot(key)
      order.append(slot)
      return slot
    }
  }

  private mutating func newSlot(_ key: Key) -> Int {
    slotsOfKey[key, default: []].append(keys.count)
    keys.append(key)
    return keys.count - 1
  }
}
