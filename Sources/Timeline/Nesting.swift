/// Decides whether a slice nests properly among those already on a lane.
///
/// Trace viewers take the slices of a lane for a call stack: two of them must be
/// disjoint or one must hold the other. Slices come in any order within a token step
/// (a child mostly before its parent), so the step's slices are remembered, and what
/// lies inside a finished one is forgotten with `seal`. Memory is bounded: when too
/// many remain side by side, the oldest become one closed stretch that nothing enters.
struct Nesting {
  private struct Slice {
    var start: UInt64
    var end: UInt64
    /// Slices remembered here: this one and all inside.
    var count: Int32 = 1
    /// How many levels of slices are remembered inside.
    var depth: UInt8 = 0
    /// True when slices lie inside that are no longer remembered.
    var isSealed = false
    var children: [Slice] = []

    init(start: UInt64, end: UInt64, isSealed: Bool = false) {
      self.start = start
      self.end = end
      self.isSealed = isSealed
    }

    func isInside(_ other: Slice) -> Bool { start >= other.start && end <= other.end }

    /// What is inside of a sealed slice is written. Of slices that begin at once the outer one must be written
    /// first, so one that begins with a sealed one comes too late to be around it.
    func canBeAround(_ other: Slice) -> Bool {
      other.isInside(self) && !(other.isSealed && other.start == start)
    }

    mutating func setChildren(_ slices: [Slice]) {
      children = slices
      count = 1 + slices.reduce(0) { $0 + $1.count }
      depth = slices.map(\.depth).max().map { $0 + 1 } ?? 0
      if depth >= Nesting.depthLimit { seal() }
    }

    mutating func seal() {
      children = []
      count = 1
      depth = 0
      isSealed = true
    }
  }

  private var roots: [Slice] = []
  /// End of the last of `roots`.
  private var lastEnd: UInt64 = 0
  /// Slices that take up memory.
  private(set) var rememberedCount = 0

  /// Levels remembered. A step, a graph and an operator make three.
  private static let depthLimit: UInt8 = 8
  /// Above this many `append` leaves the decision to `insert`, which bounds memory.
  private static let appendLimit = 1 << 12

  /// Adds a slice that comes behind all others, the usual case.
  ///
  /// - Returns: false, changing nothing, when it is another case.
  @inline(__always)
  mutating func append(start: UInt64, end: UInt64) -> Bool {
    guard start >= lastEnd, rememberedCount < Self.appendLimit else { return false }
    roots.append(Slice(start: start, end: end))
    lastEnd = end
    rememberedCount += 1
    return true
  }

  /// Adds the slice if it is disjoint from, holds or lies inside every other one.
  ///
  /// - Parameter capacity: how many slices are remembered, at most.
  /// - Returns: false, changing nothing, when it would overlap one partly or enter a closed one.
  mutating func insert(start: UInt64, end: UInt64, capacity: Int) -> Bool {
    if rememberedCount >= capacity { closeOldest(capacity) }
    let slice = Slice(start: start, end: end)
    if start < lastEnd {
      guard Self.insert(slice, into: &roots) != nil else { return false }
    } else {
      roots.append(slice)
    }
    rememberedCount += 1
    lastEnd = roots[roots.count - 1].end
    return true
  }

  /// Forgets what lies inside of the slice, if it is at the top level: nothing more is to come there.
  mutating func seal(start: UInt64, end: UInt64) {
    for index in roots.indices.reversed() {
      if roots[index].end <= start { return }
      if roots[index].start == start, roots[index].end == end {
        roots[index].seal()
        close(through: index)
        return
      }
    }
  }

  /// Makes one closed stretch of all slices.
  mutating func close() { close(through: roots.count - 1) }

  private mutating func closeOldest(_ capacity: Int) {
    // Slices nested too deep were forgotten without being counted out.
    rememberedCount = roots.reduce(0) { $0 + Int($1.count) }
    var closed = 0
    var rest = rememberedCount
    while closed < roots.count, rest > capacity / 2 {
      rest -= Int(roots[closed].count)
      closed += 1
    }
    close(through: closed - 1)
  }

  /// Makes one closed stretch of the slices up to an index.
  private mutating func close(through index: Int) {
    guard index >= 0 else { return }
    let stretch = Slice(start: roots[0].start, end: roots[index].end, isSealed: true)
    roots.replaceSubrange(...index, with: CollectionOfOne(stretch))
    rememberedCount = roots.reduce(0) { $0 + Int($1.count) }
  }

  /// - Returns: levels inside of the sibling that took the slice in; nil when it was refused.
  private static func insert(_ slice: Slice, into siblings: inout [Slice], level: UInt8 = 0) -> UInt8? {
    // The siblings are disjoint and in order.
    let first = siblings.firstIndexInOrder { $0.end > slice.start || $0.start >= slice.start }
    if first < siblings.count, slice.isInside(siblings[first]), !siblings[first].isInside(slice) {
      if siblings[first].isSealed || level >= depthLimit { return nil }
      guard let depth = insert(slice, into: &siblings[first].children, level: level + 1) else { return nil }
      siblings[first].count += 1
      siblings[first].depth = max(siblings[first].depth, depth + 1)
      return siblings[first].depth
    }
    var last = first
    while last < siblings.count, siblings[last].start < slice.end || siblings[last].isInside(slice) {
      last += 1
    }
    let run = first..<last
    guard siblings[run].allSatisfy({ slice.canBeAround($0) }) else { return nil }
    var parent = slice
    parent.setChildren(Array(siblings[run]))
    siblings.replaceSubrange(run, with: CollectionOfOne(parent))
    return parent.depth
  }
}

extension Array {
  /// The first index whose element satisfies the predicate, which must hold for all that follow it.
  fileprivate func firstIndexInOrder(where predicate: (Element) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
