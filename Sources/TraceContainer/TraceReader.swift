import CTraceRecords

/// Reads a trace that lies in memory, for instance mapped. Only headers are read until a payload is asked for.
///
/// The bytes must outlive the reader. To decode on several threads, give each its own reader over the same
/// bytes: a ``Chunk`` found by one can be decoded by any other.
public struct TraceReader {
  public let header: FileHeader
  /// Byte offset of the next chunk, or of the damage that the last ``nextChunk()`` reported.
  public private(set) var position: Int
  /// An END chunk was read: the recorder closed the trace in order.
  public private(set) var isComplete = false

  private let bytes: UnsafeRawBufferPointer
  private let decompressor = Decompressor()
  private let window = HeaderWindow()
  /// Header bytes that searches may still checksum. Without a bound, a file full of false chunk headers would
  /// keep a search busy for the square of its size.
  private var searchBudget: Int

  /// - Throws: what ``FileHeader/init(decoding:)`` throws.
  public init(_ bytes: UnsafeRawBufferPointer) throws(TraceError) {
    header = try FileHeader(decoding: bytes)
    position = header.headerBytes
    self.bytes = bytes
    searchBudget = 16 * min(bytes.count, Int.max / 16)
  }

  /// For a trace whose own header is damaged: begins at the first whole chunk header, or at the end without any.
  ///
  /// - Parameter header: what is known of the trace otherwise.
  public init(_ bytes: UnsafeRawBufferPointer, insteadOfItsOwn header: FileHeader) {
    self.header = header
    self.bytes = bytes
    position = 0
    searchBudget = 16 * min(bytes.count, Int.max / 16)
    if (try? Chunk(decoding: bytes, at: 0)) == nil { _ = skipToNextChunk() }
  }

  /// The chunk at ``position``, which moves behind it; nil at the end of the file or behind an END chunk.
  ///
  /// - Throws: `truncated` or `corrupt` with the offset of the damage. The position stays there; go on with
  ///   ``skipToNextChunk()`` or stop.
  public mutating func nextChunk() throws(TraceError) -> Chunk? {
    guard !isComplete, position < bytes.count else { return nil }
    let chunk = try Chunk(decoding: bytes, at: position)
    move(behind: chunk)
    return chunk
  }

  /// As ``nextChunk()``, for who wants headers only: the header is looked at in a copy. In a mapped file that is
  /// cheaper than to touch a page for each chunk, and maps no memory.
  ///
  /// - Parameter copy: copies what lies at an offset of the trace to a buffer, as far as it can, and returns how many
  ///   bytes.
  public mutating func nextChunk(
    copy: (_ offset: Int, _ to: UnsafeMutableRawBufferPointer) -> Int
  ) throws(TraceError) -> Chunk? {
    guard !isComplete, position < bytes.count else { return nil }
    let copied = UnsafeRawBufferPointer(rebasing: window.buffer[..<copy(position, window.buffer)])
    guard copied.count >= ChunkLayout.headerBytes else { return try nextChunk() }
    let headerBytes = try Chunk.plausibleHeaderBytes(copied, at: position, of: bytes.count)
    guard headerBytes <= copied.count else { return try nextChunk() }
    let chunk = try Chunk(header: copied, headerBytes, at: position, of: bytes.count)
    move(behind: chunk)
    return chunk
  }

  private mutating func move(behind chunk: Chunk) {
    position += chunk.headerBytes + chunk.storedBytes
    if chunk.kind == .end { isComplete = true }
  }

  /// After damage: moves to the next place that holds a chunk header with the right checksum and room for its
  /// payload.
  ///
  /// - Returns: bytes skipped; nil when there is no such place, and then the position is the end of the file.
  public mutating func skipToNextChunk() -> UInt64? {
    let start = position
    guard !isComplete, start < bytes.count, let base = bytes.baseAddress else { return nil }
    let magic = PI_CHUNK_MAGIC
    var at = start + 1
    while at + ChunkLayout.headerBytes <= bytes.count, searchBudget > 0 {
      if base.loadUnaligned(fromByteOffset: at, as: UInt32.self) == magic {
        let header = UnsafeRawBufferPointer(rebasing: bytes[at...])
        if let headerBytes = try? Chunk.plausibleHeaderBytes(header, at: at, of: bytes.count) {
          searchBudget -= headerBytes
        }
        if (try? Chunk(decoding: bytes, at: at)) != nil {
          position = at
          return UInt64(at - start)
        }
      }
      at += 1
    }
    position = bytes.count
    return nil
  }

