import CTraceRecords
import TraceContainer

/// Where a record lies, and when it was written.
struct RecordPlace {
  var time: UInt64
  /// In the bytes that the order is of.
  var offset: UInt32
  var byteCount: UInt32

  /// - Parameter bytes: those of the order.
  @inline(__always)
  func record(in bytes: UnsafeRawBufferPointer) -> RecordView {
    RecordView(base: bytes.baseAddress! + Int(offset), byteCount: Int(byteCount))
  }
}

/// The records of a chunk in order of time.
///
/// A chunk holds its records grouped by type, each group in the order in which the recorder received them, which is
/// only nearly that of their times. Each group is sorted, and groups are merged, the smallest first. Records of one
/// thread never change places. Every record of a trace goes through here, so the loops use raw memory; what they rely on
/// is checked when a group is taken.
struct RecordOrder: ~Copyable {
  /// Beyond this many groups, which no recorder writes, merging one by one would take the square of their number.
  private static let maxMerged = 64

  private var places: UnsafeMutablePointer<RecordPlace>
  private var count = 0
  /// Latest time of the target's records.
  private(set) var latest: UInt64 = 0
  /// How many of the records are the target's.
  private(set) var targetCount = 0
  /// Records that are too small, or not in the bytes.
  private(set) var shortRecords = 0

  /// The next group, and the next result.
  private var group: UnsafeMutablePointer<RecordPlace>
  private var merged: UnsafeMutablePointer<RecordPlace>
  private var capacity = 0

  init() {
    places = .allocate(capacity: 0)
    group = .allocate(capacity: 0)
    merged = .allocate(capacity: 0)
  }

  /// The records in order; valid until the next ``take(_:in:)``.
  var list: UnsafeBufferPointer<RecordPlace> { UnsafeBufferPointer(start: places, count: count) }

  deinit {
    places.deallocate()
    group.deallocate()
    merged.deallocate()
  }

  /// Takes the groups of a decoded chunk instead of those before.
  mutating func take(_ groups: [RecordGroup], in bytes: UnsafeRawBufferPointer) {
    count = 0
    latest = 0
    targetCount = 0
    shortRecords = 0
    let usable = usable(groups, bytes.count)
    reserve(usable.reduce(0) { $0 + $1.count })
    guard let base = bytes.baseAddress else { return }
    if usable.count > Self.maxMerged {
      for group in usable { append(group, base) }
      sort(places, count, base)
      return
    }
    for next in usable.sorted(by: { $0.count < $1.count }) {
      let isInOrder = list(next, base)
      if !isInOrder { sort(group, next.count, base) }
      if count == 0 {
        swap(&places, &group)
      } else {
        RecordPlace.merge(places, count, group, next.count, base, into: merged)
        swap(&places, &merged)
      }
      count += next.count
    }
  }

  /// The groups with records that are about moments of the run.
  private mutating func usable(_ groups: [RecordGroup], _ byteCount: Int) -> [RecordGroup] {
    groups.filter { group in
      guard group.count > 0 else { return false }
      guard group.recordBytes >= MemoryLayout<pi_record>.size, group.byteOffset >= 0,
        group.byteOffset <= byteCount, group.count <= (byteCount - group.byteOffset) / group.recordBytes,
        byteCount <= Int(UInt32.max)
      else {
        shortRecords += group.count
        return false
      }
      // Most of the recorder's own records are about the recording.
      return group.type < RecordType.firstUser || RecordType.isReading(group.type)
    }
  }

  private mutating func reserve(_ records: Int) {
    guard records > capacity else { return }
    capacity = records
    for list in [places, group, merged] { list.deallocate() }
    places = .allocate(capacity: records)
    group = .allocate(capacity: records)
    merged = .allocate(capacity: records)
  }

