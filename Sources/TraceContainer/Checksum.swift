import CZlib

/// CRC-32 as zlib computes it, of a range that the caller has checked to lie in `bytes`.
func checksum(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, from start: UInt32 = 0) -> UInt32 {
  guard let base = bytes.baseAddress else { return start }
  return checksum(base + range.lowerBound, range.count, from: start)
}

func checksum(_ base: UnsafeRawPointer, _ count: Int, from start: UInt32 = 0) -> UInt32 {
  UInt32(
    truncatingIfNeeded: crc32_z(UInt(start), base.assumingMemoryBound(to: UInt8.self), count))
}

/// CRC-32 of a chunk's header and tables, with the field that holds it taken as zero.
func chunkHeaderChecksum(_ base: UnsafeRawPointer, _ headerBytes: Int) -> UInt32 {
  let field = ChunkLayout.headerChecksumOffset
  var sum = checksum(base, field)
  var zero: UInt32 = 0
  sum = withUnsafeBytes(of: &zero) { checksum($0, 0..<4, from: sum) }
  return checksum(base + field + 4, headerBytes - field - 4, from: sum)
}
