/// The smallest cache with which the best replacement there is (Belady's: throw out what is used again latest) has a
/// thing when it is used, for every use of a sequence, without looking ahead.
///
/// Whether the best replacement keeps a thing until its next use is settled by what happened up to that use: the
/// reuses that fit together are the most when each, at its end, is taken if there was room all the time since its
/// begin. For a cache of k things the room is told by k moments of last uses: there was room since moment s
/// if one of the k is not later than s, and taking the reuse uses up the latest such moment; a miss uses up the latest
/// of all. A larger cache has the moments of the smaller one and one more, so the moments of all caches
/// together are one list, one moment for each size ("critical stack": Bilardi, Ekanadham and Pattnaik, Optimal On-Line
/// Computation of Stack Distances for MIN and OPT, 2017).
///
/// As in a paging system, what is used is always brought into the cache. Memory is that of the things; a use takes as
/// many steps as the moment of the last use lies deep in the list.
struct OptimalStack: Sendable {
  /// `moments[k - 1]` is what a cache of k things has more than one of k - 1; the latest moment comes first.
  private var moments: [UInt64] = []
  /// By thing, from 1; 0 for one that was not used.
  private var lastUse: [UInt64]
  private var now: UInt64 = 0

  init(things: Int) {
    lastUse = Array(repeating: 0, count: things)
  }

  /// Adds things that were never used.
  mutating func append(things: Int) { lastUse += Array(repeating: 0, count: things) }

  /// Uses a thing. Returns the size of the smallest cache that has it; nil at its first use.
  mutating func use(_ thing: Int) -> Int? {
    let last = lastUse[thing]
    now += 1
    lastUse[thing] = now
    guard var carried = moments.first else {
      moments = [now]
      return nil
    }
    moments[0] = now
    guard last > 0 else {
      // No cache has it: all lose their latest moment, and the largest, which had room left, gains it.
      moments.append(carried)
      return nil
    }
    // `carried` is what the cache of `index` things loses. One more thing: it loses the same, unless what it has more
    // is nearer to `last` from below.
    if carried <= last { return 1 }
    let count = moments.count
    return moments.withUnsafeMutableBufferPointer { moments in
      var index = 1
      while index < count, moments[index] > last { index += 1 }
      // Every thing that was used has its last use in the list, so this is never its end.
      let size = index + 1
      while index < count {
        let moment = moments[index]
        if moment <= last, moment > carried || carried > last {
          moments[index] = carried
          carried = moment
          if carried == last { break }
        }
        index += 1
      }
      return size
    }
  }
}
