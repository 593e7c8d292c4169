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
  /// What a counter of a CPU counted, and for how much of the time.
  public struct CounterReading: Sendable {
    public var cpu: Int
    public var column: Int
    public var value: UInt64
    /// Nanoseconds that it was on, and that it had a register.
    public var enabled: UInt64
    public var running: UInt64
    /// Share of the time that it counted, 0…1; nil when it was never on.
    public var share: Double? { enabled > 0 ? min(1, Double(running) / Double(enabled)) : nil }
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
  /// Sites that never fired although their neighbours did.
  public var silentSites: Set<Int> = []
  /// Sites whose hits are those of all sites of their role.
  public var sharedSites: Set<Int> = []
  /// Backends that graphs were computed on, as far as they are among the records looked at.
  public var backends: [Backend] = []
  /// Last reading of each counter and CPU.
  public var counterReadings: [CounterReading] = []
  /// Clock frequencies and temperatures among the records looked at: all of a short recording, those near the begin
  /// and the end of a long one.
  public var readings: [Reading] = []
  /// Intervals without operator probes.
  public var probeGaps: [ProbeGap] = []
  /// Wait status of the target, where the recorder was its parent.
  public var waitStatus: UInt32?
  /// nil: the trace has no END record, it was cut short or is still being written.
  public var end: End?
  public var damage: [Damage] = []
  public var warnings: [String] = []

  public var isComplete: Bool { end != nil && damage.isEmpty }
  public var missingRecords: UInt64 { cpus.reduce(0) { $0 &+ $1.missing } }

  /// Share of the time that a counter had a register, on the CPU where it was least, 0…1; nil where not recorded.
  public func leastShare(ofColumn column: Int) -> Double? {
    counterReadings.filter { $0.column == column }.compactMap(\.share).min()
  }

  /// Whether all clock frequencies and temperatures of the trace are among `readings`.
  public var hasAllReadings: Bool {
    readings.count >= count(RecordType.frequency) + count(RecordType.temperature)
  }

  /// Record types of the scheduler's events.
  public static let switchTypes = [RecordType.switchOut, RecordType.switchIn, RecordType.wakeup]

  /// The name that TRACE-FORMAT.md gives a record type.
  public static func recordTypeName(_ type: UInt8) -> String { RecordType.name(type) }

  /// Records of a type.
  func count(_ type: UInt8) -> Int { recordCounts[type] ?? 0 }

  /// Chunks with records of the recorder itself that are decoded: the first, for what is written at the start,
  /// and the last, for counters.
  private static let firstDecoded = 8
  private static let lastDecoded = 24
  /// Chunks in between with one of the rare records that are shown.
  private static let othersDecoded = 64

  private static func isRecorders(_ type: UInt8) -> Bool {
    type >= RecordType.firstUser || type == RecordType.backend
  }

  private static func isWanted(_ type: UInt8) -> Bool {
    type == RecordType.backend || type == RecordType.probes
  }

  /// - Throws: `TraceFileError` when the header is wrong; damage behind it is listed instead.
  public init(_ trace: TraceFile) throws(TraceFileError) {
    var reader = try trace.reader()
    file = trace.name
    fileBytes = trace.bytes.count
    header = trace.header
    var metadataReader = MetadataReader()
    var sequences = SequenceAccount()
    var firstChunks: [Chunk] = []
    var otherChunks: [Chunk] = []
    var lastChunks: [Chunk] = []
    var first = UInt64.max
    var last: UInt64 = 0
    var counts = [Int](repeating: 0, count: 256)
    while let chunk = reader.next(&damage, headersOf: trace) {
      chunks.storedBytes += UInt64(chunk.headerBytes + chunk.storedBytes)
      switch chunk.kind {
      case .metadata:
        chunks.metadata += 1
        do {
          metadataReader.add(try reader.metadata(chunk), at: chunk.offset)
        } catch {
          damage.append(Damage(offset: error.offset, skippedBytes: nil, description: error.reason))
        }
      case .events, .end:
        chunks.events += 1
        chunks.rawBytes += UInt64(chunk.rawBytes)
        chunks.records += chunk.recordCount
        for group in chunk.groups { counts[Int(group.type)] += group.count }
        for range in chunk.cpus { sequences.add(range) }
        if !chunk.cpus.isEmpty {
          first = min(first, chunk.firstTime)
          last = max(last, chunk.lastTime)
        }
        if chunk.groups.contains(where: { Self.isWanted($0.type) }), otherChunks.count < Self.othersDecoded {
          otherChunks.append(chunk)
        }
        guard chunk.groups.contains(where: { $0.type >= RecordType.firstUser }) else { break }
        if firstChunks.count < Self.firstDecoded {
          firstChunks.append(chunk)
        } else {
          if lastChunks.count == 2 * Self.lastDecoded { lastChunks.removeFirst(Self.lastDecoded) }
          lastChunks.append(chunk)
        }
      case .unknown: chunks.unknown += 1
      }
    }
    for (type, count) in counts.enumerated() where count > 0 { recordCounts[UInt8(type)] = count }
    if first <= last { range = TimeRange(start: .init(nanoseconds: first), end: .init(nanoseconds: last)) }
    metadata = metadataReader.metadata()
    damage += metadataReader.damage
    warnings = [laterVersion].compactMap { $0 } + metadataReader.warnings
    var own = RecorderRecords()
    var buffer: [UInt8] = []
    lastChunks = lastChunks.suffix(Self.lastDecoded)
    let ends = Set((firstChunks + lastChunks).map(\.offset))
    let others = otherChunks.filter { !ends.contains($0.offset) }
    for chunk in (firstChunks + others + lastChunks).sorted(by: { $0.offset < $1.offset }) {
      do {
        let groups = try reader.decode(chunk, into: &buffer, where: Self.isRecorders)
        buffer.withUnsafeBytes { bytes in
          for group in groups where Self.isRecorders(group.type) { own.add(group, in: bytes) }
        }
      } catch {
        damage.append(Damage(offset: error.offset, skippedBytes: nil, description: error.reason))
      }
    }
    take(own, sequences)
  }

  /// What a trace of a later minor version has and this reader passes over; nil for versions that it knows.
  public var laterVersion: String? {
    guard header.isOfLaterVersion else { return nil }
    var records = 0
    for (type, count) in recordCounts where !RecordType.isKnown(type) { records += count }
    let version = "\(header.major).\(header.minor)"
    return """
      written in version \(version) of the format, of which this prof-analyze knows \(FileHeader.knownVersion): what is new \
      in it is passed over (records of unknown types: \(records), chunks: \(chunks.unknown)); a newer prof-analyze reads \
      all of it
      """
  }

  private mutating func take(_ own: RecorderRecords, _ sequences: SequenceAccount) {
    cost = own.cost
    clocks = own.clocks.sorted { $0.monotonic < $1.monotonic }
    threads = own.threads.values.sorted { $0.thread < $1.thread }
    siteHits = own.siteHits
    silentSites = own.silentSites
    sharedSites = own.sharedSites
    backends = own.backends.values.sorted { $0.address < $1.address }
    counterReadings = own.counters.values.sorted { ($0.column, $0.cpu) < ($1.column, $1.cpu) }
    readings = own.readings
    probeGaps = own.probeGaps(end: range?.end)
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
  ///
  /// - Parameter file: to copy headers from, for who needs nothing else.
  mutating func next(_ damage: inout [Damage], headersOf file: TraceFile? = nil) -> Chunk? {
    while true {
      do {
        guard let file else { return try nextChunk() }
        return try nextChunk { file.copy(from: $0, to: $1) }
      } catch {
        let skipped = skipToNextChunk()
        damage.append(
          Damage(offset: error.offset, skippedBytes: skipped, description: error.reason))
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
