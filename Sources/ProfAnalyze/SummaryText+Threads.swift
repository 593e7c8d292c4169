import Statistics

/// What threads cost each other, and others them.
extension SummaryText {
  private static let shownTakers = 4

  mutating func interference() {
    guard let interference = summary.interference, interference.steps > 0, interference.time > 0 else {
      return
    }
    page.heading("What it cost the token steps that generate")
    page.fact("no CPU", cost(interference.preempted))
    if interference.forOthers > 0 {
      page.fact("  of it for others", "\(cost(interference.forOthers)): waiting for a thread that had none")
    }
    for taker in interference.takers.prefix(Self.shownTakers) {
      page.fact(
        "  \(TextPage.name(taker.name))",
        "\(formatDuration(taker.cost)) in \(formatCount(taker.steps, "step")), \(formatCount(taker.count, "time"))"
      )
    }
    if interference.migrating > 0 { page.fact("moved by the kernel", cost(interference.migrating)) }
    if interference.asleep > 0 { page.fact("asleep in operators", cost(interference.asleep)) }
    let meetings = summary.meetings
    if meetings.meetings > 0 {
      page.fact(
        "oversubscribed barriers", "\(meetings.oversubscribed) of \(meetings.meetings)")
    }
  }

  private func cost(_ time: Int64) -> String {
    guard let interference = summary.interference, interference.time > 0, interference.steps > 0 else {
      return "-"
    }
    return "\(formatDuration(time / Int64(interference.steps))) a step"
      + " (\(formatShare(Double(time) / Double(interference.time))))"
  }

  mutating func balance() {
    let rows = summary.imbalances.filter { ($0.excess ?? 0) > 0.05 }.prefix(4)
    guard !rows.isEmpty else { return }
    page.line("")
    var lines = [["operator", "longest thread over average", "first to last arrival", "count"]]
    for row in rows {
      lines.append([
        TextPage.name(row.op), row.excess.map { "+" + formatShare($0) } ?? "-",
        formatDuration(row.spread, aligned: true), String(row.meetings),
      ])
    }
    page.table(lines, textColumns: [0])
  }
}
