/// Distances between uses of the same thing in a sequence of uses, as a cache sees them (Mattson's stack algorithm).
///
/// A cache that throws out what was used longest ago (LRU) has a thing exactly when its distance is not more than the
/// cache holds. One pass over the uses therefore tells the hit rate of every size. Each use takes O(log n) steps
/// and the memory is that of n things, however long the sequence is.
struct ReuseStack: Sendable {
  struct Distance: Equatable {
    /// Different things used since the last use of this one, itself among them: 1 for a use right behind the last.
    var things: Int
    /// Bytes of those things.
    var bytes: Int64
  }

  /// The sums of a Fenwick tree over the moments of uses: only the last use of each thing counts.
  private struct Sum: Sendable {
    var things: Int32 = 0
    var bytes: Int64 = 0
  }

  private var tree: [Sum]
  /// Moment of the last use by thing, from 1; 0 for one that was not used.
  private var moments: [Int32]
  private var sizes: [Int64]
  private var now: Int32 = 0
  private var used: Int32 = 0
  private var usedBytes: Int64 = 0

  /// - Parameter sizes: bytes of each thing, not negative.
  init(sizes: [Int64]) {
    self.sizes = sizes
    moments = Array(repeating: 0, count: sizes.count)
    tree = Self.emptyTree(things: sizes.count)
  }

  /// Adds things that were never used.
  mutating func append(sizes more: [Int64]) {
    sizes += more
    moments += Array(repeating: 0, count: more.count)
  }

  /// Uses a thing. Returns the distance from its last use; nil at its first.
  mutating func use(_ thing: Int) -> Distance? {
    if Int(now) + 1 >= tree.count { renumber() }
    let before = moments[thing]
    var distance: Distance?
    if before > 0 {
      let older = sum(below: before)
      distance = Distance(things: Int(used - older.things), bytes: usedBytes &- older.bytes)
      add(at: before, things: -1, bytes: 0 &- sizes[thing])
    } else {
      used += 1
      usedBytes &+= sizes[thing]
    }
    now += 1
    moments[thing] = now
    add(at: now, things: 1, bytes: sizes[thing])
    return distance
  }

  private func sum(below moment: Int32) -> Sum {
    var result = Sum()
    var index = Int(moment) - 1
    while index > 0 {
      result.things += tree[index].things
      result.bytes &+= tree[index].bytes
      index &= index - 1
    }
    return result
  }

  private mutating func add(at moment: Int32, things: Int32, bytes: Int64) {
    var index = Int(moment)
    while index < tree.count {
      tree[index].things += things
      tree[index].bytes &+= bytes
      index += index & -index
    }
  }

  /// Moments are used up: those that still count move together, which happens once in as many uses as there are things.
  private mutating func renumber() {
    tree = Self.emptyTree(things: sizes.count)
    let inOrder = moments.indices.filter { moments[$0] > 0 }.sorted { moments[$0] < moments[$1] }
    now = 0
    for thing in inOrder {
      now += 1
      moments[thing] = now
      add(at: now, things: 1, bytes: sizes[thing])
    }
  }

  private static func emptyTree(things: Int) -> [Sum] {
    Array(repeating: Sum(), count: max(2 * things, 62) + 2)
  }
}
