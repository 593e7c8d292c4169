import Archive
import Statistics

/// An archive as one HTML page that needs nothing but itself: how fast its runs are over time, and what changed.
public struct TrendsPage {
  private let folder: String
  let runs: [ArchivedRun]
  let trends: [Trend]
  private let failures: [(path: String, reason: String)]
  private let analyzer: String

  /// A page with all trends of a large archive would be too large to be read.
  private static let shownTrends = 40
  private static let shownRuns = 2000
  private static let shownFailures = 500

  /// - Parameters:
  ///   - folder: of the archive, as it was named.
  ///   - runs: the oldest first.
  ///   - failures: traces that gave no results, with the reason.
  public init(
    folder: String, runs: [ArchivedRun], trends: [Trend], failures: [(path: String, reason: String)],
    analyzer: String
  ) {
    self.folder = folder
    self.runs = runs
    self.trends = trends
    self.failures = failures
    self.analyzer = analyzer
  }

  /// The page, in UTF-8.
  public var html: String {
    let name = folder.split(separator: "/").last.map(String.init) ?? folder
    let page = PageFrame(
      title: "\(name) – prof-analyze archive", sections: [changes, speed, table, problems],
      header: """
        <header class="masthead" id="overview"><p class="eyebrow">Archive of LLM inferences</p><h1>\(name)</h1>
        <div class="tiles">\(tiles)</div></header>

        """,
      footer: """
        Written by \(analyzer) from the index in \(folder). Speeds are those of the decode steps, without what is between \
        them; a dash is what was not recorded.
        """)
    return page.html.markup
  }

  private var tiles: [HTML] {
    func distinct(_ value: (ArchivedRun) -> String?) -> Int { Set(runs.compactMap(value)).count }
    func tile(_ name: String, _ value: String, _ note: String = "") -> HTML {
      """
      <div class="tile"><div class="tile-name">\(name)</div><div class="tile-value">\(value)</div>\
      <div class="tile-note">\(note)</div></div>
      """
    }
    let times = runs.compactMap(\.recorded)
    let span = times.first.flatMap { first in times.last.map { "\(day(first)) to \(day($0))" } } ?? ""
    return [
      tile("Runs", "\(runs.count)", span), tile("Models", "\(distinct(\.name))"),
      tile("Devices", "\(distinct(\.host))"), tile("Engine builds", "\(distinct(\.engineBuild))"),
      tile("Slower than before", "\(slower.count)", "of \(formatCount(trends.count, "trend"))"),
      tile("Bad traces", "\(failures.count)"),
    ]
  }

  private var slower: [(trend: Trend, point: Trend.Point)] {
    trends.flatMap { trend in trend.points.filter { $0.change?.isSlower == true }.map { (trend, $0) } }
  }

  // MARK: - Sections

  private var changes: PageSection {
    let all = trends.flatMap { trend in
      trend.points.compactMap { point in point.change.map { (trend: trend, point: point, change: $0) } }
    }.sorted { ($0.change.ratio, $0.point.run.run) < ($1.change.ratio, $1.point.run.run) }
    let items = all.prefix(Self.shownTrends).map { item -> HTML in
      let run = item.point.run
      let percent = formatDecimal(item.change.ratio.magnitude * 100, digits: 1)
      let kind = item.change.isSlower ? "slower" : "faster"
      let build: HTML =
        item.change.otherBuild.map { " The engine is another build: <code>\($0)</code> before." } ?? ""
      let version: HTML =
        item.change.otherVersion.map { " Its version is \(run.engineVersion ?? "unknown"), before \($0)." }
        ?? ""
      let causes = item.change.causes.map { cause -> HTML in
        "<b>\(cause.part)</b> \(difference(cause.difference))"
      }
      let carried: HTML =
        causes.isEmpty ? "" : "<p class=\"advice\">Carried by \(causes.joined(separator: ", ")) a token.</p>"
      return """
        <li class="finding"><span class="effect \(item.change.isSlower ? "bad" : "")">\(percent) % \(kind)</span>\
        <h3>\(run.name ?? "model not recognised"), \(place(item.trend.key))</h3><p>Run \(run.run) of \
        \(run.recorded.map(utc) ?? "unknown time") decodes \(formatDecimal(item.point.rate, digits: 2)) tokens/s; the \
        \(item.change.runs) runs before it \(formatDecimal(item.change.before, digits: 2)).\(build)\(version)</p>\(carried)</li>

        """
    }
    let body: HTML =
      items.isEmpty
      ? "<p class=\"headline\">No run differs from those before it.</p>"
      : "<ul class=\"findings\">\(items)</ul>"
    return PageSection(
      id: "changes", title: "What changed",
      lead: """
        Runs that are slower or faster than the median of up to \(Trend.window) runs before them, by 5 % and by three \
        times their spread; at least \(Trend.leastBefore) runs must come before.
        """, body: body)
  }

