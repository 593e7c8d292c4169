import CTraceRecords
import TraceContainer

/// Puts the records of a trace in order of time.
///
/// A chunk holds its records grouped by type, and threads write into the recorder's buffer in an order that is
/// only nearly that of their times. Each group is sorted, the groups are merged, and records later than the
/// chunk's last time less a hold-back wait for the next chunk. Records of one thread never change places.
struct RecordMerger: ~Copyable {
  private struct Entry {
    var time: UInt64
    var base: UnsafeRawPointer
    var byteCount: Int
  }

  /// A program that was held up between taking its time and writing is at most this late.
  static let holdBackNanoseconds: UInt64 = 5_000_000
  /// Beyond this the hold-back gives way to bounded memory.
  private static let carryLimitBytes = 32 << 20

  /// Sorted lists; the first is what was carried.
  private var lists: [[Entry]] = [[]]
  private var used = 1
  /// Carried records lie in one of two buffers while the next ones are copied to the other.
  private var carry = [UnsafeMutableRawBufferPointer](repeating: .init(start: nil, count: 0), count: 2)
  private var current = 0
  private(set) var carriedRecords = 0
  private(set) var overflows = 0

  deinit { for buffer in carry { buffer.deallocate() } }

  /// Takes the groups of a decoded chunk. `bytes` must stay until the next `drain`.
  ///
  /// Returns the time up to which records can be handed on.
  mutating func add(
    _ groups: [RecordGroup], in bytes: UnsafeRawBufferPointer, _ oddities: inout OddityCounts
  ) -> UInt64 {
    var latest: UInt64 = 0
    used = 1
    guard let base = bytes.baseAddress else { return 0 }
    for group in groups where group.count > 0 {
      guard group.recordBytes >= MemoryLayout<pi_record>.size, group.byteOffset >= 0,
        group.count <= (bytes.count - group.byteOffset) / group.recordBytes
      else {
        oddities.count(.shortRecord, group.count)
        continue
      }
      // Most of the recorder's own records are about the recording, not about a moment of the target.
      let isRecorders = group.type >= RecordType.firstUser
      if isRecorders && !RecordType.isReading(group.type) { continue }
      if used == lists.count { lists.append([]) }
      let last = Self.fill(&lists[used], group, base)
      // Their times are later than those of records that programs have yet to write.
      if !isRecorders { latest = max(latest, last) }
      used += 1
    }
    return latest > Self.holdBackNanoseconds ? latest - Self.holdBackNanoseconds : 0
  }

  /// Fills a list with a group's records, sorted, and returns the latest time.
  private static func fill(_ list: inout [Entry], _ group: RecordGroup, _ base: UnsafeRawPointer) -> UInt64 {
    list.removeAll(keepingCapacity: true)
    list.reserveCapacity(group.count)
    var inOrder = true
    var latest: UInt64 = 0
    var pointer = base + group.byteOffset
    for _ in 0..<group.count {
      let time = pointer.u64(0)
      if time < latest { inOrder = false } else { latest = time }
      list.append(Entry(time: time, base: pointer, byteCount: group.recordBytes))
      pointer += group.recordBytes
    }
    if !inOrder { sort(&list) }
    return latest
  }

  /// Insertion sort, as the list is nearly sorted; a list that is not costs a full sort.
  private static func sort(_ list: inout [Entry]) {
    var budget = list.count * 16
    let sorted = list.withUnsafeMutableBufferPointer { entries -> Bool in
      for i in 1..<entries.count where entries[i].time < entries[i - 1].time {
        let entry = entries[i]
        var j = i
        while j > 0, entries[j - 1].time > entry.time {
          entries[j] = entries[j - 1]
          j -= 1
        }
        entries[j] = entry
        budget -= i - j
        if budget < 0 { return false }
      }
      return true
    }
    // Equal times stay in the order of their places.
    if !sorted { list.sort { ($0.time, UInt(bitPattern: $0.base)) < ($1.time, UInt(bitPattern: $1.base)) } }
  }

