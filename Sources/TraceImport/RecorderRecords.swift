import CTraceRecords
import TraceContainer
import TraceModel

/// The records that the recorder's user space wrote.
struct RecorderRecords {
  struct Loss {
    var lost: UInt64
    var unreadable: UInt64
    var expertsCut: UInt64
    var lastSequence: UInt64
  }
  var losses: [Int: Loss] = [:]
  var cost: TraceInfo.Cost?
  var clocks: [TraceInfo.ClockAnchor] = []
  var threads: [UInt32: TraceInfo.ThreadName] = [:]
  var siteHits: [Int: UInt64] = [:]
  var silentSites: Set<Int> = []
  var sharedSites: Set<Int> = []
  var backends: [UInt64: Backend] = [:]
  /// By column and CPU.
  var counters: [Int: TraceInfo.CounterReading] = [:]
  /// Clock frequencies and temperatures.
  var readings: [Reading] = []
  /// Times at which operator probes were dropped or put back, with the decoding speed.
  private var probes: [(time: UInt64, isDropped: Bool, speed: Double)] = []
  var waitStatus: UInt32?
  var end: TraceInfo.End?

  /// More are not kept: no machine has them, a hostile file may.
  private static let limit = 65536

  mutating func add(_ group: RecordGroup, in bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress, group.recordBytes >= MemoryLayout<pi_record>.size,
      group.byteOffset + group.recordBytes * group.count <= bytes.count
    else { return }
    for i in 0..<group.count {
      add(RecordView(base: base + group.byteOffset + i * group.recordBytes, byteCount: group.recordBytes))
    }
  }

  private mutating func add(_ record: RecordView) {
    switch record.type {
    case RecordType.clock:
      guard let clock = record.read(pi_clock.self), clocks.count < Self.limit else { return }
      clocks.append(
        .init(
          monotonic: TraceTime(nanoseconds: record.time), boottimeNanoseconds: clock.boottime_ns,
          realtimeNanoseconds: clock.realtime_ns))
    case RecordType.loss:
      guard let loss = record.read(pi_loss.self) else { return }
      losses[Int(record.cpu)] = Loss(
        lost: loss.lost_records, unreadable: loss.unreadable, expertsCut: loss.experts_cut,
        lastSequence: loss.last_sequence)
    case RecordType.cost:
      guard let value = record.read(pi_cost.self) else { return }
      cost = .init(
        cpuNanoseconds: value.cpu_ns, peakResidentBytes: value.resident_bytes,
        writtenBytes: value.written_bytes, records: value.records)
    case RecordType.thread:
      guard var thread = record.read(pi_thread.self), threads.count < Self.limit else { return }
      let name = withUnsafeBytes(of: &thread.comm) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
      threads[record.tid] = .init(thread: ThreadID(record.tid), process: thread.tgid, name: name)
    case RecordType.site:
      guard let site = record.read(pi_site.self), siteHits.count < Self.limit else { return }
      let index = Int(record.ref)
      siteHits[index] = site.hits
      set(&silentSites, index, UInt32(record.flags) & PI_SITE_SILENT.rawValue != 0)
      set(&sharedSites, index, UInt32(record.flags) & PI_SITE_SHARED.rawValue != 0)
    case RecordType.backend:
      guard let backend = record.read(pi_backend.self), backends.count < Self.limit else { return }
      backends[backend.backend] = Backend(backend)
    case RecordType.counter:
      guard let read = record.read(pi_counter.self), record.ref < UInt32(PI_COUNTERS_CAPACITY) else { return }
      counters[Int(record.ref) << 16 | Int(record.cpu)] = .init(
        cpu: Int(record.cpu), column: Int(record.ref), value: read.value, enabled: read.enabled_ns,
        running: read.running_ns)
    case RecordType.frequency:
      guard readings.count < Self.limit else { return }
      readings.append(
        Reading(
          time: TraceTime(nanoseconds: record.time),
          value: .frequency(cpu: Int(record.cpu), kilohertz: record.ref)))
    case RecordType.temperature:
      guard let read = record.read(pi_temperature.self), readings.count < Self.limit else { return }
      readings.append(
        Reading(
          time: TraceTime(nanoseconds: record.time),
          value: .temperature(zone: Int(record.ref), millicelsius: read.millicelsius)))
    case RecordType.probes:
      let isDropped = UInt32(record.flags) == PI_PROBES_DROPPED.rawValue
      guard probes.count < Self.limit, isDropped || UInt32(record.flags) == PI_PROBES_RESUMED.rawValue
      else { return }
      probes.append((record.time, isDropped, Double(record.ref) / 1000))
    case RecordType.exit: waitStatus = record.ref == PI_UNKNOWN_COUNT ? nil : record.ref
    case RecordType.end:
      guard let value = record.read(pi_end.self) else { return }
      end = .init(
        reason: EndReason(rawValue: record.flags), records: value.records, lostRecords: value.lost_records,
        chunks: value.chunks)
    default: break
    }
  }

  private func set(_ sites: inout Set<Int>, _ index: Int, _ isMember: Bool) {
    if isMember { sites.insert(index) } else { sites.remove(index) }
  }

  /// Intervals without operator probes; one that goes on ends with the recording.
  func probeGaps(end: TraceTime?) -> [ProbeGap] {
    var gaps: [ProbeGap] = []
    var open: (time: UInt64, speed: Double)?
    func gap(_ from: (time: UInt64, speed: Double), to time: UInt64, _ speed: Double?) -> ProbeGap {
      ProbeGap(
        range: TimeRange(
          start: .init(nanoseconds: from.time), end: .init(nanoseconds: max(time, from.time))),
        droppedAt: from.speed, resumedAt: speed)
    }
    for event in probes.sorted(by: { $0.time < $1.time }) {
      if event.isDropped {
        if open == nil { open = (event.time, event.speed) }
      } else if let begun = open {
        gaps.append(gap(begun, to: event.time, event.speed))
        open = nil
      }
    }
    if let open { gaps.append(gap(open, to: end?.nanoseconds ?? open.time, nil)) }
    return gaps
  }
}
