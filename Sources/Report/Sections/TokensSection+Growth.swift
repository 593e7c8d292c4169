import Statistics
import TraceModel

/// How token steps grow with the context.
extension ReportPage {
  private static let shownDrifts = 3

  var growth: HTML {
    let heading = Self.heading("Over the context")
    guard !summary.drifts.isEmpty else {
      return heading
        + """
        <p class="absent"><b>Cannot tell</b> how steps grow with the context: it takes some dozens of whole steps of one \
        kind at known positions.</p>

        """
    }
    let parts = summary.drifts.prefix(Self.shownDrifts).map { drift -> HTML in
      chart(drift) + Self.list(facts(drift)) + carriers(drift) + levels(drift)
    }
    let more = summary.drifts.count - parts.count
    let note: HTML = more > 0 ? "<p class=\"note\">\(more) more kinds of steps: prof-analyze tokens</p>" : ""
    return heading + parts.joined() + note
  }

  private func name(_ drift: ContextDrift) -> String {
    drift.phase.rawValue + (drift.tokenCount.map { $0 == 1 ? "" : " of \($0) tokens" } ?? "")
  }

  private func facts(_ drift: ContextDrift) -> [(String, HTML)] {
    var list: [(String, HTML)] = []
    var text =
      "\(formatDuration(drift.first)) at position \(drift.positions.lowerBound), \(formatDuration(drift.last)) at"
      + " \(drift.positions.upperBound)"
    if let growth = drift.growth { text += " (\(growth < 0 ? "" : "+")\(formatShare(growth)))" }
    list.append((name(drift), "\(text)"))
    var rise = "\(Self.signed(drift.fit.perPosition * 1000)) for 1000 positions"
    if drift.levels.count > 1, let stair = drift.stair {
      rise +=
        " within a length of the cache, and \(Self.signed(Double(stair))) at each of \(drift.levels.count - 1) stairs"
    }
    list.append(("rises by", "\(rise); half of the steps within ±\(formatDuration(Int64(drift.fit.spread)))"))
    return list
  }

  private static func signed(_ time: Double) -> String { (time > 0 ? "+" : "") + formatDuration(Int64(time)) }

  /// Steps by position, with what the fit expects: in stairs where the cache is padded.
  private func chart(_ drift: ContextDrift) -> HTML {
    let steps = statistics.run.steps.steps.filter { step in
      step.context == drift.context && step.phase == drift.phase && step.tokenCount == drift.tokenCount
        && step.isComplete
    }
    let points = steps.compactMap { step in
      step.position.map { (position: $0, time: max(step.range.duration, 0)) }
    }
    let sorted = points.map(\.time).sorted()
    guard !sorted.isEmpty else { return .empty }
    // A spike that few steps have is a mark at the edge.
    let most = Double(max(sorted[(sorted.count - 1) * 99 / 100], drift.last, 1)) * 1.15
    let (first, last) = (Double(drift.positions.lowerBound), Double(drift.positions.upperBound))
    func x(_ position: Int) -> Double { (Double(position) - first) / max(last - first, 1) }
    let marks = ColumnMarks(points.map { (x: x($0.position), y: Double($0.time) / most) })
    var line = PathData()
    func draw(_ positions: ClosedRange<Int>, cells: Int?) {
      for (index, position) in [positions.lowerBound, positions.upperBound].enumerated() {
        let time = drift.fit.value(at: ContextPlace(position: position, cells: cells))
        let place = (Plot.x(x(position)), Plot.y(Double(time) / most))
        if index == 0 { line.move(place.0, place.1) } else { line.line(place.0, place.1) }
      }
    }
    for level in drift.levels { draw(level.positions, cells: level.cells) }
    if drift.levels.isEmpty { draw(drift.positions, cells: nil) }
    let positions = Ticks.linear(from: first, to: last, count: 6) { grouped(Int64($0)) }
    return StackedBar.legend([
      (name(drift) + " steps", Self.colour(drift.phase)), ("fit without what was taken", "c2"),
    ])
      + Plot(
        title: "Duration of \(name(drift)) steps by position in the context, and a fit", height: 200,
        xTicks: positions,
        yTicks: Ticks.linear(to: most, count: 4, label: Ticks.duration),
        xLabel: "position of the token in its sequence", yLabel: "duration of a step",
        marks:
          "\(marks.html(colour: Self.colour(drift.phase)))<g class=\"stroke c2\"><path class=\"line\" d=\"\(line)\"/></g>"
      ).html
  }

  private static let shownCarriers = 5

  private func carriers(_ drift: ContextDrift) -> HTML {
    let change = drift.last - drift.first
    guard change > 0, Double(change) > 2 * drift.fit.spread else { return .empty }
    let growing = drift.carriers.filter { $0.growth > 0 }
    guard !growing.isEmpty else { return .empty }
    let colours = ["c1", "c2", "c3", "c4", "c5"]
    let segments = zip(growing, colours).map { carrier, colour in
      Segment(
        name: carrier.name, colour: colour, value: Double(carrier.growth),
        text: "\(Self.signed(Double(carrier.growth))) from the first position to the last")
    }
    let rest = growing.dropFirst(Self.shownCarriers).reduce(Int64(0)) { $0 &+ $1.growth }
    let others = Segment(name: "others", colour: "c6", value: Double(rest), text: Self.signed(Double(rest)))
    return StackedBar.legend(segments.map { ($0.name, $0.colour) } + (rest > 0 ? [("others", "c6")] : []))
      + "<div class=\"bars\">"
      + StackedBar(
        label: "what grows", segments: segments + [others],
        note: "\(Self.signed(Double(change))) a step"
      ).html + "</div>\n"
  }

  private func levels(_ drift: ContextDrift) -> HTML {
    guard drift.levels.count > 1 else { return .empty }
    let table = DataTable(
      caption: "Steps by padded length of the cache",
      columns: [
        .init(heading: "cells"), .init(heading: "positions", isText: true), .init(heading: "steps"),
        .init(heading: "median"),
      ],
      rows: drift.levels.map {
        [
          .count($0.cells), .text("\($0.positions.lowerBound)–\($0.positions.upperBound)"), .count($0.steps),
          .duration($0.median),
        ]
      }
    ).html
    return "<details><summary>\(drift.levels.count) stairs as a table</summary>\(table)</details>\n"
  }
}
