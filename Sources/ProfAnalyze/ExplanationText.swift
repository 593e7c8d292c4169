import Statistics

/// Explanations of token steps for a terminal.
struct ExplanationText {
  private var page = TextPage()

  init(_ explanations: [Explanation]) {
    for (index, explanation) in explanations.enumerated() {
      if index > 0 { page.line("") }
      add(explanation)
    }
    // The same for all of them.
    for line in explanations.first?.missing ?? [] { page.line("  \(line)") }
  }

  var text: String { page.text }

  private mutating func add(_ explanation: Explanation) {
    page.line("Token step \(explanation.step.index): \(Self.verdict(explanation))")
    page.fact("kind of step", Self.kind(explanation))
    page.fact("took", Self.duration(explanation))
    if let expected = explanation.expected, let typical = explanation.typical {
      page.fact("expected here", formatDuration(expected))
      page.fact(
        "expected typically",
        formatDuration(typical)
          + (explanation.typicalPlace.position.map { " (at position \($0))" } ?? ""))
      page.line("  more than typically, and why")
      // Stable: in the order of `Cause` where equal.
      for part in explanation.parts.sorted(by: { ($0.time ?? 0) > ($1.time ?? 0) }) { add(part) }
      page.fact("  together", Self.signed(explanation.excess ?? 0))
    }
    for note in explanation.notes { page.line("  note: \(note)") }
  }

  private mutating func add(_ part: Explanation.Part) {
    guard let time = part.time, time != 0 || !part.details.isEmpty else { return }
    let details = part.details.map(Self.detail)
    page.fact(
      "  " + part.cause.title,
      Self.signed(time) + (details.isEmpty ? "" : "   " + details.joined(separator: "; ")))
  }

  /// The largest causes in a few words.
  static func verdict(_ explanation: Explanation) -> String {
    guard explanation.excess != nil else { return "nothing to compare with" }
    let causes = explanation.mainCauses.prefix(2)
    guard !causes.isEmpty else { return "not slower than expected" }
    return causes.map { cause in
      let first = cause.details.first.map { " (\(TextPage.name($0.name)))" } ?? ""
      return cause.cause.title + first
    }.joined(separator: ", ")
  }

  static func signed(_ time: Int64) -> String { (time > 0 ? "+" : "") + formatDuration(time) }

  private static func detail(_ detail: Explanation.Detail) -> String {
    let name = TextPage.name(detail.name)
    switch (detail.time, detail.count) {
    case (let time?, let count?): return "\(name) \(formatDuration(time)) in \(formatCount(count, "time"))"
    case (let time?, nil): return "\(name) \(signed(time))"
    case (nil, let count?): return "\(name): \(count)"
    case (nil, nil): return name
    }
  }

  private static func kind(_ explanation: Explanation) -> String {
    let step = explanation.step
    var text = step.phase.rawValue
    if let tokens = step.tokenCount { text += " of \(formatCount(tokens, "token"))" }
    if let position = step.place.position { text += " at position \(position)" }
    if let cells = step.place.cells { text += ", cache of \(cells)" }
    return explanation.peers > 0 ? text + "; compared with \(explanation.peers)" : text
  }

  private static func duration(_ explanation: Explanation) -> String {
    let behind = explanation.explained - explanation.duration
    return behind == 0
      ? formatDuration(explanation.duration)
      : "\(formatDuration(explanation.explained)): the step \(formatDuration(explanation.duration)), behind it"
        + " \(formatDuration(behind))"
  }
}
