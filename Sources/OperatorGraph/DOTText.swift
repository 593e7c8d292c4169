/// A string constant of DOT, to be shown as it is: Graphviz takes backslash sequences and
/// HTML entities in labels for its own. A newline makes a new line.
///
/// - Parameter isLeft: align lines at the left, not in the middle.
func dotQuoted(_ text: String, isLeft: Bool = false) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "&": out += "&amp;"
    case "\n": out += isLeft ? "\\l" : "\\n"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f: out += "\u{fffd}"
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out + "\""
}

/// Text inside of a label in Graphviz's HTML.
func htmlQuoted(_ text: String) -> String {
  var out = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "&quot;"
    case "&": out += "&amp;"
    case "<": out += "&lt;"
    case ">": out += "&gt;"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f: out += "\u{fffd}"
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out
}

/// A name that cannot begin a line of its own, and not a box as wide as a page: names come from other
/// people's machines.
func oneLine(_ name: String) -> String {
  let limit = 80
  let scalars = name.unicodeScalars.prefix(limit).map { $0 == "\n" ? "␊" : $0 }
  return String(String.UnicodeScalarView(scalars)) + (name.unicodeScalars.count > limit ? "…" : "")
}

/// `576×1`; outer dimensions of one are left out.
func shapeText(_ shape: [Int64]) -> String {
  var shape = shape
  while shape.count > 2, shape.last == 1 { shape.removeLast() }
  return shape.map(String.init).joined(separator: "×")
}