  /// Puts the places of a group into `group`; returns whether they are in order.
  private mutating func list(_ next: RecordGroup, _ base: UnsafeRawPointer) -> Bool {
    var isInOrder = true
    var last: UInt64 = 0
    var offset = next.byteOffset
    for i in 0..<next.count {
      let time = base.u64(offset)
      if time < last { isInOrder = false } else { last = time }
      group[i] = RecordPlace(
        time: time, offset: UInt32(truncatingIfNeeded: offset),
        byteCount: UInt32(truncatingIfNeeded: next.recordBytes))
      offset &+= next.recordBytes
    }
    // The recorder's own are later than records that programs have yet to write.
    if next.type < RecordType.firstUser {
      latest = max(latest, last)
      targetCount += next.count
    }
    return isInOrder
  }

  private mutating func append(_ next: RecordGroup, _ base: UnsafeRawPointer) {
    _ = list(next, base)
    (places + count).update(from: group, count: next.count)
    count += next.count
  }

  /// Insertion sort, as the list is nearly sorted; a list that is not costs a full sort. Equal times stay in the
  /// order of their places.
  private func sort(_ list: UnsafeMutablePointer<RecordPlace>, _ count: Int, _ base: UnsafeRawPointer) {
    var budget = count * 16
    for i in 1..<max(count, 1) where list[i].time < list[i - 1].time {
      let place = list[i]
      var j = i
      while j > 0, list[j - 1].time > place.time {
        list[j] = list[j - 1]
        j -= 1
      }
      list[j] = place
      budget -= i - j
      if budget < 0 {
        var all = UnsafeMutableBufferPointer(start: list, count: count)
        return all.sort { ($0.time, $0.offset) < ($1.time, $1.offset) }
      }
    }
  }
}

extension RecordPlace {
  /// Merges two lists that are in order into a third place. From both ends at once, and without branches that a
  /// processor would have to guess: which list comes next is as good as random.
  static func merge(
    _ first: UnsafePointer<RecordPlace>, _ firstCount: Int, _ second: UnsafePointer<RecordPlace>,
    _ secondCount: Int, _ base: UnsafeRawPointer, into output: UnsafeMutablePointer<RecordPlace>
  ) {
    var (a, b, out) = (first, second, output)
    var (aEnd, bEnd) = (a + firstCount, b + secondCount)
    var outEnd = output + firstCount + secondCount
    while true {
      // As many rounds as cannot exhaust either list.
      let rounds = min(aEnd - a, bEnd - b) / 2
      if rounds == 0 { break }
      for _ in 0..<rounds {
        let front = precedes(b, a, base)
        out.pointee = (front == 1 ? b : a).pointee
        out += 1
        b += front
        a += 1 &- front
        let back = precedes(bEnd - 1, aEnd - 1, base)
        outEnd -= 1
        outEnd.pointee = ((back == 1 ? aEnd : bEnd) - 1).pointee
        aEnd -= back
        bEnd -= 1 &- back
      }
    }
    while a < aEnd, b < bEnd {
      let front = precedes(b, a, base)
      out.pointee = (front == 1 ? b : a).pointee
      out += 1
      b += front
      a += 1 &- front
    }
    out.update(from: a, count: aEnd - a)
    (out + (aEnd - a)).update(from: b, count: bEnd - b)
  }

  /// 1 when a record of the second list comes before one of the first, else 0.
  @inline(__always)
  private static func precedes(
    _ b: UnsafePointer<RecordPlace>, _ a: UnsafePointer<RecordPlace>, _ base: UnsafeRawPointer
  ) -> Int {
    if a.pointee.time == b.pointee.time { return comesBefore(b.pointee, a.pointee, base) ? 1 : 0 }
    return b.pointee.time < a.pointee.time ? 1 : 0
  }

  /// Records with equal times are in their CPU's own order, or in that of their places.
  @inline(never)
  private static func comesBefore(_ b: RecordPlace, _ a: RecordPlace, _ base: UnsafeRawPointer) -> Bool {
    let x = RecordView(base: base + Int(b.offset), byteCount: Int(b.byteCount))
    let y = RecordView(base: base + Int(a.offset), byteCount: Int(a.byteCount))
    if x.cpu == y.cpu, x.sequence != y.sequence {
      return Int32(bitPattern: x.sequence &- y.sequence) < 0
    }
    return b.offset < a.offset
  }
}
