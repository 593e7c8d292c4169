/// JSON text in a byte array: for what is formatted once and written many times.
struct JSONText {
  private(set) var bytes: [UInt8] = []

  mutating func raw(_ text: StaticString) {
    bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  mutating func decimal(_ value: some BinaryInteger) {
    guard let magnitude = UInt64(exactly: value.magnitude) else {
      bytes.append(contentsOf: String(value).utf8)
      return
    }
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    put { Digits.put(magnitude, at: $0) }
  }

  private mutating func put(_ write: (UnsafeMutablePointer<UInt8>) -> UnsafeMutablePointer<UInt8>) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Digits.room) { room in
      guard let start = room.baseAddress else { return }
      bytes.append(contentsOf: UnsafeBufferPointer(start: start, count: write(start) - start))
    }
  }

  /// A finite number.
  mutating func number(_ value: Double) {
    bytes.append(contentsOf: String(value).utf8)
  }

  /// A quoted string; names come from other people's machines and may hold anything.
  mutating func string(_ text: String) {
    raw("\"")
    contents(text)
    raw("\"")
  }

  /// The inside of a quoted string.
  mutating func contents(_ text: String) {
    var text = text
    text.withUTF8 { utf8 in
      if utf8.contains(where: Self.isSpecial) {
        for byte in utf8.dropLast() { escaped(byte) }
        if let last = utf8.last {
          // Perfetto 52 takes the quote behind an escaped backslash for an escaped quote.
          if last == UInt8(ascii: "\\") { raw("\\u005c") } else { escaped(last) }
        }
      } else {
        bytes.append(contentsOf: utf8)
      }
    }
  }

  private static func isSpecial(_ byte: UInt8) -> Bool {
    byte < 0x20 || byte == 0x7f || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\")
  }

  private mutating func escaped(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): raw("\\\"")
    case UInt8(ascii: "\\"): raw("\\\\")
    case 0x0a: raw("\\n")
    case 0x09: raw("\\t")
    // NUL would cut the name in viewers written in C; the other control
    // characters are legal only when escaped.
    case 0: raw("\\ufffd")
    case _ where Self.isSpecial(byte):
      raw("\\u00")
      bytes.append(Self.hexDigit(byte >> 4))
      bytes.append(Self.hexDigit(byte & 15))
    default: bytes.append(byte)
    }
  }

  /// An address as a quoted hexadecimal string: JSON numbers lose bits beyond 2^53.
  mutating func address(_ value: UInt64) {
    raw("\"0x")
    bytes.append(contentsOf: String(value, radix: 16).utf8)
    raw("\"")
  }

  /// Nanoseconds as the format's microseconds.
  mutating func microseconds(_ nanoseconds: Int64) {
    put { Digits.put(microseconds: nanoseconds, at: $0) }
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }
}
