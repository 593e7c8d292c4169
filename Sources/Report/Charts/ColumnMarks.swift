/// Many points as marks of a chart: where few share a column of it each is a dot; where many do, a line goes from the
/// lowest to the highest and the dot is the median. Points above the axis are marks at its upper edge.
struct ColumnMarks {
  private(set) var dots = PathData()
  private(set) var spread = PathData()
  private(set) var above = PathData()
  let isSparse: Bool

  /// Columns that a chart has.
  private static let columnCount = 480
  /// Points in a column up to which each is a dot.
  private static let dotLimit = 3
  /// Fewer points on the whole are larger dots.
  static let sparseLimit = 300

  /// - Parameter points: places in the plot, 0…1; an y above 1 lies above the axis.
  init(_ points: [(x: Double, y: Double)], isSparse: Bool? = nil) {
    self.isSparse = isSparse ?? (points.count <= Self.sparseLimit)
    var columns = [[(x: Double, y: Double)]](repeating: [], count: Self.columnCount)
    for point in points {
      let column = Int(min(max(point.x, 0), 1) * Double(Self.columnCount))
      columns[min(column, Self.columnCount - 1)].append(point)
    }
    for (column, members) in columns.enumerated() where !members.isEmpty {
      let inside = members.filter { $0.y <= 1 }
      let middle = Plot.x((Double(column) + 0.5) / Double(Self.columnCount))
      if inside.count < members.count {
        above.move(middle, 0)
        above.vertical(to: 400)
      }
      if inside.count <= Self.dotLimit {
        for point in inside { dots.dot(Plot.x(point.x), Plot.y(point.y)) }
      } else {
        let heights = inside.map(\.y).sorted()
        spread.move(middle, Plot.y(heights[0]))
        spread.vertical(to: Plot.y(heights[heights.count - 1]))
        dots.dot(middle, Plot.y(heights[(heights.count - 1) / 2]))
      }
    }
  }

  /// - Parameters:
  ///   - colour: class of the style sheet.
  ///   - phase: for the script.
  func html(colour: String, phase: String? = nil) -> HTML {
    let name: HTML = phase.map { " data-phase=\"\($0)\"" } ?? ""
    return """
      <g class="stroke \(colour)\(isSparse ? " sparse" : "")"\(name)><path class="spread" d="\(spread)"/>\
      <path class="dots" d="\(dots)"/><path class="above" d="\(above)"/></g>
      """
  }
}
