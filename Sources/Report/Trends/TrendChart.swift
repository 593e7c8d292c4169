import Archive
import Statistics

/// Speed of the runs of one trend, and where a decoded token's time went in each.
struct TrendChart {
  let trend: Trend
  let title: String

  /// Parts of a token's time with a colour of their own; the rest is one more.
  private static let shownParts = 6

  init(_ trend: Trend, title: String) {
    self.trend = trend
    self.title = title
  }

  var html: HTML {
    let model: HTML = trend.key.model.map { "<p class=\"note\">\($0)</p>\n" } ?? ""
    return "<h3>\(title)</h3>\n" + model + speed + time
  }

  /// 0…1 along the chart: runs come at any time, so each has as much room as the next.
  private func place(_ index: Int) -> Double { (Double(index) + 0.5) / Double(trend.points.count) }

  private var speed: HTML {
    let most = (trend.points.map(\.rate).max() ?? 1) * 1.1
    func y(_ rate: Double) -> Int { Int((1 - rate / most) * Plot.side) }
    var (line, dots, crosses) = (PathData(), PathData(), PathData())
    for (index, point) in trend.points.enumerated() {
      let x = Int(place(index) * Plot.side)
      if index == 0 { line.move(x, y(point.rate)) } else { line.line(x, y(point.rate)) }
      dots.dot(x, y(point.rate))
      if point.change?.isSlower == true { crosses.dot(x, y(point.rate)) }
    }
    let rings = trend.points.enumerated().map { index, point -> HTML in
      let left = place(index) * 100
      let change = point.change
      let mark: HTML = change?.isSlower == true ? " class=\"trend-mark bad\"" : " class=\"trend-mark\""
      let text: HTML = change?.isSlower == true ? "✕" : ""
      return """
        <span\(mark) style="left:\(left, digits: 2)%;bottom:\(point.rate / most * 100, digits: 2)%" \
        data-tip="\(tip(point))">\(text)</span>
        """
    }
    return Plot(
      title: "Decoded tokens a second of \(trend.points.count) runs", height: 200, xTicks: ticks,
      yTicks: Ticks.linear(to: most, count: 5, label: Ticks.rate), yLabel: "decoded tokens a second",
      marks: """
        <g class="stroke sparse c1"><path class="line" d="\(line)"/><path class="dots" d="\(dots)"/></g>\
        <g class="stroke sparse lost"><path class="dots" d="\(crosses)"/></g>
        """, overlay: "<div class=\"overlay\">\(rings)</div>"
    ).html
  }

  private func tip(_ point: Trend.Point) -> String {
    var lines = [
      "run \(point.run.run), \(point.run.recorded.map(utc) ?? "unknown time")",
      "\(formatDecimal(point.rate, digits: 2)) tokens/s",
    ]
    if let change = point.change {
      lines.append("\(formatShare(change.ratio)) against the \(change.runs) runs before")
    }
    if let version = point.run.engineVersion { lines.append("engine \(version)") }
    if let build = point.run.engineBuild { lines.append("build \(build.prefix(12))") }
    if let verdict = point.run.verdict { lines.append(verdict) }
    return lines.joined(separator: "\n")
  }

  /// At most six labels: the day of a run.
  private var ticks: [Tick] {
    let step = max((trend.points.count + 5) / 6, 1)
    return stride(from: 0, to: trend.points.count, by: step).map { index in
      let run = trend.points[index].run
      return Tick(
        place: place(index), label: run.recorded.map { String(utc($0).prefix(10)) } ?? "run \(run.run)")
    }
  }

  /// Operator types that matter in any run, most time first.
  private var parts: [String] {
    var sums: [String: Double] = [:]
    for point in trend.points { for (part, time) in point.parts { sums[part, default: 0] += time } }
    return sums.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(Self.shownParts).map(\.key)
  }

  private var time: HTML {
    let shown = parts
    guard !shown.isEmpty else {
      return ReportPage.notRecorded("Where a token's time went: record at --level op.")
    }
    let known = Set(shown)
    let stacks = trend.points.map { point -> [Double] in
      shown.map { point.parts[$0] ?? 0 } + [
        point.parts.filter { !known.contains($0.key) }.values.reduce(0, +)
      ]
    }
    let most = (stacks.map { $0.reduce(0, +) }.max() ?? 0) * 1.05
    guard most > 0 else { return .empty }
    var paths = [PathData](repeating: PathData(), count: shown.count + 1)
    let width = 0.8 / Double(trend.points.count) * Plot.side
    for (index, stack) in stacks.enumerated() {
      let left = place(index) * Plot.side - width / 2
      var base = 0.0
      for (part, value) in stack.enumerated() where value > 0 {
        paths[part].rectangle(
          Int(left), Int(left + width), bottom: Int((1 - base / most) * Plot.side),
          top: Int((1 - (base + value) / most) * Plot.side))
        base += value
      }
    }
    let colours = paths.indices.map { $0 < shown.count ? "c\($0 + 1)" : "c7" }
    let marks = zip(paths, colours).map { path, colour -> HTML in
      "<path class=\"fill \(colour)\" d=\"\(path)\"/>"
    }
    let legend = StackedBar.legend(
      shown.enumerated().map { ($0.element, colours[$0.offset]) } + [("the rest", "c7")])
    return legend
      + Plot(
        title: "Where the time of a decoded token went in \(trend.points.count) runs", height: 180,
        xTicks: ticks,
        yTicks: Ticks.linear(to: most, count: 4, label: Ticks.duration), yLabel: "a decoded token",
        marks: marks.joined()
      ).html
  }
}