  /// The records of an EVENTS or END chunk, in rows.
  ///
  /// - Parameters:
  ///   - buffer: becomes the chunk's records, `rawBytes` long, group after group and each group in the order in which
  ///     it was written. Pass the same array again to save its allocation.
  ///   - isWanted: by type, which groups to put there; what lies in the others' places means nothing.
  /// - Returns: where the groups lie in `buffer`.
  /// - Throws: `corrupt` when the payload fails its checksum or does not decompress to the size in the header,
  ///   `unsupportedCodec`, `unsupportedEncoding`, `wrongChunkKind` for a chunk without records.
  public func decode(
    _ chunk: Chunk, into buffer: inout [UInt8], where isWanted: (UInt8) -> Bool = { _ in true }
  ) throws(TraceError) -> [RecordGroup] {
    guard chunk.kind.holdsRecords else {
      throw TraceError(
        .wrongChunkKind, at: chunk.offset, "this chunk holds no records", next: "look at its kind first")
    }
    let payload = try payload(of: chunk)
    let tables = Int(chunk.offset) + ChunkLayout.headerBytes + chunk.cpus.count * ChunkLayout.cpuEntryBytes
    for (i, group) in chunk.groups.enumerated() {
      try Self.check(group, at: tables + i * ChunkLayout.groupEntryBytes)
    }
    Self.resize(&buffer, to: chunk.rawBytes)
    var groups: [RecordGroup] = []
    groups.reserveCapacity(chunk.groups.count)
    var offset = 0
    for group in chunk.groups {
      groups.append(
        RecordGroup(
          type: group.type, recordBytes: group.recordBytes, count: group.count, byteOffset: offset))
      offset += group.recordBytes * group.count
    }
    guard chunk.rawBytes > 0, let from = payload.baseAddress else { return groups }
    Self.unpack(from, zip(chunk.groups, groups), into: &buffer, where: isWanted)
    return groups
  }

  /// The JSON bytes of a METADATA chunk.
  ///
  /// - Throws: as ``decode(_:into:)``.
  public func metadata(_ chunk: Chunk) throws(TraceError) -> [UInt8] {
    guard chunk.kind == .metadata else {
      throw TraceError(
        .wrongChunkKind, at: chunk.offset, "this chunk holds no metadata", next: "look at its kind first")
    }
    return [UInt8](try payload(of: chunk))
  }

  /// Whether the payload is as it was written: its checksum is right, and what this reader can decode decodes.
  public func isWhole(_ chunk: Chunk) -> Bool {
    var rows: [UInt8] = []
    do throws(TraceError) {
      if chunk.kind.holdsRecords { _ = try decode(chunk, into: &rows) } else { _ = try payload(of: chunk) }
      return true
    } catch {
      switch error.kind {
      case .unsupportedCodec, .unsupportedEncoding: return true
      default: return false
      }
    }
  }

  /// What is left of the chunk at ``position`` when the file ends inside of its payload: the groups of records that
  /// are there to the last byte. No checksum vouches for them: it is that of the whole payload.
  ///
  /// - Parameter buffer: becomes the rows of these groups.
  /// - Returns: nil when the header is not whole, or no group is.
  public func cutChunk(into buffer: inout [UInt8]) -> (chunk: Chunk, groups: [RecordGroup])? {
    guard position < bytes.count else { return nil }
    let rest = UnsafeRawBufferPointer(rebasing: bytes[position...])
    guard let headerBytes = try? Chunk.plausibleHeaderBytes(rest, at: position, of: bytes.count),
      let chunk = try? Chunk(header: rest, headerBytes, at: position, of: Int.max), chunk.kind.holdsRecords,
      chunk.storedBytes > rest.count - headerBytes
    else { return nil }
    let stored = UnsafeRawBufferPointer(rebasing: rest[headerBytes...])
    let payload: UnsafeRawBufferPointer
    switch UInt32(chunk.codec) {
    case PI_CODEC_STORED.rawValue: payload = stored
    case PI_CODEC_ZSTD.rawValue: payload = decompressor.decompressBeginning(stored, of: chunk.rawBytes)
    default: return nil
    }
    var offset = 0
    var groups: [RecordGroup] = []
    for (index, info) in chunk.groups.enumerated() {
      let group = RecordGroup(
        type: info.type, recordBytes: info.recordBytes, count: info.count, byteOffset: offset)
      offset += info.recordBytes * info.count
      guard offset <= payload.count, (try? Self.check(info, at: index)) != nil else { break }
      groups.append(group)
    }
    guard let last = groups.last, let from = payload.baseAddress else { return nil }
    Self.resize(&buffer, to: last.byteOffset + last.recordBytes * last.count)
    Self.unpack(from, zip(chunk.groups, groups), into: &buffer)
    return (chunk, groups)
  }

