import Comparison
import Statistics

/// A comparison as one HTML page that needs nothing but itself.
public struct DiffPage {
  let comparison: RunComparison
  let analyzer: String

  public init(_ comparison: RunComparison, analyzer: String) {
    self.comparison = comparison
    self.analyzer = analyzer
  }

  private static let shownNodes = 200

  /// The page, in UTF-8.
  public var html: String {
    let remarks = comparison.remarks.map { "<li>\($0).</li>" as HTML }
    let files =
      "A: \(comparison.files.first.joined(separator: ", ")); B: \(comparison.files.second.joined(separator: ", "))"
    let page = PageFrame(
      title: "Comparison – prof-analyze diff",
      sections: [
        PageSection(id: "remarks", title: "What to know", body: "<ul>\(remarks)</ul>")
      ] + comparison.phasesForReading.map(section),
      header: "<header class=\"masthead\"><h1>\(comparison.headline).</h1><p>\(files)</p></header>\n",
      footer: "Written by \(analyzer). Times are those of a mean token step on the main thread.")
    return page.html.markup
  }

  private func section(_ phase: PhaseComparison) -> PageSection {
    var one = comparison
    one.phases = [phase]
    let name = phase.phase.rawValue
    let tables: [(String, Set<PhaseComparison.Row.Scope>)] = [
      ("\(name): what explains the change; these add up", [.total, .part, .op]),
      ("\(name): layers", [.layer]),
      ("\(name): nodes, the largest changes first", [.node]),
    ]
    let bodies = tables.map { caption, scopes -> HTML in
      let table = DiffTable(one, scopes: scopes)
      return table.rows.isEmpty ? .empty : DataTable(caption: caption, table, limit: Self.shownNodes).html
    }
    return PageSection(id: name, title: "\(name)", body: "\(bars(phase))\(bodies)")
  }

  /// The largest of what adds up to the change, as bars from the middle.
  private func bars(_ phase: PhaseComparison) -> HTML {
    let rows = phase.rows.filter { ($0.scope == .part || $0.scope == .op) && $0.change != 0 }
      .sorted { $0.change.magnitude > $1.change.magnitude }.prefix(12)
    guard let widest = rows.first.map({ Double($0.change.magnitude) }) else { return .empty }
    let marks = rows.enumerated().map { index, row -> HTML in
      let width = Double(row.change.magnitude) / widest * 220
      let left = row.change < 0 ? 420 - width : 420
      let y = index * 22
      return """
        <text fill="currentColor" x="190" y="\(y + 15)" text-anchor="end">\(row.name)</text>\
        <rect x="\(left, digits: 1)" y="\(y + 3)" width="\(width, digits: 1)" height="15" \
        class="fill \(row.change < 0 ? "c2" : "c1")"></rect>\
        <text fill="currentColor" x="650" y="\(y + 15)">\(row.change > 0 ? "+" : "")\(formatDuration(row.change))</text>
        """
    }
    return """
      <figure><svg class="chart" viewBox="0 0 740 \(rows.count * 22)" role="img" \
      aria-label="What explains the change">\(marks)</svg>\
      <figcaption>Change of a mean step: right of the middle B takes longer, left of it shorter.</figcaption></figure>

      """
  }
}
