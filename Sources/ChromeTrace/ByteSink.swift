/// A buffer in front of the writer's output, with fast formatting of what a timeline
/// is made of: ready bytes, integers and times.
///
/// A class, since it owns raw memory and is shared by nobody. Bytes reach `write` in
/// blocks of up to `capacity`; larger pieces are cut.
final class ByteSink {
  private let buffer: UnsafeMutablePointer<UInt8>
  private let capacity: Int
  private var used = 0
  private let write: (UnsafeRawBufferPointer) -> Void
  private(set) var flushedBytes = 0

  init(capacity: Int = 1 << 20, write: @escaping (UnsafeRawBufferPointer) -> Void) {
    precondition(capacity >= 64, "room for a formatted number")
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

  func append(decimal value: Int64) {
    reserve(20)
    if value < 0 { put(UInt8(ascii: "-")) }
    putDigits(value.magnitude)
  }

  /// Nanoseconds as the format's microseconds: three decimals, exact.
  func append(microseconds nanoseconds: Int64) {
    reserve(24)
    if nanoseconds < 0 { put(UInt8(ascii: "-")) }
    let (whole, rest) = nanoseconds.magnitude.quotientAndRemainder(dividingBy: 1000)
    putDigits(whole)
    buffer[used] = UInt8(ascii: ".")
    buffer[used + 1] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest / 100)
    putPair(Int(rest % 100), at: used + 2)
    used += 4
  }

  private func reserve(_ count: Int) {
    if capacity - used < count { flush() }
  }

  private func put(_ byte: UInt8) {
    buffer[used] = byte
    used += 1
  }

  private func putDigits(_ value: UInt64) {
    var digits = 1
    var bound: UInt64 = 10
    while digits < 20, value >= bound {
      digits += 1
      // 10^19 is the largest power that fits; 20 digits end the loop before the next one is used.
      bound = bound &* 10
    }
    var rest = value
    var at = used + digits
    while rest >= 100 {
      let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
      at -= 2
      putPair(Int(pair), at: at)
      rest = quotient
    }
    if rest >= 10 {
      putPair(Int(rest), at: at - 2)
    } else {
      buffer[at - 1] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest)
    }
    used += digits
  }

  /// Two digits by table: half the divisions, and numbers are most of what varies in a timeline.
  private func putPair(_ pair: Int, at index: Int) {
    let digits = Self.pairs.utf8Start + 2 * pair
    buffer[index] = digits[0]
    buffer[index + 1] = digits[1]
  }

  private static let pairs: StaticString = """
    0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849\
    5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """
}
