import Foundation
import Statistics
import TraceModel

/// Duration of each token step over the run, as the page shows it at first: the script draws the same from `json` when
/// one zooms, so the two must agree on what a mark means.
///
/// Where few steps share a column of the chart each is a dot; where many do, a line goes from the fastest to the
/// slowest and the dot is the median.
struct TokenChart {
  let series: TokenSeries
  /// From the first step's start to the last one's end, or that of the last loss behind it.
  let range: TimeRange
  /// Over time, or else over the number of the step: where a run waits most of the time, time shows little else.
  let isOverTime: Bool
  let scale: Scale

  /// Of durations, nanoseconds.
  struct Scale: Equatable {
    var isLogarithmic: Bool
    var minimum: Double
    var maximum: Double

    /// 0…1; more for what lies above.
    func place(_ value: Double) -> Double {
      guard isLogarithmic else { return value / maximum }
      return log(max(value, 1) / minimum) / log(maximum / minimum)
    }
  }

  /// Returns nil without any step of a known length.
  ///
  /// - Parameter losses: from where the first begins to where the last ends: steps that are missing for them would
  ///   have been there.
  init?(_ series: TokenSeries, losses: TimeRange? = nil) {
    guard var range = series.range, range.duration > 0 else { return nil }
    if let losses {
      range.start = min(range.start, losses.start)
      range.end = max(range.end, losses.end)
    }
    self.series = series
    self.range = range
    isOverTime = series.busyShare >= 0.3
    scale = Self.scale(of: series.points)
  }

  /// Steps that generate set the scale; a prefill of seconds would flatten them all.
  private static func scale(of points: [TokenSeries.Point]) -> Scale {
    func durations(_ isIncluded: (Phase) -> Bool) -> [Double] {
      points.filter { isIncluded($0.step.phase) }.map { Double(max($0.step.range.duration, 1)) }.sorted()
    }
    let generating = durations { $0 == .decode || $0 == .verify || $0 == .draft }
    let shown = generating.isEmpty ? durations { _ in true } : generating
    let (least, most) = (shown.first ?? 1, shown.last ?? 1)
    let median = shown.isEmpty ? 1 : shown[(shown.count - 1) / 2]
    if most > 10 * median {
      let all = durations { _ in true }
      return Scale(isLogarithmic: true, minimum: min(least, all[0]) / 1.3, maximum: all[all.count - 1] * 1.3)
    }
    return Scale(isLogarithmic: false, minimum: 0, maximum: most * 1.08)
  }

  /// 0…1 along the chart.
  private func place(of index: Int) -> Double {
    guard isOverTime else { return (Double(index) + 0.5) / Double(series.points.count) }
    return Double(series.points[index].step.range.start - range.start) / Double(range.duration)
  }

  /// - Parameter bands: stretches of time, as fractions of the recording, with a class each.
  func html(title: String, marks: HTML) -> HTML {
    let isSparse = series.points.count <= ColumnMarks.sparseLimit
    let paths = series.phases.sorted { phaseOrder($0) < phaseOrder($1) }.map { phase -> HTML in
      let points = series.points.indices.filter { series.points[$0].step.phase == phase }.map { index in
        (x: place(of: index), y: scale.place(Double(max(series.points[index].step.range.duration, 1))))
      }
      return ColumnMarks(points, isSparse: isSparse).html(
        colour: ReportPage.colour(phase), phase: phase.rawValue)
    }
    return Plot(
      title: title, height: 280, xTicks: xTicks, yTicks: yTicks, rightTicks: rateTicks,
      xLabel: isOverTime ? "time since the first step" : "token steps, in order",
      yLabel: "duration of a step", rightLabel: "steps a second",
      marks: "\(marks)\(paths)", identifier: "token-plot"
    ).html
  }

  /// What there is most of lies at the bottom.
  private func phaseOrder(_ phase: Phase) -> Int {
    switch phase {
    case .decode: 0
    case .draft: 1
    case .verify: 2
    default: 3
    }
  }

  private var xTicks: [Tick] {
    if isOverTime {
      return Ticks.linear(to: Double(range.duration), count: 6, label: Ticks.duration)
    }
    let last = Double(series.points.count)
    return Ticks.linear(to: last, count: 6) { value in
      let index = min(Int(value), series.points.count - 1)
      return String(series.points[index].step.index)
    }
  }

  private var yTicks: [Tick] {
    let values =
      scale.isLogarithmic
      ? Ticks.logarithmic(from: scale.minimum, to: scale.maximum) : Ticks.values(to: scale.maximum, count: 5)
    return values.map { Tick(place: scale.place($0), label: Ticks.duration($0)) }
  }

  /// The same places as steps a second: what people compare.
  private var rateTicks: [Tick] {
    let values =
      scale.isLogarithmic
      ? Ticks.logarithmic(from: scale.minimum, to: scale.maximum) : Ticks.values(to: scale.maximum, count: 5)
    return values.filter { $0 > 0 }.map { Tick(place: scale.place($0), label: Ticks.rate(1e9 / $0)) }
  }

  // MARK: - For the script

  /// Nanoseconds of the unit that times have in the JSON.
  private static let unit: Int64 = 100

  /// - Parameter hasOperators: whether the time of operators was recorded; it is not known at a lower level.
  func json(hasOperators: Bool, hasGraphs: Bool) -> String {
    let points = series.points
    func list(_ value: (TokenSeries.Point) -> String) -> String {
      "[" + points.map(value).joined(separator: ",") + "]"
    }
    func time(_ isKnown: Bool, _ value: (StepTime) -> Int64) -> String {
      isKnown ? list { String(value($0.time) / Self.unit) } : "null"
    }
    let phases = series.phases
    let number = Dictionary(uniqueKeysWithValues: phases.enumerated().map { ($1, $0) })
    let fields: [(String, String)] = [
      ("unit", String(Self.unit)),
      ("end", String(range.duration / Self.unit)),
      ("overTime", isOverTime ? "true" : "false"),
      ("logarithmic", scale.isLogarithmic ? "true" : "false"),
      ("group", String(series.groupSize)),
      ("phases", "[" + phases.map { jsonString($0.rawValue) }.joined(separator: ",") + "]"),
      ("step", list { String($0.step.index) }),
      ("phase", list { String(number[$0.step.phase] ?? 0) }),
      ("start", list { String(($0.step.range.start - range.start) / Self.unit) }),
      ("duration", list { String(max($0.step.range.duration, 0) / Self.unit) }),
      ("tokens", list { $0.step.tokenCount.map(String.init) ?? "null" }),
      ("position", list { $0.step.position.map(String.init) ?? "null" }),
      ("role", series.groupSize == 1 ? "null" : list { String($0.role.rawValue) }),
      ("operators", time(hasOperators, \.operators)),
      ("barriers", time(hasOperators, \.barrier)),
      ("backends", time(points.contains { $0.time.backendGraphs > 0 }, \.backendGraphs)),
      ("engine", time(hasGraphs) { $0.setup &+ $0.betweenGraphs &+ $0.finish &+ $0.graphOverhead }),
      ("sampling", time(true, \.sampling)),
      ("outside", time(true, \.outside)),
    ]
    return "{" + fields.map { "\(jsonString($0.0)):\($0.1)" }.joined(separator: ",\n") + "}"
  }
}