  /// Hands on everything up to `limit` in order and keeps copies of the rest.
  mutating func drain(upTo limit: UInt64, into builder: inout RunBuilder) {
    var limit = limit
    if limit < .max {
      var waiting = 0
      for list in lists[..<used] {
        for entry in list.reversed() {
          if entry.time <= limit { break }
          waiting += entry.byteCount
        }
      }
      if waiting > Self.carryLimitBytes {
        overflows += 1
        limit = .max
      }
    }
    var heads = [Int](repeating: 0, count: used)
    var times = [UInt64](repeating: .max, count: used)
    for i in 0..<used { times[i] = lists[i].first?.time ?? .max }
    merge(&heads, &times, limit, &builder)
    keep(heads)
  }

  private func merge(
    _ heads: inout [Int], _ times: inout [UInt64], _ limit: UInt64, _ builder: inout RunBuilder
  ) {
    let count = used
    heads.withUnsafeMutableBufferPointer { heads in
      times.withUnsafeMutableBufferPointer { times in
        while true {
          var best = -1
          var bestTime = UInt64.max
          for i in 0..<count where times[i] < bestTime || times[i] == bestTime && heads[i] < lists[i].count {
            if best >= 0, times[i] == bestTime, !precedes(i, best, heads) { continue }
            best = i
            bestTime = times[i]
          }
          guard best >= 0, bestTime <= limit else { return }
          // Most often several records of one list come before any of the others.
          var other = UInt64.max
          for i in 0..<count where i != best && times[i] < other { other = times[i] }
          lists[best].withUnsafeBufferPointer { list in
            var head = heads[best]
            repeat {
              builder.process(RecordView(base: list[head].base, byteCount: list[head].byteCount))
              head += 1
            } while head < list.count && list[head].time < other && list[head].time <= limit
            heads[best] = head
            times[best] = head < list.count ? list[head].time : .max
          }
        }
      }
    }
  }

  /// Of two records of equal time: carried ones first, then the CPU's own order.
  private func precedes(_ a: Int, _ b: Int, _ heads: UnsafeMutableBufferPointer<Int>) -> Bool {
    let first = lists[a][heads[a]]
    let second = lists[b][heads[b]]
    let x = RecordView(base: first.base, byteCount: first.byteCount)
    let y = RecordView(base: second.base, byteCount: second.byteCount)
    return b != 0 && x.cpu == y.cpu && Int32(bitPattern: x.sequence &- y.sequence) < 0
  }

  /// Copies what was not handed on.
  private mutating func keep(_ heads: [Int]) {
    var bytes = 0
    for i in 0..<used { for entry in lists[i][heads[i]...] { bytes += entry.byteCount } }
    let next = 1 - current
    if carry[next].count < bytes {
      carry[next].deallocate()
      carry[next] = .allocate(byteCount: max(bytes, 64 << 10), alignment: 16)
    }
    var carried: [Entry] = []
    var offset = 0
    for i in 0..<used {
      for entry in lists[i][heads[i]...] {
        guard let base = carry[next].baseAddress else { break }
        (base + offset).copyMemory(from: entry.base, byteCount: entry.byteCount)
        carried.append(Entry(time: entry.time, base: base + offset, byteCount: entry.byteCount))
        offset += entry.byteCount
      }
    }
    // Groups were sorted one by one; equal times keep the CPU's order.
    carried.sort {
      let x = RecordView(base: $0.base, byteCount: $0.byteCount)
      let y = RecordView(base: $1.base, byteCount: $1.byteCount)
      return ($0.time, x.cpu, x.sequence, UInt(bitPattern: x.base))
        < ($1.time, y.cpu, y.sequence, UInt(bitPattern: y.base))
    }
    lists[0] = carried
    carriedRecords += carried.count
    current = next
    used = 1
  }
}
