import Statistics

/// How token steps change over a run, and the slowest of them.
extension SummaryText {
  private static let shownDrifts = 3
  private static let shownCarriers = 4
  private static let shownLevels = 12

  mutating func acrossTokens() {
    guard !summary.drifts.isEmpty else { return }
    page.heading("Across the context (token steps without what was taken from them)")
    for drift in summary.drifts.prefix(Self.shownDrifts) { add(drift) }
    let others = summary.drifts.count - Self.shownDrifts
    if others > 0 { page.line("  … and \(formatCount(others, "more kind")) of steps") }
  }

  private mutating func add(_ drift: ContextDrift) {
    var text =
      "\(formatDuration(drift.first)) at position \(drift.positions.lowerBound), \(formatDuration(drift.last)) at"
      + " \(drift.positions.upperBound)"
    if let growth = drift.growth { text += " (\(growth < 0 ? "" : "+")\(formatShare(growth)))" }
    let many = drift.tokenCount.map { $0 == 1 ? "" : " of \($0)" } ?? ""
    page.fact("\(drift.phase.rawValue)\(many)", text)
    text = "\(signed(drift.fit.perPosition * 1000)) for 1000 positions"
    if drift.levels.count > 1, let stair = drift.stair {
      text +=
        " within a length of the cache, and \(signed(Double(stair))) at each of \(drift.levels.count - 1) stairs"
    }
    if drift.first == drift.last { text = "nothing that stands out" }
    page.fact("  rises by", text + "; half of the steps within ±\(formatDuration(Int64(drift.fit.spread)))")
    let change = drift.last - drift.first
    if change > 0, Double(change) > 2 * drift.fit.spread {
      let carriers = drift.carriers.filter { $0.growth > 0 }.prefix(Self.shownCarriers).map {
        "\(TextPage.name($0.name)) \(formatShare(Double($0.growth) / Double(change)))"
      }
      if !carriers.isEmpty { page.fact("  carried by", carriers.joined(separator: ", ")) }
    }
    guard drift.levels.count > 1 else { return }
    var rows = [["cache", "positions", "steps", "p50"]]
    for level in drift.levels.prefix(Self.shownLevels) {
      rows.append([
        String(level.cells), "\(level.positions.lowerBound)–\(level.positions.upperBound)",
        String(level.steps),
        formatDuration(level.median, aligned: true),
      ])
    }
    page.table(rows, textColumns: [])
    let others = drift.levels.count - Self.shownLevels
    if others > 0 { page.line("  … and \(formatCount(others, "longer one"))") }
  }

  private func signed(_ time: Double) -> String { ExplanationText.signed(Int64(time)) }

  mutating func slowest() {
    guard !summary.slowest.isEmpty else { return }
    page.heading("Slowest token steps for their place (prof-analyze explain)")
    var rows = [["step", "phase", "position", "took", "expected", "mostly because of"]]
    for explanation in summary.slowest {
      let step = explanation.step
      rows.append([
        String(step.index), step.phase.rawValue, step.place.position.map(String.init) ?? "-",
        formatDuration(explanation.explained, aligned: true),
        explanation.expected.map { formatDuration($0, aligned: true) } ?? "-",
        ExplanationText.verdict(explanation),
      ])
    }
    page.table(rows, textColumns: [1, 5])
    for line in summary.slowest.first?.missing ?? [] where line.contains("--") { page.line("  \(line)") }
  }

  /// What a finding would win, in words.
  func effect(_ finding: Finding) -> String {
    guard let effect = finding.effect else { return "" }
    var text =
      "at most \(formatDuration(effect.time)) a token step, \(formatShare(effect.share)) of the generation"
    if let rate = summary.speed.generatedTokensPerSecond, let speedUp = effect.speedUp, speedUp < 100 {
      text += ": \(formatDecimal(rate, digits: 1)) to \(formatDecimal(rate * speedUp, digits: 1)) steps/s"
    }
    return text
  }
}
