import CTraceRecords

/// Collects records and seals them into chunks. It does no I/O and, once made, allocates nothing for records.
///
/// `append` is the recorder's hot path: it copies the record and notes its size. All else is done when the
/// chunk is sealed.
public final class ChunkWriter {
  /// Records as they came; when sealing, their encoded form.
  private let raw: UnsafeMutableRawPointer
  private let rawCapacity: Int
  /// Size of each record in `raw`; when sealing, the index of its group.
  private let sizes: UnsafeMutablePointer<UInt16>
  /// Scratch of a seal: rows group by group, and then the finished chunk.
  private let chunk: UnsafeMutableRawBufferPointer
  private let compressor: Compressor
  private let index: ChunkIndex
  private var number: UInt32

  /// Bytes of the records collected.
  public private(set) var rawBytes = 0
  /// Records collected.
  public private(set) var recordCount = 0

  /// A chunk of this capacity has fewer records than a 16-bit table count can say, so a chunk can always be
  /// sealed, whatever its records are.
  static let maxRawCapacity = 1 << 20

  /// - Parameters:
  ///   - compressionLevel: as zstd counts, negative ones are faster; 0 stores the payload uncompressed.
  ///   - rawCapacity: bytes of records that a chunk takes, 64 KiB to 1 MiB; other values are moved there.
  ///   - firstNumber: of the first chunk.
  public init(compressionLevel: Int32, rawCapacity: Int = 512 * 1024, firstNumber: UInt32 = 0) {
    number = firstNumber
    self.rawCapacity = min(max(rawCapacity & ~7, 1 << 16), Self.maxRawCapacity)
    let maxRecords = self.rawCapacity / ChunkLayout.minRecordBytes
    raw = UnsafeMutableRawPointer.allocate(byteCount: self.rawCapacity, alignment: 16)
    sizes = UnsafeMutablePointer<UInt16>.allocate(capacity: maxRecords)
    let tables = maxRecords * (ChunkLayout.cpuEntryBytes + ChunkLayout.groupEntryBytes)
    // Never touched pages cost nothing; in practice the tables take a few hundred bytes.
    chunk = UnsafeMutableRawBufferPointer.allocate(
      byteCount: ChunkLayout.headerBytes + tables + Compressor.bound(self.rawCapacity), alignment: 16)
    compressor = Compressor(level: compressionLevel)
    index = ChunkIndex(maxRecords: maxRecords)
  }

  deinit {
    raw.deallocate()
    sizes.deallocate()
    chunk.deallocate()
  }

  /// Nothing has been collected since the last seal.
  public var isEmpty: Bool { recordCount == 0 }

  /// Number of the next chunk: that of the chunks sealed so far, where the first was 0.
  public var chunkCount: UInt32 { number }

  /// Takes a record that begins with a `pi_record`; pads it with zeros to a multiple of 8 bytes.
  ///
  /// - Returns: false when there is no room: seal and append again. If it is false again, no chunk can hold
  ///   this record: it has fewer than 24 bytes or more than a chunk, or than a group entry can say.
  public func append(_ record: UnsafeRawBufferPointer) -> Bool {
    let bytes = record.count
    let padded = (bytes &+ 7) & ~7
    guard bytes >= ChunkLayout.minRecordBytes, padded <= rawCapacity &- rawBytes, padded <= 0xfff8,
      let from = record.baseAddress
    else { return false }
    let to = raw + rawBytes
    if padded != bytes { to.storeBytes(of: 0, toByteOffset: padded &- 8, as: UInt64.self) }
    to.copyMemory(from: from, byteCount: bytes)
    sizes[recordCount] = UInt16(truncatingIfNeeded: padded)
    recordCount &+= 1
    rawBytes &+= padded
    return true
  }

