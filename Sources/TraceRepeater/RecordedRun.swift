import CTraceRecords
import TraceContainer

/// A record of a whole trace held in memory.
struct StoredRecord {
  /// Where it was told among the others; see ``RecordedRun``.
  var place: UInt64
  var group: Int
  var bytes: [UInt8]

  var head: pi_record { bytes.withUnsafeBytes { $0.loadUnaligned(as: pi_record.self) } }
  var type: UInt32 { UInt32(head.type) }
  /// Written by a program in the target, with a sequence number.
  var isTargets: Bool { type < PI_RECORD_FIRST_USER.rawValue }

  var isOperator: Bool { type == PI_RECORD_OP_BEGIN.rawValue || type == PI_RECORD_OP_FUSED.rawValue }
  /// Of a graph's walk.
  var isStructure: Bool {
    type >= PI_RECORD_STRUCTURE_BEGIN.rawValue && type <= PI_RECORD_STRUCTURE_END.rawValue
  }

  mutating func set<T: BitwiseCopyable>(_ value: T, at offset: Int) {
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value, toByteOffset: offset, as: T.self) }
  }

  func read<T: BitwiseCopyable>(_ type: T.Type) -> T? {
    bytes.count >= MemoryLayout<T>.size ? bytes.withUnsafeBytes { $0.loadUnaligned(as: T.self) } : nil
  }
}

/// A short trace, whole in memory.
///
/// The records of one type keep the order in which the recorder received them, which is not quite that of their
/// times; between types that order is told by nothing. So a record's place is the latest time of its type up to it.
struct RecordedRun {
  let header: FileHeader
  private(set) var metadata: [[UInt8]] = []
  private(set) var records: [StoredRecord] = []

  /// - Throws: `TraceError` for a trace that is not whole, `RepeatError` for one with lost records.
  init(_ bytes: UnsafeRawBufferPointer) throws {
    var reader = try TraceReader(bytes)
    header = reader.header
    var latest: [UInt64: (group: Int, place: UInt64)] = [:]
    var numbers: [UInt16: Set<UInt32>] = [:]
    var rows: [UInt8] = []
    while let chunk = try reader.nextChunk() {
      if chunk.kind == .metadata { metadata.append(try reader.metadata(chunk)) }
      guard chunk.kind.holdsRecords else { continue }
      for group in try reader.decode(chunk, into: &rows) {
        let key = UInt64(group.type) << 32 | UInt64(group.recordBytes)
        let (number, before) = latest[key] ?? (latest.count, 0)
        var place = before
        for i in 0..<group.count {
          let at = group.byteOffset + i * group.recordBytes
          let bytes = [UInt8](rows[at..<at + group.recordBytes])
          var record = StoredRecord(place: 0, group: number, bytes: bytes)
          place = max(place, record.head.time_ns)
          record.place = place
          if record.isTargets { numbers[record.head.cpu, default: []].insert(record.head.sequence) }
          records.append(record)
        }
        latest[key] = (number, place)
      }
    }
    guard reader.isComplete else { throw RepeatError("the trace was cut short") }
    for (cpu, seen) in numbers where seen.max().map({ Int($0) + 1 }) != seen.count {
      throw RepeatError("records of CPU \(cpu) were lost")
    }
    // Stable, so that each type keeps its order.
    records = records.enumerated().sorted {
      ($0.element.place, $0.element.group, $0.offset) < ($1.element.place, $1.element.group, $1.offset)
    }.map(\.element)
  }
}

struct RepeatError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
