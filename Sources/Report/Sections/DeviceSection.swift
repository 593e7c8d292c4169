import Statistics
import TraceModel

/// Clock rates and temperatures.
extension ReportPage {
  var device: Section {
    let body = frequencies + temperatures
    return Section(
      id: "device", title: "Device state",
      lead: body.isEmpty
        ? .empty
        : "Read by the recorder about once a second; the band goes from the lowest to the highest reading.",
      body: body.isEmpty
        ? Self.notRecorded(
          "The recorder reads clock rates (cpufreq) and temperatures (thermal zones) about once a second wherever"
            + " Linux shows them; this machine has shown none, or the recording was too short.") : body)
  }

  private var frequencies: HTML {
    let names = summary.facts.clusters
    let series = DeviceSeries.grouped(statistics.device.frequencies) { names[$0] ?? "CPU \($0)" }
    return chart("Clock rate", series, summary.frequencies, isFromZero: true, formatFrequency) {
      "\(Ticks.plain(Double($0) / 1e6)) GHz"
    }
  }

  private var temperatures: HTML {
    let names = summary.facts.thermalZones
    let series = DeviceSeries.grouped(statistics.device.temperatures) { names[$0] ?? "zone \($0)" }
    return chart("Temperature", series, summary.temperatures, isFromZero: false, formatTemperature) {
      "\(Ticks.plain(Double($0) / 1000)) °C"
    }
  }

  private static let shownSeries = 6

  private func chart(
    _ title: String, _ all: [(name: String, points: [DeviceSeries.Point?])], _ summaries: [SeriesSummary],
    isFromZero: Bool, _ format: (Int64) -> String, label: (Int64) -> String
  ) -> HTML {
    let series = all.prefix(Self.shownSeries)
    let values = series.flatMap { $0.points.compactMap { $0 } }
    guard let highest = values.map(\.maximum).max(), let lowest = values.map(\.minimum).min() else {
      return .empty
    }
    // A temperature's zero means nothing: its axis shows what it did.
    let base = isFromZero ? 0 : Double(lowest) - max(Double(highest - lowest) * 0.2, 1000)
    let span = max((Double(highest) - base) * 1.08, 1)
    func place(_ value: Int64) -> Double { (Double(value) - base) / span }
    let window = statistics.device.window
    let marks = series.enumerated().map { index, one -> HTML in
      line(one.points, count: window.count, colour: "c\(index % Self.shownSeries + 1)", place: place)
    }
    let ticks = Ticks.linear(from: base, to: base + span, count: 4) { label(Int64($0)) }
    let legend = StackedBar.legend(
      series.enumerated().map { index, one in
        let known = summaries.first { $0.name == one.name }
        let range = known.map { ": \(format($0.minimum)) to \(format($0.maximum))" } ?? ""
        return (one.name + range, "c\(index % Self.shownSeries + 1)")
      })
    let more = all.count - series.count
    let note: HTML = more > 0 ? "<p class=\"note\">\(more) more are in prof-analyze summary.</p>" : ""
    return Self.heading(title) + legend
      + Plot(
        title: "\(title) over the recording", height: 140,
        xTicks: Ticks.linear(to: Double(window.duration), count: 6, label: Ticks.duration), yTicks: ticks,
        xLabel: "time since the recording began", yLabel: title.lowercased(),
        marks: marks.joined() + hits(series, window, format)
      ).html + note
  }

  /// What the pointer is over is told for each part of the recording.
  private func hits(
    _ series: ArraySlice<(name: String, points: [DeviceSeries.Point?])>, _ window: TimeWindow,
    _ format: (Int64) -> String
  ) -> HTML {
    (0..<window.count).map { part -> HTML in
      let values = series.compactMap { one -> HTML? in
        one.points[part].map { point in
          let range = point.minimum == point.maximum ? "" : "\(format(point.minimum)) to "
          return "\(one.name): \(range)\(format(point.maximum))"
        }
      }
      guard !values.isEmpty else { return .empty }
      let time = Ticks.duration((Double(window.duration) * Double(part) / Double(window.count)).rounded())
      // As wide as needed to be met where readings are few.
      let left = Plot.x((Double(part) - 1) / Double(window.count))
      return """
        <rect class="hit" x="\(left)" y="0" width="\(3 * Int(Plot.side) / window.count)" height="\(Int(Plot.side))" \
        data-tip="\(values.joined(separator: "&#10;"))&#10;after \(time)"/>
        """
    }.joined()
  }

  private func line(
    _ points: [DeviceSeries.Point?], count: Int, colour: String, place: (Int64) -> Double
  ) -> HTML {
    let known = points.enumerated().compactMap { part, point in point.map { (part: part, point: $0) } }
    var (line, band) = (PathData(), PathData())
    for (index, one) in known.enumerated() {
      let x = Plot.x((Double(one.part) + 0.5) / Double(count))
      let (low, high) = (Plot.y(place(one.point.minimum)), Plot.y(place(one.point.maximum)))
      if index == 0 { line.move(x, high) } else { line.line(x, high) }
      if low != high {
        band.move(x, low)
        band.vertical(to: high)
      }
      // One reading alone is a dot.
      if known.count == 1 { line.dot(x, high) }
    }
    return """
      <g class="stroke \(colour)"><path class="spread" d="\(band)"/><path class="line" d="\(line)"/></g>
      """
  }
}
