/// Writes the metadata's JSON. Commas are its business, nesting is the caller's.
///
/// Strings come from other people's file names and command lines: what is not UTF-8 becomes
/// U+FFFD, control characters are escaped.
struct JSONWriter {
  private(set) var bytes: [UInt8]
  private var needsComma = false

  /// - Parameter bytes: what was written already.
  init(bytes: [UInt8] = []) { self.bytes = bytes }

  mutating func object(_ name: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
    open(name, UInt8(ascii: "{"))
    body(&self)
    close(UInt8(ascii: "}"))
  }

  mutating func array(_ name: StaticString? = nil, _ body: (inout JSONWriter) -> Void) {
    open(name, UInt8(ascii: "["))
    body(&self)
    close(UInt8(ascii: "]"))
  }

  mutating func string(_ name: StaticString? = nil, _ value: String) {
    begin(name)
    quote(value.utf8)
  }

  mutating func number<Number: BinaryInteger>(_ name: StaticString? = nil, _ value: Number) {
    begin(name)
    raw(decimal(value))
  }

  mutating func hex(_ name: StaticString? = nil, _ value: UInt64) {
    string(name, "0x" + String(value, radix: 16))
  }

  mutating func bool(_ name: StaticString? = nil, _ value: Bool) {
    begin(name)
    raw(value ? "true" : "false")
  }

  private mutating func open(_ name: StaticString?, _ bracket: UInt8) {
    begin(name)
    bytes.append(bracket)
    needsComma = false
  }

  private mutating func close(_ bracket: UInt8) {
    bytes.append(bracket)
    needsComma = true
  }

  private mutating func begin(_ name: StaticString?) {
    if needsComma { bytes.append(UInt8(ascii: ",")) }
    needsComma = true
    if let name {
      name.withUTF8Buffer { quote($0) }
      bytes.append(UInt8(ascii: ":"))
    }
  }

  private mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

  private mutating func quote(_ text: some Sequence<UInt8>) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"):
        bytes.append(UInt8(ascii: "\\"))
        bytes.append(byte)
      case 0..<0x20, 0x7f:
        raw("\\u00")
        bytes.append(hexDigit(byte >> 4))
        bytes.append(hexDigit(byte & 15))
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }

  private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
  }

  private func decimal<Number: BinaryInteger>(_ value: Number) -> String {
    if let signed = Int64(exactly: value) { return String(signed) }
    return String(UInt64(truncatingIfNeeded: value))
  }
}
