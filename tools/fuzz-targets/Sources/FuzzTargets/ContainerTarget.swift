import CTraceRecords
import TraceContainer

/// A file of any bytes. With the last byte even its checksums are put right first: otherwise hardly an input would come
/// beyond the first of them.
func fuzzContainer(_ input: UnsafeRawBufferPointer) {
  var file = [UInt8](input)
  if let last = file.last, last & 1 == 0 { repairChecksums(&file) }
  // A copy of its own: a read past the end is one past the allocation.
  file.withUnsafeBytes { bytes in
    let found = readAll(bytes, copiesHeaders: false)
    precondition(readAll(bytes, copiesHeaders: true) == found, "headers read from a copy say something else")
  }
}

/// The chunks in order; damage is passed over.
private func readAll(_ bytes: UnsafeRawBufferPointer, copiesHeaders: Bool) -> [Chunk] {
  guard var reader = try? TraceReader(bytes) else { return [] }
  var chunks: [Chunk] = []
  var buffer: [UInt8] = []
  while true {
    do {
      let next =
        copiesHeaders
        ? try reader.nextChunk { offset, to in
          let count = min(to.count, bytes.count - offset)
          to.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + count]))
          return count
        } : try reader.nextChunk()
      guard let chunk = next else { return chunks }
      precondition(chunk.endOffset <= UInt64(bytes.count), "a chunk reaches past the end of the file")
      chunks.append(chunk)
      if copiesHeaders { continue }
      if chunk.kind == .metadata { _ = try? reader.metadata(chunk) }
      guard let groups = try? reader.decode(chunk, into: &buffer) else { continue }
      for group in groups {
        precondition(
          group.byteOffset + group.count * group.recordBytes <= buffer.count,
          "records outside of their buffer")
      }
    } catch {
      let before = reader.position
      guard let skipped = reader.skipToNextChunk() else { return chunks }
      precondition(skipped > 0 && reader.position > before, "a search did not move")
    }
  }
}

/// Puts the checksums of the file header, and of whatever looks like a chunk, right.
func repairChecksums(_ file: inout [UInt8]) {
  guard file.count >= 64 else { return }
  file.put(crc32(file[..<60]), at: 60)
  let magic = PI_CHUNK_MAGIC
  var at = Int(file.u32(at: 12))
  while at <= file.count - 64 {
    guard file.u32(at: at) == magic else {
      at += 1
      continue
    }
    let (header, stored) = (Int(file.u32(at: at + 8)), Int(file.u32(at: at + 12)))
    guard header >= 64, header <= file.count - at else {
      at += 4
      continue
    }
    let end = min(at + header + stored, file.count)
    file.put(crc32(file[(at + header)..<end]), at: at + 48)
    file.put(0, at: at + 52)
    file.put(crc32(file[at..<at + header]), at: at + 52)
    at = end
  }
}
