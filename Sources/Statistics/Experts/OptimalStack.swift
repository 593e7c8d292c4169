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
/// As in a paging system, what is used is always brought into the cache. Memory is that of the things. A use goes
/// through the list in blocks up to the moment of the last use, and leaves out those in which nothing can change.
struct OptimalStack: Sendable {
  /// `moments[k - 1]` is what a cache of k things has more than one of k - 1; the latest moment comes first.
  private var moments: [UInt64] = []
  /// Of each block of `moments`.
  private var bounds: [Bounds] = []
  /// By thing, from 1; 0 for one that was not used.
  private var lastUse: [UInt64]
  private var now: UInt64 = 0

  private struct Bounds: Sendable {
    var least = UInt64.max
    var most: UInt64 = 0
  }

  private static let block = 64

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
    guard let latest = moments.first else {
      append(now)
      return nil
    }
    moments[0] = now
    bounds[0].most = now
    guard last > 0 else {
      // No cache has it: all lose their latest moment, and the largest, which had room left, gains it.
      append(latest)
      return nil
    }
    return latest == last ? 1 : take(last, latest)
  }

  /// Passes on what each cache loses: the one of k + 1 things loses the same as that of k, unless what it has more is
  /// nearer to `last` from below.
  ///
  /// Returns the size of the first cache that has a moment not later than `last`.
  private mutating func take(_ last: UInt64, _ latest: UInt64) -> Int? {
    var size: Int?
    var lost = latest
    moments.withUnsafeMutableBufferPointer { moments in
      bounds.withUnsafeMutableBufferPointer { bounds in
        for block in bounds.indices {
          if bounds[block].least > last || size != nil && bounds[block].most <= lost { continue }
          let first = block * Self.block
          var new = Bounds()
          for index in first..<min(first + Self.block, moments.count) {
            let moment = moments[index]
            if moment <= last, moment > lost || size == nil {
              moments[index] = lost
              lost = moment
              if size == nil { size = index + 1 }
            }
            new.least = min(new.least, moments[index])
            new.most = max(new.most, moments[index])
          }
          bounds[block] = new
          // Nothing is nearer; every thing that was used has its last use in the list.
          if lost == last { return }
        }
      }
    }
    return size
  }

  private mutating func append(_ moment: UInt64) {
    if moments.count % Self.block == 0 { bounds.append(Bounds()) }
    moments.append(moment)
    let block = bounds.count - 1
    bounds[block].least = min(bounds[block].least, moment)
    bounds[block].most = max(bounds[block].most, moment)
  }
}
