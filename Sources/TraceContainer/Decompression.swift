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
}
