import Statistics

/// Markup that is safe to put into the page as it is.
///
/// Written as a string literal. Text that is interpolated into it is escaped; only other `HTML` goes in unchanged, so
/// a name from a trace can never become markup, in an element or in a quoted attribute.
struct HTML: Sendable, Equatable, ExpressibleByStringInterpolation {
  private(set) var markup: String

  init(stringLiteral value: String) { markup = value }

  init(stringInterpolation: Interpolation) { markup = stringInterpolation.markup }

  /// - Parameter trusted: markup that holds nothing from a trace.
  private init(trusted: String) { markup = trusted }

  static let empty: HTML = ""

  var isEmpty: Bool { markup.isEmpty }

  static func + (a: HTML, b: HTML) -> HTML { HTML(trusted: a.markup + b.markup) }

  static func += (a: inout HTML, b: HTML) { a.markup += b.markup }

  /// A style sheet or script of the page itself.
  static func resource(_ bytes: [UInt8]) -> HTML { HTML(trusted: String(decoding: bytes, as: UTF8.self)) }

  /// JSON for the page's script: `<` and `>` cannot end the element that it is in.
  static func json(_ text: String) -> HTML {
    var safe = ""
    safe.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      switch scalar {
      case "<": safe += "\\u003c"
      case ">": safe += "\\u003e"
      case "&": safe += "\\u0026"
      default: safe.unicodeScalars.append(scalar)
      }
    }
    return HTML(trusted: safe)
  }

  struct Interpolation: StringInterpolationProtocol {
    fileprivate var markup = ""

    init(literalCapacity: Int, interpolationCount: Int) {
      markup.reserveCapacity(literalCapacity + 16 * interpolationCount)
    }

    mutating func appendLiteral(_ literal: String) { markup += literal }
    mutating func appendInterpolation(_ text: String) { markup += escape(text) }
    mutating func appendInterpolation(_ text: String?) { markup += text.map(escape) ?? "–" }
    mutating func appendInterpolation(_ number: some BinaryInteger) { markup += String(number) }
    mutating func appendInterpolation(_ number: Double, digits: Int) {
      markup += formatDecimal(number, digits: digits)
    }
    mutating func appendInterpolation(_ html: HTML) { markup += html.markup }
    mutating func appendInterpolation(_ parts: [HTML]) { for part in parts { markup += part.markup } }
  }
}

extension Sequence<HTML> {
  func joined(separator: HTML = "") -> HTML {
    var result = HTML.empty
    for (index, part) in enumerated() {
      if index > 0 { result += separator }
      result += part
    }
    return result
  }
}

/// Not more of a text than a page can show: scalars, since one character may have any number of them.
private func cut(_ text: String) -> String {
  let limit = 400
  guard text.utf8.count > limit, text.unicodeScalars.count > limit else { return text }
  return String(text.unicodeScalars.prefix(limit - 1)) + "…"
}

/// Makes any text harmless in HTML, between tags and in quoted attributes. Control characters, and those that are
/// invisible or turn the direction of text, become `\u{…}`.
func escape(_ text: String) -> String {
  var result = ""
  for scalar in escapeForTerminal(cut(text)).unicodeScalars {
    switch scalar {
    case "&": result += "&amp;"
    case "<": result += "&lt;"
    case ">": result += "&gt;"
    case "\"": result += "&quot;"
    case "'": result += "&#39;"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
