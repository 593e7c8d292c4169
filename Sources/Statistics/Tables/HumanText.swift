/// An aligned table for a terminal: units on every value, text to the left, numbers to the right,
/// names from the trace escaped.
public struct HumanTableEncoder: TableEncoder {
  private var columns: [Column] = []
  private var lines: [[String]] = []
  /// Longest text printed; names come from other people's machines.
  private static let widest = 48

  /// Width of each column when rows are written at once, without waiting for the longest.
  private let fixedWidth: Int?

  /// - Parameter fixedWidth: for tables too long to be held in memory: the least width of each
  ///   column, and rows are written as they come. nil: columns are as wide as they must be.
  public init(fixedWidth: Int? = nil) {
    self.fixedWidth = fixedWidth
  }

  public mutating func begin(_ columns: [Column], into text: inout [UInt8]) {
    self.columns = columns
    lines = [columns.filter(\.isShown).map(\.heading)]
    if fixedWidth != nil { end(into: &text) }
  }

  public mutating func row(_ cells: [Cell], into text: inout [UInt8]) {
    var line: [String] = []
    for (column, cell) in zip(columns, cells) where column.isShown {
      line.append(formatCell(cell, column.unit))
    }
    lines.append(line)
    if fixedWidth != nil { end(into: &text) }
  }

  public mutating func end(into text: inout [UInt8]) {
    let shown = columns.filter(\.isShown)
    var widths = shown.map { _ in fixedWidth ?? 0 }
    for line in lines {
      for (index, field) in line.enumerated() { widths[index] = max(widths[index], field.count) }
    }
    for line in lines {
      var row = ""
      for (index, field) in line.enumerated() {
        let padding = String(repeating: " ", count: max(widths[index] - field.count, 0))
        if index > 0 { row += "  " }
        row += shown[index].isText ? field + padding : padding + field
      }
      while row.last == " " { row.removeLast() }
      text.append(contentsOf: row.utf8)
      text.append(10)
    }
    lines = []
  }

  func formatCell(_ cell: Cell, _ unit: Column.Unit) -> String {
    switch (cell, unit) {
    case (.missing, _): "-"
    case (.text(let value), _): shorten(escapeForTerminal(value), to: Self.widest)
    case (.integer(let value), .nanoseconds): formatDuration(value, aligned: true)
    case (.integer(let value), .bytes): formatBytes(value)
    case (.integer(let value), .bytesPerSecond): formatRate(Double(value), "B/s")
    case (.integer(let value), .flopsPerSecond): formatRate(Double(value), "FLOP/s")
    case (.integer(let value), _): String(value)
    case (.decimal(let value), .share): formatShare(value)
    case (.decimal(let value), _): formatDecimal(value, digits: 2)
    }
  }
}

func shorten(_ text: String, to width: Int) -> String {
  text.count <= width ? text : String(text.prefix(width - 1)) + "…"
}

/// Makes a string from a trace harmless on a terminal: control characters, line separators, and
/// characters that are invisible or turn the direction of text become `\u{…}`.
public func escapeForTerminal(_ value: String) -> String {
  var text = ""
  for scalar in value.unicodeScalars {
    switch scalar.value {
    case 10: text += "\\n"
    case 13: text += "\\r"
    case 9: text += "\\t"
    case 0..<0x20, 0x7f..<0xa0, 0xad, 0x61c, 0x200b...0x200f, 0x2028...0x202e, 0x2060...0x206f, 0xfeff,
      0xfff9...0xfffb, 0xe0000...0xe007f:
      text += "\\u{\(String(scalar.value, radix: 16))}"
    default: text.unicodeScalars.append(scalar)
    }
  }
  return text
}
