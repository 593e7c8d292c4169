import CZlib

/// Compresses what an output writes, as gzip does.
final class Gzip {
  /// On timelines as fast as level 1 (150 MB/s), and an eighth smaller; level 6 takes twice as long for another eighth.
  private static let level: Int32 = 3
  /// Adds gzip's header and checksum to the widest window.
  private static let windowBits: Int32 = 15 + 16

  private var stream = z_stream()
  private let room = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: 256 << 10)

  /// nil when there is no memory for it.
  init?() {
    let status = deflateInit2_(
      &stream, Self.level, Z_DEFLATED, Self.windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
      Int32(MemoryLayout<z_stream>.size))
    guard status == Z_OK else {
      room.deallocate()
      return nil
    }
  }

  deinit {
    deflateEnd(&stream)
    room.deallocate()
  }

  /// Hands `send` what comes out, in blocks; the bytes are valid during the call.
  ///
  /// - Parameter isLast: ends the stream.
  func compress(_ bytes: UnsafeRawBufferPointer, isLast: Bool, send: (UnsafeRawBufferPointer) -> Void) {
    stream.next_in = UnsafeMutablePointer(mutating: bytes.bindMemory(to: UInt8.self).baseAddress)
    var rest = bytes.count
    repeat {
      // zlib counts in 32 bits.
      let count = min(rest, 1 << 30)
      stream.avail_in = UInt32(count)
      rest -= count
      repeat {
        stream.next_out = room.baseAddress
        stream.avail_out = UInt32(room.count)
        // The only errors are those of wrong use.
        let status = deflate(&stream, isLast && rest == 0 ? Z_FINISH : Z_NO_FLUSH)
        let made = room.count - Int(stream.avail_out)
        if made > 0 { send(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[..<made])) }
        if status != Z_OK { break }
      } while stream.avail_out == 0
    } while rest > 0
  }
}