  /// Hands the collected records to `write` as one chunk, in one call, and begins the next. Without records
  /// nothing is written.
  ///
  /// - Precondition: `kind` is not `metadata`.
  public func seal(kind: ChunkKind, _ write: (UnsafeRawBufferPointer) -> Void) {
    precondition(kind != .metadata, "metadata has no records: use sealMetadata")
    guard recordCount > 0, let out = chunk.baseAddress else { return }
    index.build(records: raw, sizes: sizes, count: recordCount)
    // raw -> rows by group in `chunk` -> encoded in `raw` -> compressed in `chunk`.
    index.scatter(records: raw, groupOf: sizes, count: recordCount, into: out)
    for group in index.groups {
      let at = group.byteOffset
      if group.isColumns {
        Columns.encode(
          out + at, count: Int(group.count), recordBytes: Int(group.recordBytes),
          deltas: group.deltas, into: raw + at)
      } else {
        (raw + at).copyMemory(from: out + at, byteCount: Int(group.recordBytes) * Int(group.count))
      }
    }
    var header = pi_chunk_header()
    header.kind = kind.raw
    header.first_time_ns = index.firstTime
    header.last_time_ns = index.lastTime
    header.record_count = UInt32(recordCount)
    header.cpu_count = UInt16(index.cpuCount)
    header.group_count = UInt16(index.groupCount)
    index.writeTables(to: out + ChunkLayout.headerBytes)
    let total = finish(&header, payload: raw, rawBytes, in: chunk)
    write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(chunk)[0..<total]))
    rawBytes = 0
    recordCount = 0
  }

  /// Hands `json`, one UTF-8 object, to `write` as a METADATA chunk. Collected records stay collected.
  ///
  /// - Returns: false, and nothing written, when it is larger than a chunk may be (16 MiB).
  @discardableResult
  public func sealMetadata(_ json: UnsafeRawBufferPointer, _ write: (UnsafeRawBufferPointer) -> Void) -> Bool
  {
    guard json.count <= ChunkLayout.maxRawBytes, let from = json.baseAddress else { return false }
    let room = UnsafeMutableRawBufferPointer.allocate(
      byteCount: ChunkLayout.headerBytes + Compressor.bound(json.count), alignment: 16)
    defer { room.deallocate() }
    var header = pi_chunk_header()
    header.kind = ChunkKind.metadata.raw
    let total = finish(&header, payload: from, json.count, in: room)
    write(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<total]))
    return true
  }

  /// Puts the payload behind the tables in `room`, the header with sizes, number and checksums before them.
  ///
  /// - Returns: bytes of the chunk.
  private func finish(
    _ header: inout pi_chunk_header, payload: UnsafeRawPointer, _ payloadBytes: Int,
    in room: UnsafeMutableRawBufferPointer
  ) -> Int {
    guard let out = room.baseAddress else { return 0 }
    let headerBytes =
      ChunkLayout.headerBytes + Int(header.cpu_count) * ChunkLayout.cpuEntryBytes
      + Int(header.group_count) * ChunkLayout.groupEntryBytes
    let rest = UnsafeMutableRawBufferPointer(rebasing: room[headerBytes...])
    let storedBytes: Int
    if let compressed = compressor.compress(payload, payloadBytes, into: rest) {
      header.codec = UInt16(PI_CODEC_ZSTD.rawValue)
      storedBytes = compressed
    } else {
      header.codec = UInt16(PI_CODEC_STORED.rawValue)
      (out + headerBytes).copyMemory(from: payload, byteCount: payloadBytes)
      storedBytes = payloadBytes
    }
    header.magic = PI_CHUNK_MAGIC
    header.header_bytes = UInt32(headerBytes)
    header.stored_bytes = UInt32(storedBytes)
    header.raw_bytes = UInt32(payloadBytes)
    header.number = number
    header.payload_crc32 = checksum(out + headerBytes, storedBytes)
    out.storeBytes(of: header, as: pi_chunk_header.self)
    let sum = chunkHeaderChecksum(out, headerBytes)
    out.storeBytes(of: sum, toByteOffset: ChunkLayout.headerChecksumOffset, as: UInt32.self)
    number &+= 1
    return headerBytes + storedBytes
  }
}
