/// A directed graph as SVG: boxes with lines of text, and edges that go down.
struct GraphDrawing {
  struct Box {
    var lines: [String]
    /// Classes of the style sheet.
    var kind: String
    var tip: String
  }

  struct Edge {
    var from: Int
    var to: Int
    /// Classes of the style sheet.
    var kind: String
  }

  /// For those who do not see it.
  var title: String
  /// In an order in which edges go forward.
  var boxes: [Box]
  var edges: [Edge]

  private static let lineHeight = 15.0
  private static let padding = 8.0
  /// Width of letters at the size of the style sheet, in a wide font: boxes are sized without knowing which it is.
  private static let letterWidth = 7.2
  private static let capitalWidth = 8.3
  private static let boldFactor = 1.1
  private static let longestLine = 34

  var html: HTML {
    let lines = boxes.map { box in
      box.lines.map { $0.count > Self.longestLine ? String($0.prefix(Self.longestLine - 1)) + "…" : $0 }
    }
    let sizes = lines.map { lines -> (width: Double, height: Double) in
      let plain = lines.dropFirst().map(Self.width).max() ?? 0
      let bold = lines.first.map { Self.width($0) * Self.boldFactor } ?? 0
      return (
        max(plain, bold) + 2 * Self.padding,
        Double(lines.count) * Self.lineHeight + 2 * Self.padding - 3
      )
    }
    let layout = LayeredLayout(sizes: sizes, edges: edges.map { ($0.from, $0.to) })
    let (width, height) = (layout.width.rounded(.up) + 4, layout.height.rounded(.up) + 4)
    let paths = layout.routes.map { route -> HTML in
      "<path class=\"edge \(edges[route.edge].kind)\" d=\"\(Self.curve(route.points))\"/>"
    }
    let heads = layout.routes.map { route -> HTML in
      guard let end = route.points.last else { return .empty }
      return "<path class=\"head \(edges[route.edge].kind)\" d=\"\(Self.head(end))\"/>"
    }
    let boxes = zip(boxes.indices, boxes).map { index, box -> HTML in
      let (size, centre) = (sizes[index], layout.centres[index])
      let left = centre.x - size.width / 2
      let top = centre.y - size.height / 2
      let text = lines[index].enumerated().map { number, line -> HTML in
        let y = top + Self.padding + Double(number) * Self.lineHeight + 9
        return
          "<text\(number == 0 ? " class=\"name\"" as HTML : "") x=\"\(centre.x, digits: 1)\" y=\"\(y, digits: 1)\">\(line)</text>"
      }
      return """
        <g class="node \(box.kind)" data-tip="\(box.tip)"><rect x="\(left, digits: 1)" y="\(top, digits: 1)" \
        width="\(size.width, digits: 1)" height="\(size.height, digits: 1)" rx="5"/>\(text)</g>

        """
    }
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="\(title)"><svg class="graph" role="img" aria-label="\(title)" \
      width="\(Int(width))" height="\(Int(height))" viewBox="-2 -2 \(Int(width)) \(Int(height))"><title>\(title)</title>
      \(paths)\(boxes)\(heads)</svg></div>

      """
  }

  private static func width(_ line: String) -> Double {
    line.reduce(0) { $0 + ($1.isUppercase ? capitalWidth : letterWidth) }
  }

  /// Through all points, vertical at each.
  private static func curve(_ points: [LayeredLayout.Point]) -> PathData {
    var path = PathData()
    for (index, point) in points.enumerated() {
      guard index > 0 else {
        path.move(Int(point.x), Int(point.y))
        continue
      }
      let last = points[index - 1]
      let middle = Int((last.y + point.y) / 2)
      path.curve(Int(last.x), middle, Int(point.x), middle, Int(point.x), Int(point.y))
    }
    return path
  }

  private static func head(_ end: LayeredLayout.Point) -> PathData {
    var path = PathData()
    path.move(Int(end.x) - 4, Int(end.y) - 6)
    path.line(Int(end.x) + 4, Int(end.y) - 6)
    path.line(Int(end.x), Int(end.y))
    return path
  }
}
