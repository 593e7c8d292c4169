import Statistics
import TraceModel

/// What to know first, and what to change.
extension ReportPage {
  var verdict: Section {
    Section(id: "verdict", title: "Verdict and findings", body: headline + findings)
  }

  /// The phase that generates first, since that is what one waits for most.
  private var headline: HTML {
    let rooflines = summary.rooflines.sorted {
      ($0.phase == mainPhase ? 0 : 1) < ($1.phase == mainPhase ? 0 : 1)
    }
    guard !rooflines.isEmpty else {
      return "<p class=\"headline\">Cannot tell: the trace holds no token step of a known length.</p>\n"
    }
    let verdicts = rooflines.map { roofline -> HTML in
      let isMain = roofline.phase == mainPhase
      return """
        <div class="verdict\(isMain ? " main" : "")"><h3>\(Self.sentence(roofline.phase.rawValue)): \
        \(roofline.verdict.headline)</h3><p>\(roofline.verdict.evidence)</p>\(isMain ? "<p>\(average)</p>" as HTML : "")</div>

        """
    }
    return verdicts.joined()
  }

  /// Where an average step's time goes, in a sentence.
  private var average: String {
    guard let phase = mainPhase, let time = summary.phaseTimes.first(where: { $0.phase == phase }),
      time.wall > 0
    else { return "" }
    func share(_ part: Int64) -> Double { Double(part) / Double(time.wall) }
    var text =
      "A \(phase.rawValue) step takes \(formatDuration(time.wall / Int64(max(time.steps, 1)))) on average"
    if summary.hasOperators {
      text += ": \(formatShare(share(time.time.operators))) of it computing operators"
      text += ", \(formatShare(share(time.time.barrier))) waiting at barriers"
      if time.time.backendGraphs > 0 {
        text += ", \(formatShare(share(time.time.backendGraphs))) in graphs of other backends"
      }
    }
    text += "."
    if let first = operatorShares(of: phase).first {
      text += " Most of all in \(first.row.op)\(first.row.type.map { " of \($0)" } ?? ""):"
      text += " \(formatShare(first.share)) of the time."
    }
    return text
  }

  /// Operator types with their share of a phase, most first.
  private func operatorShares(of phase: Phase) -> [(row: OperatorTable.Row, share: Double)] {
    OperatorTable(statistics.run.operators, phases: [phase]).rows
      .filter { !$0.isEnqueue && $0.op != "unknown" }
      .compactMap { row in row.share.map { (row, $0) } }
  }

  private var findings: HTML {
    guard !summary.findings.isEmpty else {
      return "<p class=\"lead\">No rule found anything in this run that asks for a change.</p>\n"
    }
    let items = summary.findings.map { finding -> HTML in
      """
      <li class="finding" data-finding="\(finding.name)"><h3>\(Self.sentence(finding.name.replacing("-", with: " ")))</h3>\
      \(effect(of: finding))<p>\(Self.sentence(finding.evidence))</p>\
      <p class="advice">\(finding.advice)</p></li>

      """
    }
    return "<ol class=\"findings\">\(items)</ol>\n"
  }

  /// What would be won at most.
  private func effect(of finding: Finding) -> HTML {
    guard let effect = finding.effect else { return .empty }
    var text = "up to \(formatDuration(effect.time)) a token step, \(formatShare(effect.share))"
    if let rate = summary.speed.generatedTokensPerSecond, let speedUp = effect.speedUp, speedUp < 100 {
      text += ": \(formatDecimal(rate, digits: 1)) → \(formatDecimal(rate * speedUp, digits: 1)) steps/s"
    }
    return "<p class=\"effect\">\(text)</p>"
  }

  private static func sentence(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
}
