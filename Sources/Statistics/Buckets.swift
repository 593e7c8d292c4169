/// Counters in a row, of which only those between the lowest and the highest in use are in memory.
///
/// A value like an array, but who counts much asks once whether the memory is its own (`own`) and not for each value.
struct Buckets: Sendable {
  /// Where memory begins and ends are multiples of this.
  private static let stride = 128

  private final class Memory: @unchecked Sendable {
    let counts: UnsafeMutablePointer<UInt64>

    init(_ capacity: Int) {
      counts = .allocate(capacity: capacity)
      counts.initialize(repeating: 0, count: capacity)
    }

    deinit { counts.deallocate() }
  }

  private var memory: Memory?
  /// Of `memory`.
  private var counts: Counts?
  /// Number of the first in memory.
  private var first = 0
  private var capacity = 0

  /// What `memory` keeps alive, and whoever may write there has made sure to be its only owner.
  private struct Counts: @unchecked Sendable {
    var pointer: UnsafeMutablePointer<UInt64>
  }

  var isEmpty: Bool { capacity == 0 }

  /// Numbers and counts, in order.
  var occupied: some Sequence<(bucket: Int, hits: UInt64)> {
    UnsafeBufferPointer(start: counts?.pointer, count: capacity).enumerated().lazy
      .filter { $0.element > 0 }
      .map { (bucket: first + $0.offset, hits: $0.element) }
  }

  /// Makes sure that the memory is not another value's too.
  mutating func own() {
    if memory == nil || isKnownUniquelyReferenced(&memory) { return }
    move(to: first, capacity)
  }

  /// Counts one, when the bucket is in memory; returns whether it is. Only after `own`.
  @inline(__always)
  func count(_ bucket: Int) -> Bool {
    let index = bucket &- first
    guard UInt(bitPattern: index) < UInt(bitPattern: capacity), let counts else { return false }
    counts.pointer[index] &+= 1
    return true
  }

  /// Only after `own`.
  mutating func add(_ hits: UInt64, to bucket: Int) {
    let low = bucket / Self.stride * Self.stride
    if isEmpty {
      move(to: low, Self.stride)
    } else if bucket < first || bucket >= first + capacity {
      let begin = min(first, low)
      move(to: begin, max(first + capacity, low + Self.stride) - begin)
    }
    memory?.counts[bucket - first] &+= hits
  }

  private mutating func move(to begin: Int, _ room: Int) {
    let larger = Memory(room)
    if let memory { (larger.counts + (first - begin)).update(from: memory.counts, count: capacity) }
    memory = larger
    counts = Counts(pointer: larger.counts)
    first = begin
    capacity = room
  }
}
