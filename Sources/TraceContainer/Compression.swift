import CZstd

/// A zstd decompression context and a buffer, both kept from chunk to chunk.
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

/// A zstd compression context, kept from chunk to chunk.
final class Compressor {
  private let level: Int32
  private let context: OpaquePointer?

  /// - Parameter level: as zstd counts, negative ones are faster; 0 does not compress.
  init(level: Int32) {
    self.level = level
    context = level == 0 ? nil : ZSTD_createCCtx()
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Room that ``compress(_:_:into:)`` needs at most.
  static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

  /// Writes one frame, or nothing when compression is off, has no memory, or does not make it smaller.
  ///
  /// - Returns: bytes of the frame; nil: store the payload as it is.
  func compress(_ from: UnsafeRawPointer, _ count: Int, into room: UnsafeMutableRawBufferPointer) -> Int? {
    guard let context else { return nil }
    let got = ZSTD_compressCCtx(context, room.baseAddress, room.count, from, count, level)
    return ZSTD_isError(got) == 0 && got < count ? got : nil
  }
}
