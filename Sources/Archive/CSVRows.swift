/// Reads CSV as `CSVTableEncoder` writes it (RFC 4180), field by field, without copying what needs no change.
struct CSVRows {
  private let bytes: UnsafeRawBufferPointer
  private var at = 0
  /// What quoted fields with quotes in them become.
  private var unquoted: [UInt8] = []

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// The names of the first row.
  mutating func header() -> [String] {
    var names: [String] = []
    _ = row { names.append(String(decoding: $0, as: UTF8.self)) }
    return names
  }

  /// Hands the fields of the next row on, in order; false behind the last. A field is valid inside the call only.
  mutating func row(_ field: (UnsafeRawBufferPointer) -> Void) -> Bool {
    guard at < bytes.count else { return false }
    while true {
      if at < bytes.count, bytes[at] == 0x22 { quoted(field) } else { plain(field) }
      guard at < bytes.count else { return true }
      let end = bytes[at]
      at += 1
      if end == 0x2c { continue }
      if end == 13, at < bytes.count, bytes[at] == 10 { at += 1 }
      return true
    }
  }

  private mutating func plain(_ field: (UnsafeRawBufferPointer) -> Void) {
    let begin = at
    while at < bytes.count, bytes[at] != 0x2c, bytes[at] != 13, bytes[at] != 10 { at += 1 }
    field(UnsafeRawBufferPointer(rebasing: bytes[begin..<at]))
  }

  private mutating func quoted(_ field: (UnsafeRawBufferPointer) -> Void) {
    at += 1
    let begin = at
    var quotes = 0
    while at < bytes.count {
      if bytes[at] == 0x22 {
        guard at + 1 < bytes.count, bytes[at + 1] == 0x22 else { break }
        quotes += 1
        at += 1
      }
      at += 1
    }
    let content = UnsafeRawBufferPointer(rebasing: bytes[begin..<min(at, bytes.count)])
    at += 1
    guard quotes > 0 else { return field(content) }
    unquoted.removeAll(keepingCapacity: true)
    var isSecond = false
    for byte in content {
      isSecond = byte == 0x22 && !isSecond
      if !isSecond { unquoted.append(byte) }
    }
    unquoted.withUnsafeBytes { field($0) }
  }
}
