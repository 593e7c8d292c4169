import CTraceRecords
import TraceContainer

/// Puts the records of a trace in order of time, over the borders of chunks.
///
/// Records later than a chunk's last time less a hold-back wait for the next chunk.
struct RecordMerger: ~Copyable {
  /// A program that was held up between taking its time and writing is at most this late.
  static let holdBackNanoseconds: UInt64 = 5_000_000
  /// Beyond this the hold-back gives way to bounded memory.
  private static let carryLimitBytes = 32 << 20

  /// What was held back, in order; copies, as a chunk's bytes do not stay.
  private var carried: [RecordPlace] = []
  private var carriedBytes: [UInt8] = []
  private(set) var carriedRecords = 0
  private(set) var overflows = 0

  /// How far ``drain(_:in:upTo:into:)`` got.
  private var nextCarried = 0
  private var nextOwn = 0

  /// The time up to which records can be handed on once this chunk is there.
  mutating func limit(with order: borrowing RecordOrder) -> UInt64 {
    let hold = Self.holdBackNanoseconds
    let limit = order.latest > hold ? order.latest - hold : 0
    var waiting = 0
    for place in carried.reversed() {
      if place.time <= limit { break }
      waiting += Int(place.byteCount)
    }
    for place in order.list.reversed() {
      if place.time <= limit { break }
      waiting += Int(place.byteCount)
    }
    guard waiting > Self.carryLimitBytes else { return limit }
    overflows += 1
    return .max
  }

  /// Whether anything is held back that is not later than `time`.
  func holds(upTo time: UInt64) -> Bool { carried.first.map { $0.time <= time } ?? false }

  /// Hands on what was held back and what a chunk has, in order, up to `limit`; of equal times what was held back
  /// comes first.
  ///
  /// - Returns: false when it stopped because the builder's output is full: empty it and call again.
  mutating func drain(
    _ order: borrowing RecordOrder, in bytes: UnsafeRawBufferPointer, upTo limit: UInt64,
    into builder: inout RunBuilder
  ) -> Bool {
    let own = order.list
    while !builder.output.isFull {
      let isCarriedLeft = nextCarried < carried.count
      if nextOwn < own.count, !isCarriedLeft || own[nextOwn].time < carried[nextCarried].time {
        // Up to the next that was held back, of which there are few.
        let bound = isCarriedLeft ? min(limit, carried[nextCarried].time &- 1) : limit
        let start = nextOwn
        nextOwn = builder.process(own, from: start, upTo: bound, in: bytes)
        // The next is beyond the limit, and all that were held back are behind it.
        if nextOwn == start { return true }
      } else if isCarriedLeft, carried[nextCarried].time <= limit {
        carriedBytes.withUnsafeBytes { builder.process(carried[nextCarried].record(in: $0)) }
        nextCarried += 1
      } else {
        return true
      }
    }
    return false
  }

  /// Copies what was not handed on, for the next chunk.
  mutating func keep(_ order: borrowing RecordOrder, in bytes: UnsafeRawBufferPointer) {
    let own = order.list
    var (held, next) = (nextCarried, nextOwn)
    let room =
      carried[held...].reduce(0) { $0 + Int($1.byteCount) }
      + own[next...].reduce(0) { $0 + Int($1.byteCount) }
    var places: [RecordPlace] = []
    places.reserveCapacity(carried.count - held + own.count - next)
    let copies = [UInt8](unsafeUninitializedCapacity: room) { copies, used in
      carriedBytes.withUnsafeBytes { carriedBytes in
        while held < carried.count || next < own.count {
          let isHeld = next == own.count || held < carried.count && carried[held].time <= own[next].time
          let place = isHeld ? carried[held] : own[next]
          let source = UnsafeRawBufferPointer(
            rebasing: (isHeld ? carriedBytes : bytes)[
              Int(place.offset)..<Int(place.offset) + Int(place.byteCount)])
          places.append(
            RecordPlace(
              time: place.time, offset: UInt32(truncatingIfNeeded: used), byteCount: place.byteCount))
          UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(copies)[used...])
            .copyMemory(from: source)
          used += source.count
          if isHeld { held += 1 } else { next += 1 }
        }
      }
    }
    carried = places
    carriedBytes = copies
    carriedRecords += places.count
    nextCarried = 0
    nextOwn = 0
  }
}
