/// Writes the rows of a table as text, one at a time.
public protocol TableEncoder {
  /// What comes before the rows.
  mutating func begin(_ columns: [Column], into text: inout [UInt8])
  mutating func row(_ cells: [Cell], into text: inout [UInt8])
  /// What comes behind them.
  mutating func end(into text: inout [UInt8])
}

extension TableEncoder {
  /// The whole of a table.
  public mutating func encode<Table: StatisticsTable>(_ table: Table) -> [UInt8] {
    var text: [UInt8] = []
    begin(Table.columns + table.extraColumns, into: &text)
    for row in table.rows { self.row(Table.cells(row) + table.extraCells(row), into: &text) }
    end(into: &text)
    return text
  }
}

/// RFC 4180 with a header row: fields with a comma, a quote or a line break are quoted, quotes
/// doubled, records end in CR LF.
public struct CSVTableEncoder: TableEncoder {
  public init() {}

  public mutating func begin(_ columns: [Column], into text: inout [UInt8]) {
    row(columns.map { .text($0.name) }, into: &text)
  }

  public mutating func row(_ cells: [Cell], into text: inout [UInt8]) {
    var isFirst = true
    for cell in cells {
      if !isFirst { text.append(UInt8(ascii: ",")) }
      isFirst = false
      switch cell {
      case .missing: break
      case .text(let value): appendField(value, into: &text)
      case .integer(let value): text.append(contentsOf: String(value).utf8)
      case .decimal(let value): text.append(contentsOf: formatDecimal(value, digits: 6).utf8)
      }
    }
    text.append(13)
    text.append(10)
  }

  public mutating func end(into text: inout [UInt8]) {}

  private func appendField(_ value: String, into text: inout [UInt8]) {
    let mustQuote = value.utf8.contains { $0 == 0x22 || $0 == 0x2c || $0 == 10 || $0 == 13 }
    guard mustQuote else {
      text.append(contentsOf: value.utf8)
      return
    }
    text.append(0x22)
    for byte in value.utf8 {
      if byte == 0x22 { text.append(0x22) }
      text.append(byte)
    }
    text.append(0x22)
  }
}

/// A JSON array of objects, one a line, or the lines alone (newline-delimited JSON); what was not recorded is `null`.
public struct JSONTableEncoder: TableEncoder {
  private let isArray: Bool
  private var names: [String] = []
  private var isFirst = true

  public init(isArray: Bool = true) { self.isArray = isArray }

  public mutating func begin(_ columns: [Column], into text: inout [UInt8]) {
    names = columns.map { jsonString($0.name) }
    isFirst = true
    if isArray { text.append(UInt8(ascii: "[")) }
  }

  public mutating func row(_ cells: [Cell], into text: inout [UInt8]) {
    text.append(contentsOf: (!isArray ? "{" : isFirst ? "\n{" : ",\n{").utf8)
    isFirst = false
    for (index, cell) in cells.enumerated() {
      if index > 0 { text.append(UInt8(ascii: ",")) }
      text.append(contentsOf: names[index].utf8)
      text.append(UInt8(ascii: ":"))
      switch cell {
      case .missing: text.append(contentsOf: "null".utf8)
      case .text(let value): text.append(contentsOf: jsonString(value).utf8)
      case .integer(let value): text.append(contentsOf: String(value).utf8)
      case .decimal(let value):
        text.append(contentsOf: (value.isFinite ? formatDecimal(value, digits: 6) : "null").utf8)
      }
    }
    text.append(contentsOf: (isArray ? "}" : "}\n").utf8)
  }

  public mutating func end(into text: inout [UInt8]) {
    if isArray { text.append(contentsOf: "\n]\n".utf8) }
  }
}

/// A string literal of JSON, with its quotes.
public func jsonString(_ value: String) -> String {
  var text = "\""
  for scalar in value.unicodeScalars {
    switch scalar.value {
    case 0x22: text += "\\\""
    case 0x5c: text += "\\\\"
    case 10: text += "\\n"
    case 13: text += "\\r"
    case 9: text += "\\t"
    // U+2028 and U+2029 end lines in JavaScript, DEL and C1 move cursors.
    case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029:
      let digits = String(scalar.value, radix: 16)
      text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: text.unicodeScalars.append(scalar)
    }
  }
  return text + "\""
}
