import TraceContainer

/// Makes a trace of what is whole in a damaged one.
///
/// Whole chunks are copied as they are, with their numbers, so that readers of the result see each chunk that is
/// missing, and by the sequence numbers each record. Nothing is made up: a trace without an END stays one that was cut short.
public struct Salvage {
  /// A place that was left out.
  public struct Loss: Sendable, Equatable {
    /// In the damaged file.
    public var offset: UInt64
    public var bytes: UInt64
    public var reason: String
  }

  /// The file header was damaged and made anew; what stands for identity, time and machine was taken as it was.
  public private(set) var hasNewHeader = false
  public private(set) var keptChunks = 0
  public private(set) var keptBytes: UInt64 = 0
  public private(set) var losses: [Loss] = []
  /// Records out of the chunk in which the file ends: all that is there of it, without a checksum to vouch for it.
  public private(set) var cutRecords = 0

  /// Whether all of the trace is in the result.
  public var isWhole: Bool { losses.isEmpty && !hasNewHeader }

  /// Goes through the bytes of a trace and hands the parts of the result to `write`, one behind the other; nothing
  /// when not a single chunk is whole.
  ///
  /// - Throws: `TraceError` for another major version, or features of the format that this version does not know.
  public init(_ bytes: UnsafeRawBufferPointer, write: (UnsafeRawBufferPointer) -> Void) throws(TraceError) {
    var reader: TraceReader
    do throws(TraceError) { reader = try TraceReader(bytes) } catch {
      guard let header = FileHeader(salvaging: bytes) else { throw error }
      reader = TraceReader(bytes, insteadOfItsOwn: header)
      hasNewHeader = true
      if reader.position > 0 {
        losses.append(Loss(offset: 0, bytes: UInt64(reader.position), reason: "the file header is damaged"))
      }
    }
    let header = reader.header
    let headerBytes = hasNewHeader ? 0 : header.headerBytes
    // Written with the first chunk: without any there is no trace.
    var isBegun = false
    func begin() {
      guard !isBegun else { return }
      isBegun = true
      if headerBytes > 0 {
        write(UnsafeRawBufferPointer(rebasing: bytes[..<headerBytes]))
      } else {
        header.encoded().withUnsafeBytes { write($0) }
      }
    }
    while true {
      let chunk: Chunk
      do throws(TraceError) {
        guard let next = try reader.nextChunk() else { break }
        chunk = next
      } catch {
        let place = reader.position
        let saved = saveCut(reader, begin, write)
        let skipped = reader.skipToNextChunk()
        losses.append(
          Loss(
            offset: UInt64(place), bytes: skipped ?? UInt64(bytes.count - place),
            reason: saved ? "the file ends inside of a chunk" : error.reason))
        continue
      }
      let length = chunk.endOffset - chunk.offset
      guard reader.isWhole(chunk) else {
        losses.append(
          Loss(offset: chunk.offset, bytes: length, reason: "the payload of chunk \(chunk.number) is damaged")
        )
        continue
      }
      begin()
      write(UnsafeRawBufferPointer(rebasing: bytes[Int(chunk.offset)..<Int(chunk.endOffset)]))
      keptChunks += 1
      keptBytes += length
    }
    let behind = bytes.count - reader.position
    if behind > 0 {
      losses.append(
        Loss(
          offset: UInt64(reader.position), bytes: UInt64(behind),
          reason: "it lies behind the end of the trace"))
    }
    if reader.isComplete || isBegun == false { return }
    losses.append(
      Loss(offset: UInt64(bytes.count), bytes: 0, reason: "the end is missing: the recording was cut short"))
  }

  /// Saves the groups that are left of a chunk in which the file ends.
  private mutating func saveCut(
    _ reader: TraceReader, _ begin: () -> Void, _ write: (UnsafeRawBufferPointer) -> Void
  ) -> Bool {
    var rows: [UInt8] = []
    guard let (chunk, groups) = reader.cutChunk(into: &rows) else { return false }
    let writer = ChunkWriter(compressionLevel: 1, rawCapacity: 1 << 20, firstNumber: chunk.number)
    rows.withUnsafeBytes { rows in
      for group in groups {
        for index in 0..<group.count {
          let start = group.byteOffset + index * group.recordBytes
          let record = UnsafeRawBufferPointer(rebasing: rows[start..<start + group.recordBytes])
          // More than one chunk takes, which no recorder writes: the sequence numbers tell that they are missing.
          if writer.append(record) { cutRecords += 1 }
        }
      }
    }
    guard !writer.isEmpty else { return false }
    begin()
    // Not as END, even if it was one: what is missing of it may be the END record.
    writer.seal(kind: .events, write)
    return true
  }
}
