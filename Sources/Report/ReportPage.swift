import Statistics
import TraceModel

/// A run as one HTML page that needs nothing but itself: no network, no fonts, no other file.
///
/// Everything drawn is in the page as SVG and tables; the script only adds tooltips, sorting and zoom, and the page can
/// be read and printed without it.
public struct ReportPage {
  let statistics: ReportStatistics
  let summary: Summary
  let facts: ReportFacts
  /// The phase that generates: decode, or what speculative decoding has in its place; else what took most time.
  let mainPhase: Phase?

  public init(_ statistics: ReportStatistics, facts: ReportFacts, recording: RecordingFacts) {
    self.statistics = statistics
    self.facts = facts
    summary = Summary(statistics.run, facts: recording)
    let counted = summary.phaseTimes.filter { Summary.phases.contains($0.phase) }
    let generating = counted.filter { [.decode, .verify, .draft].contains($0.phase) }
    mainPhase = (generating.isEmpty ? counted : generating).max { $0.wall < $1.wall }?.phase
  }

  typealias Section = PageSection

  /// The page, in UTF-8.
  public var html: String {
    let sections = [
      verdict, tokens, time, roofline, layers, threads, experts, graph, device, quality,
    ]
    let page = PageFrame(
      title: "\(title) – prof-analyze report", sections: sections, header: masthead,
      footer: """
        Written by \(facts.analyzer ?? "prof-analyze") from \(facts.file). Times are those of the main thread \
        unless said otherwise; a dash is what was not recorded.
        """, data: tokenData)
    return page.html.markup
  }

  /// Says what is missing and how to record it.
  static func notRecorded(_ what: String) -> HTML { "<p class=\"absent\"><b>Not recorded.</b> \(what)</p>\n" }

  /// A paragraph of its own over what follows.
  static func heading(_ text: String) -> HTML { "<h3>\(text)</h3>\n" }

  /// Terms with what is known of them.
  static func list(_ facts: [(String, HTML)]) -> HTML {
    let items = facts.map { "<div><dt>\($0.0)</dt><dd>\($0.1)</dd></div>" as HTML }
    return facts.isEmpty ? .empty : "<dl class=\"facts\">\(items)</dl>\n"
  }

  /// Colours of phases, the same in the whole page.
  static func colour(_ phase: Phase) -> String {
    switch phase {
    case .decode: "c1"
    case .prefill: "c2"
    case .draft: "c3"
    case .verify: "c4"
    case .warmup: "c6"
    case .unknown: "c5"
    }
  }
}
