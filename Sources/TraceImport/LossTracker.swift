import TraceContainer
import TraceModel

/// Finds where records are missing: jumps in the sequence numbers of a CPU, with the times around them.
///
/// A record that comes late closes the jump that it made, so a jump counts only when it has stood for a while.
struct LossTracker: ~Copyable {
  private struct CPU {
    var next: UInt32 = 0
    var lastTime: UInt64 = 0
    var isKnown = false
    /// The last chunk in which `lastTime` was found.
    var chunk: UInt64 = 0
  }
  private struct Gap {
    var cpu: Int
    var first: UInt32
    var count: UInt32
    var missing: UInt32
    var start: UInt64
    var end: UInt64
    var batch: Int
  }

  static let maxCPUs = 4096
  private static let maxOpen = 1024
  private static let maxTimed = 64

  /// By number.
  private var cpus: UnsafeMutablePointer<CPU>
  private var cpuCount = 0
  private var open: [Gap] = []
  private var batch = 0
  private var chunk: UInt64 = 0
  private(set) var lost: UInt64 = 0
  private(set) var repeated = 0

  init() { cpus = .allocate(capacity: 0) }

  deinit { cpus.deallocate() }

  /// Takes the records of the next chunk.
  ///
  /// - Parameter ranges: the chunk's table of CPUs. Where it says that nothing is missing, there is no need to look at
  ///   each record.
  mutating func note(_ ranges: [CPURange], _ order: borrowing RecordOrder, in bytes: UnsafeRawBufferPointer) {
    if isRegular(ranges, order) {
      for range in ranges { cpus[range.cpu].next = range.lastSequence &+ 1 }
      noteTimes(ranges.count, order, in: bytes)
    } else {
      for place in order.list where place.time < RunBuilder.maxTime {
        let record = place.record(in: bytes)
        if record.type < RecordType.firstUser { note(record, place.time) }
      }
    }
  }

  /// Whether the numbers of each CPU go on from those before, without a gap, and the table has all records.
  private mutating func isRegular(_ ranges: [CPURange], _ order: borrowing RecordOrder) -> Bool {
    // Damaged tables may have any number of CPUs.
    guard ranges.count <= Self.maxTimed, order.shortRecords == 0, order.latest < RunBuilder.maxTime else {
      return false
    }
    var records = 0
    for range in ranges {
      guard range.cpu < Self.maxCPUs else { return false }
      if range.cpu >= cpuCount { grow(to: range.cpu + 1) }
      guard range.firstSequence == cpus[range.cpu].next, range.count > 0,
        range.lastSequence &- range.firstSequence == range.count &- 1
      else { return false }
      records += Int(range.count)
    }
    return records == order.targetCount
  }

  /// Finds the last record of each CPU, from the end.
  private mutating func noteTimes(
    _ count: Int, _ order: borrowing RecordOrder, in bytes: UnsafeRawBufferPointer
  ) {
    chunk &+= 1
    var missing = count
    for place in order.list.reversed() {
      if missing == 0 { return }
      let record = place.record(in: bytes)
      let cpu = Int(record.cpu)
      guard record.type < RecordType.firstUser, cpu < cpuCount, cpus[cpu].chunk != chunk else { continue }
      cpus[cpu].chunk = chunk
      cpus[cpu].lastTime = place.time
      cpus[cpu].isKnown = true
      missing -= 1
    }
  }

  private mutating func note(_ record: RecordView, _ time: UInt64) {
    let cpu = Int(record.cpu)
    let sequence = record.sequence
    if cpu < cpuCount, cpus[cpu].next == sequence {
      cpus[cpu].next = sequence &+ 1
      cpus[cpu].lastTime = time
      cpus[cpu].isKnown = true
    } else {
      irregular(cpu, sequence, time)
    }
  }

  private mutating func irregular(_ cpu: Int, _ sequence: UInt32, _ time: UInt64) {
    guard cpu < Self.maxCPUs else { return }
    if cpu >= cpuCount { grow(to: cpu + 1) }
    let ahead = Int32(bitPattern: sequence &- cpus[cpu].next)
    if ahead >= 0 {
      if ahead > 0, open.count < Self.maxOpen {
        let start = cpus[cpu].isKnown ? cpus[cpu].lastTime : time
        open.append(
          Gap(
            cpu: cpu, first: cpus[cpu].next, count: UInt32(ahead), missing: UInt32(ahead), start: start,
            end: max(start, time), batch: batch))
      } else {
        lost &+= UInt64(ahead)
      }
      cpus[cpu].next = sequence &+ 1
      cpus[cpu].lastTime = max(cpus[cpu].lastTime, time)
      cpus[cpu].isKnown = true
    } else if let gap = open.lastIndex(where: {
      $0.cpu == cpu && sequence &- $0.first < $0.count && $0.missing > 0
    }) {
      open[gap].missing -= 1
    } else {
      repeated += 1
    }
  }

  private mutating func grow(to count: Int) {
    let larger = UnsafeMutablePointer<CPU>.allocate(capacity: count)
    larger.initialize(repeating: CPU(), count: count)
    larger.update(from: cpus, count: cpuCount)
    cpus.deallocate()
    cpus = larger
    cpuCount = count
  }

  /// Ends a batch: jumps that have stood for two become losses.
  mutating func endBatch(_ output: inout Output) {
    batch += 1
    guard !open.isEmpty else { return }
    let now = batch
    report(&output) { $0.batch + 2 <= now || $0.missing == 0 }
  }

  private mutating func report(_ output: inout Output, where isOver: (Gap) -> Bool) {
    var kept: [Gap] = []
    for gap in open {
      guard isOver(gap) else {
        kept.append(gap)
        continue
      }
      if gap.missing == 0 { continue }
      lost &+= UInt64(gap.missing)
      output.append(
        .loss(
          LossGap(
            cpu: gap.cpu,
            range: TimeRange(start: .init(nanoseconds: gap.start), end: .init(nanoseconds: gap.end)),
            lostRecords: UInt64(gap.missing))))
    }
    open = kept
  }

  mutating func finish(_ output: inout Output, end: UInt64) {
    report(&output) { _ in true }
  }

  /// Numbers given out after the last record of a CPU that arrived.
  mutating func addTail(cpu: Int, lost count: UInt64, end: UInt64, _ output: inout Output) {
    guard count > 0 else { return }
    lost &+= count
    let start = cpu < cpuCount && cpus[cpu].isKnown ? cpus[cpu].lastTime : end
    output.append(
      .loss(
        LossGap(
          cpu: cpu,
          range: TimeRange(start: .init(nanoseconds: start), end: .init(nanoseconds: max(start, end))),
          lostRecords: count)))
  }
}
