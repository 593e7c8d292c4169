import CZstd

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
