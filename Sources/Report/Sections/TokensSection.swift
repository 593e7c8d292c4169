import Statistics
import TraceModel

/// Token steps over time.
extension ReportPage {
  var tokens: Section {
    guard let chart = tokenChart else {
      return Section(
        id: "tokens", title: "Tokens over time",
        body: Self.notRecorded(
          "The trace holds no whole token step: record a target while it generates, and let it end a step."))
    }
    var lead: HTML = """
      Each dot is a token step, at its start; the higher, the slower. <span class="interactive">Drag over the chart to \
      zoom in, double-click to see all again; the arrow keys walk from step to step.</span>
      """
    let series = chart.series
    if series.groupSize > 1 {
      lead += """
         Of each \(series.groupSize) consecutive steps of a phase the fastest, the median and the slowest are shown:\
         \(grouped(Int64(series.points.count))) of \(grouped(Int64(series.stepCount))).
        """
    }
    return Section(
      id: "tokens", title: "Tokens over time", lead: lead,
      body: legend(of: chart) + chart.html(title: words(of: chart), marks: bands(of: chart))
        + bandNote(of: chart)
        + Self.heading("By phase") + stepTable + growth + slowest)
  }

  private var tokenChart: TokenChart? {
    TokenChart(TokenSeries(statistics.run.steps), losses: statistics.losses.extent)
  }

  /// What the script zooms into.
  var tokenData: HTML {
    guard let chart = tokenChart else { return "null" }
    return HTML.json(chart.json(hasOperators: summary.hasOperators, hasGraphs: summary.hasGraphs))
  }

  /// For those who do not see the chart.
  private func words(of chart: TokenChart) -> String {
    let phases = summary.phaseTimes.filter { $0.phase != .unknown }
      .map { "\(formatCount($0.steps, "\($0.phase.rawValue) step"))" }.joined(separator: ", ")
    let steps = Speed(steps: statistics.run.steps.steps).decodeStep
    var text = "Duration of each token step over the run: \(phases)."
    if let median = steps.quantile(0.5), let most = steps.quantile(1) {
      text +=
        " Decode steps take \(formatDuration(median)) in the median and \(formatDuration(most)) at most."
    }
    return text
  }

  private func legend(of chart: TokenChart) -> HTML {
    let items = chart.series.phases.map { phase -> HTML in
      let count = chart.series.points.count { $0.step.phase == phase }
      return """
        <li><button type="button" class="key" aria-pressed="true" data-phase="\(phase.rawValue)">\
        <i class="\(Self.colour(phase))"></i>\(phase.rawValue)</button>\
        <span class="note">\(chart.series.groupSize == 1 ? "\(grouped(Int64(count)))" : "")</span></li>
        """
    }
    return """
      <div class="toolbar"><ul class="legend phases">\(items)</ul><div class="tools" id="token-tools" hidden>\
      <button type="button" data-do="x">over time</button><button type="button" data-do="y">linear</button>\
      <button type="button" data-do="in" aria-label="zoom in">+</button>\
      <button type="button" data-do="out" aria-label="zoom out">−</button>\
      <button type="button" data-do="all">all</button></div></div>

      """
  }

  /// Where the trace cannot vouch for what it shows, behind the marks.
  private func bands(of chart: TokenChart) -> HTML {
    guard let whole = statistics.range, whole.duration > 0 else { return .empty }
    // Over the number of the step there is no place for a stretch of time; the script can change that.
    let hidden: HTML = chart.isOverTime ? "" : " style=\"display:none\""
    func rectangles(_ parts: MarkedParts, _ name: String) -> [HTML] {
      parts.stretches.compactMap { stretch in
        func place(_ fraction: Double) -> Double {
          let time = Double(whole.start - chart.range.start) + fraction * Double(whole.duration)
          return time / Double(chart.range.duration)
        }
        let (from, to) = (place(stretch.lowerBound), place(stretch.upperBound))
        guard to > 0, from < 1 else { return nil }
        let width = max(Plot.x(to) - Plot.x(from), 20)
        return
          "<rect class=\"\(name)\" x=\"\(Plot.x(from))\" y=\"0\" width=\"\(width)\" height=\"\(Int(Plot.side))\"/>"
      }
    }
    return """
      <g class="bands"\(hidden)>\(rectangles(statistics.unprobed, "unprobed"))\(rectangles(statistics.losses, "lost"))</g>
      """
  }

  private func bandNote(of chart: TokenChart) -> HTML {
    var notes: [HTML] = []
    if !statistics.losses.stretches.isEmpty {
      let place = chart.isOverTime ? "" : " (shown over time)"
      notes.append("<i class=\"swatch lost\"></i>records were lost\(place)")
    }
    if chart.isOverTime, !statistics.unprobed.stretches.isEmpty {
      notes.append("<i class=\"swatch unprobed\"></i>without operator probes (--qos-min-tps)")
    }
    let above = chart.series.points.contains { chart.scale.place(Double($0.step.range.duration)) > 1 }
    if above { notes.append("Marks at the upper edge are steps longer than the axis.") }
    return notes.isEmpty ? .empty : "<p class=\"note\">\(notes.joined(separator: " · "))</p>\n"
  }

  private var stepTable: HTML {
    let rows = summary.phaseTimes.map { time -> [DataTable.Field] in
      var sketch = QuantileSketch()
      for step in statistics.run.steps.steps where step.phase == time.phase && step.isComplete {
        sketch.add(step.range.duration)
      }
      let rate = time.tokens.flatMap { time.wall > 0 ? Double($0) * 1e9 / Double(time.wall) : nil }
      return [
        DataTable.Field("<i class=\"swatch \(Self.colour(time.phase))\"></i>\(time.phase.rawValue)"),
        .count(time.steps), .count(time.tokens), .duration(sketch.quantile(0.5)),
        .duration(sketch.quantile(0.95)), .duration(sketch.quantile(0.99)), .duration(sketch.quantile(1)),
        .duration(time.wall), .decimal(rate, digits: 1),
        .duration(time.time.sampling / Int64(max(time.steps, 1))),
        .duration(time.time.outside / Int64(max(time.steps, 1))),
      ]
    }
    return DataTable(
      caption: "Token steps by phase",
      columns: [
        .init(heading: "phase", isText: true), .init(heading: "steps"), .init(heading: "tokens"),
        .init(heading: "p50"), .init(heading: "p95"), .init(heading: "p99"), .init(heading: "slowest"),
        .init(heading: "together"),
        .init(
          heading: "tokens/s", hint: "Tokens over the wall time of the steps, without what lies between them"),
        .init(heading: "sampling", hint: "After a step, on average"),
        .init(heading: "outside", hint: "After a step, in neither engine nor sampler, on average"),
      ], rows: rows
    ).html
  }
}
