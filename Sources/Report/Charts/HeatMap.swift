import Statistics

/// Counts in rows and columns as colours, too many for a table of numbers. The script tells the number under the pointer.
struct HeatMap {
  struct Row {
    var label: String
    var values: [UInt64]
  }

  var title: String
  var rows: [Row]
  var columnName: String
  var unit: String
  /// Colours compare the cells of a row with each other, not with those of other rows.
  var isByRow = false

  /// Cells that a page shows at most.
  private static let limit = 1 << 16

  var html: HTML {
    let columns = rows.map(\.values.count).max() ?? 0
    guard columns > 0 else { return .empty }
    let shown = rows.prefix(max(Self.limit / columns, 1))
    let most = shown.flatMap(\.values).max() ?? 0
    var paths = [PathData](repeating: PathData(), count: 8)
    for (row, line) in shown.enumerated() {
      let whole = isByRow ? line.values.max() ?? 0 : most
      for (column, value) in line.values.enumerated() where value > 0 {
        let level = min(Int(Double(value) / Double(whole) * 8), 7)
        paths[level].rectangle(
          column * Self.cell, column * Self.cell + Self.cell - 1, bottom: row * Self.cell + Self.cell - 1,
          top: row * Self.cell)
      }
    }
    let levels = paths.enumerated().map { level, path -> HTML in "<path class=\"h\(level)\" d=\"\(path)\"/>" }
    // Every row has room for its label, or every fifth has.
    let rowHeight = shown.count <= 24 ? 20 : shown.count <= 40 ? 12 : 7
    let labelled = max((14 + rowHeight - 1) / rowHeight, 1)
    let labels = shown.enumerated().map { index, row -> HTML in
      index % labelled == 0 ? "<span style=\"top:\(index * rowHeight)px\">\(row.label)</span>" : ""
    }
    let ticks = Ticks.values(to: Double(columns - 1), count: 8).map {
      Tick(place: ($0 + 0.5) / Double(columns), label: "\(Int($0))")
    }
    let values = shown.map { "[" + $0.values.map(String.init).joined(separator: ",") + "]" }.joined(
      separator: ",")
    let names = shown.map { jsonString(escapeForTerminal($0.label)) }.joined(separator: ",")
    let data = HTML.json(
      "{\"rows\":[\(names)],\"column\":\(jsonString(columnName)),\"unit\":\(jsonString(unit)),\"values\":[\(values)]}"
    )
    let note: HTML =
      shown.count < rows.count
      ? "<p class=\"note\">\(rows.count - shown.count) more rows are left out.</p>" : ""
    let ramp = (0..<8).map { "<i class=\"h\($0)\"></i>" as HTML }
    return """
      <p class="ramp"><span>0</span>\(ramp)<span>\(isByRow ? "most of a row" : "\(grouped(Int64(clamping: most))) \(unit)")</span></p>\
      <div class="heat-map"><div class="row-labels" aria-hidden="true">\(labels)</div>\
      <div class="cells" tabindex="0" role="group" aria-label="\(title). Arrow keys go from cell to cell.">\
      <svg role="img" aria-label="\(title)" style="height:\(shown.count * rowHeight)px" \
      viewBox="0 0 \(columns * Self.cell) \(shown.count * Self.cell)" preserveAspectRatio="none"><title>\(title)</title>\
      \(levels)</svg><script type="application/json">\(data)</script></div>\
      \(Plot.below(ticks))<p class="x-name">\(columnName)</p></div>\(note)

      """
  }

  /// Side of a cell in the drawing, with a gap of 1.
  private static let cell = 10
}
