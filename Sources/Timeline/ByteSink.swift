/// A buffer in front of an encoder's output.
///
/// A class, since it owns raw memory and is shared by nobody. Bytes reach `write` in
/// blocks of up to `capacity`; larger pieces are cut.
final class ByteSink {
  private let buffer: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  // Checked for every access otherwise, and there are several for each slice.
  @exclusivity(unchecked) private var used = 0
  private let write: (UnsafeRawBufferPointer) -> Void
  private(set) var flushedBytes = 0

  /// - Parameter capacity: a block should still be in the second-level cache when the kernel copies it.
  init(capacity: Int = 256 << 10, write: @escaping (UnsafeRawBufferPointer) -> Void) {
    self.capacity = capacity
    self.write = write
    buffer = .allocate(capacity: capacity)
  }

  deinit { buffer.deallocate() }

  func flush() {
    guard used > 0 else { return }
    write(UnsafeRawBufferPointer(start: buffer, count: used))
    flushedBytes += used
    used = 0
  }

  /// Room for `count` bytes to be written directly, and then handed back with `advance(to:)`; nil when there is
  /// never so much.
  @inline(__always)
  func claim(_ count: Int) -> UnsafeMutablePointer<UInt8>? {
    if capacity - used < count {
      guard count <= capacity else { return nil }
      flush()
    }
    return buffer + used
  }

  /// - Parameter end: behind the last byte written since `claim`.
  @inline(__always)
  func advance(to end: UnsafeMutablePointer<UInt8>) { used = end - buffer }

  func append(_ text: StaticString) {
    append(UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  func append(_ bytes: [UInt8]) {
    bytes.withUnsafeBufferPointer { append($0) }
  }

  func append(_ bytes: UnsafeBufferPointer<UInt8>) {
    guard let base = bytes.baseAddress else { return }
    var done = 0
    while done < bytes.count {
      if used == capacity { flush() }
      let count = min(bytes.count - done, capacity - used)
      (buffer + used).update(from: base + done, count: count)
      used += count
      done += count
    }
  }
}
