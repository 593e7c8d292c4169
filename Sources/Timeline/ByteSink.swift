/// A buffer in front of an encoder's output.
///
/// A class, since it owns raw memory and is shared by nobody. Bytes reach `write` in
/// blocks of up to `capacity`; larger pieces are cut.
final class ByteSink {
  private let buffer: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  private var used = 0
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

/// Bytes that stay where they are: what is rendered once and written many times.
final class ByteArena {
  private(set) var base: UnsafeMutablePointer<UInt8>
  private(set) var count = 0
  private var capacity = 64 << 10

  init() { base = .allocate(capacity: capacity) }

  deinit { base.deallocate() }

  /// - Returns: the offset of the first byte.
  func append(_ bytes: [UInt8]) -> Int {
    if capacity - count < bytes.count {
      capacity = max(capacity * 2, count + bytes.count)
      let larger = UnsafeMutablePointer<UInt8>.allocate(capacity: capacity)
      larger.update(from: base, count: count)
      base.deallocate()
      base = larger
    }
    defer { count += bytes.count }
    bytes.withUnsafeBufferPointer { source in
      if let first = source.baseAddress { (base + count).update(from: first, count: source.count) }
    }
    return count
  }
}
