import Statistics

/// Lines of text for a terminal. Whatever comes from a trace is escaped.
struct TextPage {
  private(set) var text = ""

  private static let factWidth = 24
  private static let lineWidth = 100

  mutating func line(_ line: String) { text += escapeForTerminal(line) + "\n" }

  mutating func heading(_ heading: String) { text += "\n\(escapeForTerminal(heading))\n" }

  /// A label with a value behind it; long values continue, indented, on more lines.
  mutating func fact(_ label: String, _ value: String) {
    let indent = String(repeating: " ", count: Self.factWidth + 2)
    var line = "  " + label + String(repeating: " ", count: max(Self.factWidth - label.count, 1))
    var isFirst = true
    for word in Self.words(escapeForTerminal(value)) {
      if !isFirst {
        if line.count + word.count >= Self.lineWidth && line.count > indent.count {
          text += line + "\n"
          line = indent
        } else {
          line += " "
        }
      }
      line += word
      isFirst = false
    }
    text += line + "\n"
  }

  /// Splits at blanks, but never between a number and its unit.
  private static func words(_ text: String) -> [String] {
    var words: [String] = []
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      let unit = word.prefix { $0.isLetter || $0 == "%" }
      if let last = words.last?.last, last.isNumber, units.contains(String(unit)) {
        words[words.count - 1] += " " + word
      } else {
        words.append(String(word))
      }
    }
    return words
  }

  private static let units: Set<String> = ["ns", "µs", "ms", "s", "B", "KiB", "MiB", "GiB", "%"]

  /// Aligned columns, numbers to the right.
  mutating func table(_ rows: [[String]], textColumns: Set<Int>) {
    var widths: [Int] = []
    for row in rows {
      for (index, field) in row.enumerated() {
        if index == widths.count { widths.append(0) }
        widths[index] = max(widths[index], field.count)
      }
    }
    for row in rows {
      var line = ""
      for (index, field) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[index] - field.count)
        line += "  " + (textColumns.contains(index) ? field + padding : padding + field)
      }
      while line.last == " " { line.removeLast() }
      text += line + "\n"
    }
  }

  /// A name from a trace, short enough for a column.
  static func name(_ value: String) -> String {
    let escaped = escapeForTerminal(value)
    return escaped.count <= 40 ? escaped : String(escaped.prefix(39)) + "…"
  }
}
