/// Decides whether a slice nests properly among those already on a lane.
///
/// Trace viewers take the slices of a lane for a call stack: two of them must be disjoint or one must hold the other.
/// A slice comes behind those that it holds. So only the outermost ones are remembered, and whatever enters one of
/// them is refused. What a finished token step has is forgotten with `seal`. Memory is bounded: when too many remain
/// side by side, the oldest become one stretch.
struct Nesting {
  private struct Stretch {
    var start: UInt64
    var end: UInt64
  }

  /// Disjoint and in order.
  private var stretches: [Stretch] = []
  /// End of the last of them.
  private var lastEnd: UInt64 = 0
  /// Whether the first one is several slices and what is between them, all of which may be written.
  private var isFirstSealed = false

  /// What takes up memory.
  var rememberedCount: Int { stretches.count }

  /// Adds a slice that comes behind all others, the usual case.
  ///
  /// - Parameter capacity: how many slices are remembered, at most.
  /// - Returns: false, changing nothing, when it is another case.
  @inline(__always)
  mutating func append(start: UInt64, end: UInt64, capacity: Int) -> Bool {
    guard start >= lastEnd, stretches.count < capacity else { return false }
    stretches.append(Stretch(start: start, end: end))
    lastEnd = end
    return true
  }

  /// Adds a slice if it is disjoint from or holds every other one.
  ///
  /// - Returns: false, changing nothing, when it overlaps one partly, lies inside one, or begins with a sealed one: of
  ///   two slices that begin at once the outer one must be written first.
  mutating func insert(start: UInt64, end: UInt64, capacity: Int) -> Bool {
    if stretches.count >= capacity { seal(count: max(1, stretches.count / 2)) }
    let first = firstIndex { $0.end > start || $0.start >= start }
    var behind = first
    while behind < stretches.count, stretches[behind].start < end { behind += 1 }
    for index in first..<behind where stretches[index].start < start || stretches[index].end > end {
      return false
    }
    let holdsSealed = isFirstSealed && first == 0 && behind > 0
    if holdsSealed {
      if start == stretches[0].start { return false }
      isFirstSealed = false
    }
    stretches.replaceSubrange(first..<behind, with: CollectionOfOne(Stretch(start: start, end: end)))
    lastEnd = stretches[stretches.count - 1].end
    return true
  }

  /// Makes one stretch of a slice and all before it: nothing more is to come there, nor around them.
  mutating func seal(start: UInt64, end: UInt64) {
    let index = firstIndex { $0.end >= end }
    if index < stretches.count, stretches[index].start == start, stretches[index].end == end {
      seal(count: index + 1)
    }
  }

  /// Makes one stretch of all slices.
  mutating func sealAll() { seal(count: stretches.count) }

  private mutating func seal(count: Int) {
    guard count > 0 else { return }
    let sealed = Stretch(start: stretches[0].start, end: stretches[count - 1].end)
    stretches.replaceSubrange(..<count, with: CollectionOfOne(sealed))
    isFirstSealed = true
  }

  /// The first index whose stretch satisfies a predicate that holds for all behind it.
  private func firstIndex(where predicate: (Stretch) -> Bool) -> Int {
    // Near the end in most cases.
    var low = 0
    var high = stretches.count
    if high > 8, !predicate(stretches[high - 8]) { low = high - 7 }
    while low < high {
      let middle = (low + high) / 2
      if predicate(stretches[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
