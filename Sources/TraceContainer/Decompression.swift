import CZstd

/// A zstd decompression context and a buffer, both kept from chunk to chunk.
///
/// In a file of its own: the recorder, which only writes, is then linked without half of zstd.
final class Decompressor {
  private var context: OpaquePointer?
  private var buffer = UnsafeMutableRawBufferPointer(start: nil, count: 0)

  deinit {
    ZSTD_freeDCtx(context)
    buffer.deallocate()
  }

  /// The content of `frame` when it has exactly `count` bytes, else nil. The buffer is never larger than
  /// `count`, which the reader has bounded, whatever the frame claims; it is valid until the next call.
  func decompress(_ frame: UnsafeRawBufferPointer, to count: Int) -> UnsafeRawBufferPointer? {
    if context == nil { context = ZSTD_createDCtx() }
    if buffer.count < count {
      buffer.deallocate()
      buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    }
    guard let context, let from = frame.baseAddress else { return nil }
    let got = ZSTD_decompressDCtx(context, buffer.baseAddress, count, from, frame.count)
    guard ZSTD_isError(got) == 0, got == count else { return nil }
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count])
  }

  /// What the beginning of a frame that was cut short holds, at most `count` bytes; valid until the next call.
  func decompressBeginning(_ frame: UnsafeRawBufferPointer, of count: Int) -> UnsafeRawBufferPointer {
    if buffer.count < count {
      buffer.deallocate()
      buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
    }
    let stream = ZSTD_createDCtx()
    defer { ZSTD_freeDCtx(stream) }
    guard let stream, let from = frame.baseAddress, let to = buffer.baseAddress else {
      return .init(start: nil, count: 0)
    }
    var input = ZSTD_inBuffer(src: from, size: frame.count, pos: 0)
    var output = ZSTD_outBuffer(dst: to, size: count, pos: 0)
    while input.pos < input.size, output.pos < output.size {
      let (read, made) = (input.pos, output.pos)
      if ZSTD_isError(ZSTD_decompressStream(stream, &output, &input)) != 0 { break }
      if input.pos == read, output.pos == made { break }
    }
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<output.pos])
  }
}