  private static func unpack(
    _ from: UnsafeRawPointer, _ groups: Zip2Sequence<[GroupInfo], [RecordGroup]>, into buffer: inout [UInt8],
    where isWanted: (UInt8) -> Bool = { _ in true }
  ) {
    buffer.withUnsafeMutableBytes { rows in
      guard let to = rows.baseAddress else { return }
      for (info, group) in groups where group.count > 0 && isWanted(group.type) {
        if info.encoding == UInt8(PI_ENCODING_COLUMNS.rawValue) {
          Columns.decode(
            from + group.byteOffset, count: group.count, recordBytes: group.recordBytes,
            deltas: info.deltaColumns, into: to + group.byteOffset)
        } else {
          (to + group.byteOffset).copyMemory(
            from: from + group.byteOffset, byteCount: group.recordBytes * group.count)
        }
      }
    }
  }

  /// The payload, decompressed; valid until the next call.
  private func payload(of chunk: Chunk) throws(TraceError) -> UnsafeRawBufferPointer {
    let start = Int(chunk.offset) + chunk.headerBytes
    guard start <= bytes.count, chunk.storedBytes <= bytes.count - start else {
      throw .truncated(at: Int(chunk.offset), "the file ends inside the payload of a chunk")
    }
    let stored = UnsafeRawBufferPointer(rebasing: bytes[start..<start + chunk.storedBytes])
    guard checksum(stored, 0..<stored.count) == chunk.payloadChecksum else {
      throw .corrupt(at: start, "the checksum of a chunk's payload is wrong")
    }
    switch UInt32(chunk.codec) {
    case PI_CODEC_STORED.rawValue:
      guard stored.count == chunk.rawBytes else {
        throw .corrupt(at: Int(chunk.offset) + 16, "the payload is stored, yet its two sizes differ")
      }
      return stored
    case PI_CODEC_ZSTD.rawValue:
      guard let raw = decompressor.decompress(stored, to: chunk.rawBytes) else {
        throw .corrupt(at: start, "a payload does not decompress to the size in its header")
      }
      return raw
    default:
      throw TraceError(
        .unsupportedCodec(chunk.codec), at: chunk.offset + 6,
        "a chunk is compressed by a method that this reader does not know",
        next: "use a prof-analyze that is at least as new as the recorder")
    }
  }

  private static func check(_ group: GroupInfo, at entry: Int) throws(TraceError) {
    switch UInt32(group.encoding) {
    case PI_ENCODING_ROWS.rawValue: return
    case PI_ENCODING_COLUMNS.rawValue:
      guard group.recordBytes <= ChunkLayout.maxColumnRecordBytes else {
        throw .corrupt(at: entry + 2, "records as large as this are never transposed")
      }
      let columns = Columns.columnCount(recordBytes: group.recordBytes)
      guard group.deltaColumns >> UInt32(columns) == 0 else {
        throw .corrupt(at: entry + 8, "a group claims differences in a column that it does not have")
      }
    default:
      throw TraceError(
        .unsupportedEncoding(group.encoding), at: UInt64(entry) + 1,
        "a group of records is encoded in a way that this reader does not know",
        next: "use a prof-analyze that is at least as new as the recorder")
    }
  }

  private static func resize(_ buffer: inout [UInt8], to count: Int) {
    if buffer.count > count {
      buffer.removeLast(buffer.count - count)
    } else if buffer.count < count {
      buffer.append(contentsOf: repeatElement(0, count: count - buffer.count))
    }
  }
}

/// Where a chunk's header is copied to. Tables of a recorder's chunk, with a dozen types and CPUs, fit.
private final class HeaderWindow {
  let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 512, alignment: 16)

  deinit { buffer.deallocate() }
}
