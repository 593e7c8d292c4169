import CTraceRecords

/// What a chunk holds.
public enum ChunkKind: Equatable, Sendable {
  /// One UTF-8 JSON object.
  case metadata
  /// Groups of records.
  case events
  /// As `events`; the last chunk of a complete trace.
  case end
  /// Written by a later minor version; skip it.
  case unknown(UInt16)

  init(raw: UInt16) {
    switch UInt32(raw) {
    case PI_CHUNK_METADATA.rawValue: self = .metadata
    case PI_CHUNK_EVENTS.rawValue: self = .events
    case PI_CHUNK_END.rawValue: self = .end
    default: self = .unknown(raw)
    }
  }

  var raw: UInt16 {
    switch self {
    case .metadata: UInt16(PI_CHUNK_METADATA.rawValue)
    case .events: UInt16(PI_CHUNK_EVENTS.rawValue)
    case .end: UInt16(PI_CHUNK_END.rawValue)
    case .unknown(let raw): raw
    }
  }

  /// Whether the payload is made of groups of records.
  public var holdsRecords: Bool { self == .events || self == .end }
}

/// The sequence numbers of one CPU in one chunk.
///
/// Numbers of a CPU rise by one for each record that its programs tried to write. They are 32 bits wide and
/// may wrap: compare them as differences modulo 2^32.
public struct CPURange: Equatable, Sendable {
  public var cpu: Int
  /// The earliest and the latest number.
  public var firstSequence: UInt32
  public var lastSequence: UInt32
  /// Records of this CPU. Fewer than the numbers span: records in between are lost or in a neighbour chunk.
  public var count: UInt32
}

/// One entry of a chunk's group table, as the file has it.
public struct GroupInfo: Equatable, Sendable {
  /// `PI_RECORD_…`.
  public var type: UInt8
  /// `PI_ENCODING_…`.
  public var encoding: UInt8
  /// Size of each record.
  public var recordBytes: Int
  /// Records.
  public var count: Int
  /// Bit i: column i holds differences.
  public var deltaColumns: UInt32
}

/// A chunk's header and tables, checked; the payload has not been looked at.
public struct Chunk: Equatable, Sendable {
  /// 0, 1, 2 … in file order; a jump is a chunk that went missing.
  public let number: UInt32
  public let kind: ChunkKind
  /// Byte offset of the header in the file.
  public let offset: UInt64
  /// Bytes of header and tables.
  public let headerBytes: Int
  /// Bytes of the payload in the file, behind header and tables.
  public let storedBytes: Int
  /// Bytes of the payload after decompression.
  public let rawBytes: Int
  /// CLOCK_MONOTONIC nanoseconds of the earliest and the latest record; 0 without records.
  public let firstTime: UInt64
  public let lastTime: UInt64
  public let recordCount: Int
  public let cpus: [CPURange]
  public let groups: [GroupInfo]

  let codec: UInt16
  let payloadChecksum: UInt32

  /// Byte offset behind the chunk.
  public var endOffset: UInt64 { offset + UInt64(headerBytes) + UInt64(storedBytes) }
}

/// Where the records of one type and size lie in a decoded chunk.
public struct RecordGroup: Equatable, Sendable {
  /// `PI_RECORD_…`; skip types that you do not know.
  public var type: UInt8
  /// Size of each record; more than you know of a type when a later version has grown it.
  public var recordBytes: Int
  public var count: Int
  /// Of the first record in the decoded buffer.
  public var byteOffset: Int

  public init(type: UInt8, recordBytes: Int, count: Int, byteOffset: Int) {
    self.type = type
    self.recordBytes = recordBytes
    self.count = count
    self.byteOffset = byteOffset
  }
}
