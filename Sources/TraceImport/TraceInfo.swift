import CTraceRecords
import TraceContainer
import TraceModel

/// Why a recording ended, as its END record says.
public enum EndReason: UInt8, Sendable {
  case targetExited = 1
  case interrupted = 2
  case tokens = 3
  case duration = 4
  case error = 5
}

/// What a trace says about itself, from headers, metadata and its last records: the events themselves are not
/// read, so that this takes milliseconds for a gigabyte.
public struct TraceInfo: Sendable {
  public struct Chunks: Sendable {
    public var metadata = 0
    public var events = 0
    public var unknown = 0
    /// Bytes in the file, headers included.
    public var storedBytes: UInt64 = 0
    public var rawBytes: UInt64 = 0
    public var records = 0
    public var count: Int { metadata + events + unknown }
  }
  /// Losses of one CPU, by the recorder's account and by the gaps in what the trace holds.
  public struct CPULoss: Sendable {
    public var cpu: Int
    /// Records of the CPU in the trace.
    public var records: UInt64
    /// Sequence numbers given out and not in the trace; damaged chunks count here too.
    public var missing: UInt64
    /// What the recorder counted; nil where it did not get to write it.
    public var reported: UInt64?
    public var unreadable: UInt64?
    public var expertsCut: UInt64?
    /// Both counts agree, or there is only one.
    public var isConsistent: Bool { reported.map { $0 == missing } ?? true }
  }
  public struct Cost: Sendable {
    /// User and system time of the recorder's process.
    public var cpuNanoseconds: UInt64
    public var peakResidentBytes: UInt64
    public var writtenBytes: UInt64
    public var records: UInt64
  }
  /// The clocks of one moment.
  public struct ClockAnchor: Sendable {
    public var monotonic: TraceTime
    public var boottimeNanoseconds: Int64
    public var realtimeNanoseconds: Int64
  }
  public struct ThreadName: Sendable {
    public var thread: ThreadID
    public var process: UInt32
    /// `comm`, with bytes that are no UTF-8 replaced.
    public var name: String
  }
  public struct End: Sendable {
    /// nil for a reason that this version does not know.
    public var reason: EndReason?
    public var records: UInt64
    public var lostRecords: UInt64
    public var chunks: UInt32
  }

  /// The path as given, `standard input` for `-`.
  public var file: String
  public var fileBytes: Int
  public var header: FileHeader
  public var metadata: TraceMetadata
  public var chunks = Chunks()
  /// Records by type number, from the group tables.
  public var recordCounts: [UInt8: Int] = [:]
  /// Of the records of the target; nil without any.
  public var range: TimeRange?
  public var cpus: [CPULoss] = []
  /// The last that was written; nil where none was.
  public var cost: Cost?
  /// In order of time.
  public var clocks: [ClockAnchor] = []
  public var threads: [ThreadName] = []
  /// Hits by index of the metadata's sites, as last written.
  public var siteHits: [Int: UInt64] = [:]
  /// Wait status of the target, where the recorder was its parent.
  public var waitStatus: UInt32?
  /// nil: the trace has no END record, it was cut short or is still being written.
  public var end: End?
  public var damage: [Damage] = []
  public var warnings: [String] = []

  public var isComplete: Bool { end != nil && damage.isEmpty }
  public var missingRecords: UInt64 { cpus.reduce(0) { $0 &+ $1.missing } }

  /// The name that TRACE-FORMAT.md gives a record type.
  public static func recordTypeName(_ type: UInt8) -> String { RecordType.name(type) }

  /// Records of a type.
  func count(_ type: UInt8) -> Int { recordCounts[type] ?? 0 }

  /// Chunks with records of the recorder itself that are decoded: the first, for what is written at the start,
  /// and the last, for counters.
  private static let firstDecoded = 8
  private static let lastDecoded = 24

