import CZstd

/// A zstd compression context, kept from chunk to chunk.
final class Compressor {
  private let context: OpaquePointer?

  /// - Parameter level: as zstd counts, negative ones are faster; 0 does not compress. Those above 4 are as 4: level 9
  ///   made traces 8 % smaller, level 19 none, and their searches would be a tenth of the recorder's size
  ///   (CRecorderShim/unused.c).
  init(level: Int32) {
    context = level == 0 ? nil : ZSTD_createCCtx()
    guard let context else { return }
    ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, min(level, 4))
    // For short chunks, level 4 would mean another search already.
    if level > 2 { ZSTD_CCtx_setParameter(context, ZSTD_c_strategy, Int32(ZSTD_dfast.rawValue)) }
  }

  deinit { ZSTD_freeCCtx(context) }

  /// Room that ``compress(_:_:into:)`` needs at most.
  static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

  /// Writes one frame, or nothing when compression is off, has no memory, or does not make it smaller.
  ///
  /// - Returns: bytes of the frame; nil: store the payload as it is.
  func compress(_ from: UnsafeRawPointer, _ count: Int, into room: UnsafeMutableRawBufferPointer) -> Int? {
    guard let context else { return nil }
    let got = ZSTD_compress2(context, room.baseAddress, room.count, from, count)
    return ZSTD_isError(got) == 0 && got < count ? got : nil
  }
}
