import Statistics
import TraceModel

/// What limits the run.
extension SummaryText {
  mutating func verdict() {
    guard !summary.rooflines.isEmpty else { return }
    page.heading("Verdict")
    for roofline in summary.rooflines {
      let verdict = roofline.verdict
      page.fact(roofline.phase.rawValue, "\(verdict.headline). \(verdict.evidence)")
    }
    // The ceilings once, of the phase that is judged by them last.
    guard let ceilings = summary.rooflines.compactMap(\.model.ceilings).last else { return }
    page.fact("  this machine", Self.text(ceilings, summary.facts.machine.calibration))
  }

  static func text(_ ceilings: RunCeilings, _ calibration: Calibration?) -> String {
    var parts: [String] = []
    var memory = "reads \(formatRate(ceilings.memory, "B/s"))"
    if let usual = ceilings.usualPages, usual < ceilings.memory * 0.95 {
      memory += " (\(formatRate(usual, "B/s")) in pages of the usual size)"
    }
    parts.append(memory)
    if let cache = ceilings.cache { parts.append("\(formatRate(cache, "B/s")) from its last-level cache") }
    for work in [Calibration.Work.f32, .f16, .int8] {
      guard let rate = ceilings.arithmetic[work] else { continue }
      parts.append("\(work.rawValue) \(formatRate(rate, work == .int8 ? "OP/s" : "FLOP/s"))")
    }
    var text = parts.joined(separator: ", ") + ", with \(formatCount(ceilings.threads, "thread"))"
    if let time = calibration?.measuredAt { text += ", measured \(InfoText.date(nanoseconds: time))" }
    return text
  }
}