  /// - Throws: `TraceFileError` when the header is wrong; damage behind it is listed instead.
  public init(_ trace: TraceFile) throws(TraceFileError) {
    var reader = try trace.reader()
    file = trace.name
    fileBytes = trace.bytes.count
    header = trace.header
    var metadataReader = MetadataReader()
    var sequences = SequenceAccount()
    var firstChunks: [Chunk] = []
    var lastChunks: [Chunk] = []
    var first = UInt64.max
    var last: UInt64 = 0
    while let chunk = reader.next(&damage) {
      chunks.storedBytes += UInt64(chunk.headerBytes + chunk.storedBytes)
      switch chunk.kind {
      case .metadata:
        chunks.metadata += 1
        do {
          metadataReader.add(try reader.metadata(chunk), at: chunk.offset)
        } catch {
          damage.append(Damage(offset: error.offset, skippedBytes: nil, description: error.description))
        }
      case .events, .end:
        chunks.events += 1
        chunks.rawBytes += UInt64(chunk.rawBytes)
        chunks.records += chunk.recordCount
        for group in chunk.groups { recordCounts[group.type, default: 0] += group.count }
        for range in chunk.cpus { sequences.add(range) }
        if !chunk.cpus.isEmpty {
          first = min(first, chunk.firstTime)
          last = max(last, chunk.lastTime)
        }
        guard chunk.groups.contains(where: { $0.type >= RecordType.firstUser }) else { break }
        if firstChunks.count < Self.firstDecoded {
          firstChunks.append(chunk)
        } else {
          if lastChunks.count == Self.lastDecoded { lastChunks.removeFirst() }
          lastChunks.append(chunk)
        }
      case .unknown: chunks.unknown += 1
      }
    }
    if first <= last { range = TimeRange(start: .init(nanoseconds: first), end: .init(nanoseconds: last)) }
    metadata = metadataReader.metadata()
    warnings = metadataReader.warnings
    var own = RecorderRecords()
    var buffer: [UInt8] = []
    for chunk in firstChunks + lastChunks {
      do {
        let groups = try reader.decode(chunk, into: &buffer)
        buffer.withUnsafeBytes { bytes in
          for group in groups where group.type >= RecordType.firstUser { own.add(group, in: bytes) }
        }
      } catch {
        damage.append(Damage(offset: error.offset, skippedBytes: nil, description: error.description))
      }
    }
    take(own, sequences)
  }

  private mutating func take(_ own: RecorderRecords, _ sequences: SequenceAccount) {
    cost = own.cost
    clocks = own.clocks.sorted { $0.monotonic < $1.monotonic }
    threads = own.threads.values.sorted { $0.thread < $1.thread }
    siteHits = own.siteHits
    waitStatus = own.waitStatus
    end = own.end
    for cpu in Set(sequences.cpus.keys).union(own.losses.keys).sorted() {
      let seen = sequences.cpus[cpu]
      let reported = own.losses[cpu]
      // Numbers given out after the last record that arrived.
      let given = max(seen?.numbersGiven ?? 0, reported?.lastSequence ?? 0)
      let records = seen?.records ?? 0
      cpus.append(
        CPULoss(
          cpu: cpu, records: records, missing: given > records ? given - records : 0,
          reported: reported?.lost, unreadable: reported?.unreadable, expertsCut: reported?.expertsCut))
    }
    for cpu in cpus where !cpu.isConsistent {
      warnings.append(
        "CPU \(cpu.cpu): the recorder counted \(cpu.reported ?? 0) lost records, "
          + "the sequence numbers show \(cpu.missing)")
    }
  }
}

extension TraceReader {
  /// The next readable chunk; damage on the way is listed and passed over.
  mutating func next(_ damage: inout [Damage]) -> Chunk? {
    while true {
      do {
        return try nextChunk()
      } catch {
        let skipped = skipToNextChunk()
        damage.append(
          Damage(offset: error.offset, skippedBytes: skipped, description: error.description))
        if skipped == nil { return nil }
      }
    }
  }
}

/// Sequence numbers of each CPU over the chunks of a trace. Numbers begin at 0 and may wrap at 2^32.
struct SequenceAccount {
  struct CPU {
    /// One more than the highest number seen, not wrapped.
    var numbersGiven: UInt64 = 0
    var records: UInt64 = 0
  }
  private(set) var cpus: [Int: CPU] = [:]

  /// Returns true when the chunk shows a gap: inside of it, or to what came before.
  @discardableResult
  mutating func add(_ range: CPURange) -> Bool {
    add(range.cpu, first: range.firstSequence, last: range.lastSequence, count: range.count)
  }

  @discardableResult
  mutating func add(_ number: Int, first: UInt32, last: UInt32, count: UInt32) -> Bool {
    var cpu = cpus[number] ?? CPU()
    let expected = UInt32(truncatingIfNeeded: cpu.numbersGiven)
    let ahead = Int32(bitPattern: last &- expected)
    if ahead >= 0 { cpu.numbersGiven &+= UInt64(ahead) &+ 1 }
    cpu.records &+= UInt64(count)
    cpus[number] = cpu
    return first != expected || last &- first &+ 1 != count
  }
}

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
      siteHits[Int(record.ref)] = site.hits
    case RecordType.exit: waitStatus = record.ref == PI_UNKNOWN_COUNT ? nil : record.ref
    case RecordType.end:
      guard let value = record.read(pi_end.self) else { return }
      end = .init(
        reason: EndReason(rawValue: record.flags), records: value.records, lostRecords: value.lost_records,
        chunks: value.chunks)
    default: break
    }
  }
}
