/// The shape of an SVG path, in a plot's coordinates.
struct PathData {
  private(set) var text = ""

  mutating func move(_ x: Int, _ y: Int) { text += "M\(x) \(y)" }
  mutating func line(_ x: Int, _ y: Int) { text += "L\(x) \(y)" }
  mutating func vertical(to y: Int) { text += "V\(y)" }

  /// A point that its round stroke makes a dot.
  mutating func dot(_ x: Int, _ y: Int) { text += "M\(x) \(y)h0" }

  mutating func rectangle(_ left: Int, _ right: Int, bottom: Int, top: Int) {
    text += "M\(left) \(bottom)V\(top)H\(right)V\(bottom)z"
  }

  mutating func curve(_ x1: Int, _ y1: Int, _ x2: Int, _ y2: Int, _ x: Int, _ y: Int) {
    text += "C\(x1) \(y1) \(x2) \(y2) \(x) \(y)"
  }
}

extension HTML.Interpolation {
  /// Numbers and letters that cannot be markup, so nothing is escaped or cut.
  mutating func appendInterpolation(_ path: PathData) { appendLiteral(path.text) }
}