  private var speed: PageSection {
    let charts = trends.filter { $0.points.count > 1 }.prefix(Self.shownTrends).map { trend in
      TrendChart(trend, title: title(trend)).html
    }
    let rest = trends.count { $0.points.count > 1 } - charts.count
    let note: HTML = rest > 0 ? "<p class=\"note\">\(rest) more are left out; filters choose others.</p>" : ""
    let none: HTML =
      "<p class=\"headline\">No model was recorded twice on the same device and with as many threads.</p>"
    return PageSection(
      id: "speed", title: "Speed over time",
      lead: """
        Decoded tokens a second of each run, in order of recording; below it, where the time of a decoded token went. \
        Crosses are runs that are slower than those before.
        """, body: charts.isEmpty ? none : charts.joined() + note)
  }

  private var table: PageSection {
    PageSection(
      id: "runs", title: "Runs",
      body: DataTable(caption: "The oldest first", RunTable(runs), limit: Self.shownRuns).html)
  }

  private var problems: PageSection {
    let rows = failures.prefix(Self.shownFailures).map { [DataTable.Field.name($0.path), .text($0.reason)] }
    let partial = runs.filter { !$0.isComplete || $0.lostRecords > 0 }
    let losses: HTML =
      partial.isEmpty
      ? "" : "<p>\(formatCount(partial.count, "run")) with lost records or of a trace that was cut short.</p>"
    let none: HTML = failures.isEmpty ? "<p class=\"headline\">Every trace gave results.</p>" : ""
    let bad = DataTable(
      caption: "Traces that gave no results",
      columns: [.init(heading: "trace", isText: true), .init(heading: "reason", isText: true)], rows: rows,
      note: failures.count > rows.count ? "\(failures.count - rows.count) more rows are left out." : "")
    return PageSection(
      id: "problems", title: "Bad traces", body: none + losses + (failures.isEmpty ? "" : bad.html))
  }

  // MARK: - Words

  /// Where and how the runs of a trend were recorded.
  private func place(_ key: Trend.Key) -> String {
    let parts = [
      key.host, key.cpuModel, key.threads.map { formatCount($0, "thread") }, key.level.map { "level \($0)" },
    ]
    return parts.compactMap { $0 }.joined(separator: ", ")
  }

  /// Models of one shape count as one: what their files are called is said, as far as there is room.
  private func title(_ trend: Trend) -> String {
    var names: [String] = []
    for point in trend.points.reversed() {
      if let name = point.run.name, !names.contains(name), names.count < 3 { names.append(name) }
    }
    return (names.isEmpty ? "model not recognised" : names.joined(separator: ", ")) + ": " + place(trend.key)
  }

  private func day(_ nanoseconds: Int64) -> String { String(utc(nanoseconds).prefix(10)) }

  private func difference(_ nanoseconds: Double) -> String {
    let value = Int64(max(min(nanoseconds, 9e18), -9e18))
    return (value < 0 ? "" : "+") + formatDuration(value)
  }
}
