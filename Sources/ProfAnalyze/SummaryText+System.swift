import Statistics
import TraceModel

/// Sections that only some recordings have.
extension SummaryText {
  mutating func scheduler() {
    let scheduler = summary.scheduler
    guard scheduler.isRecorded else { return }
    page.heading("Scheduler (all threads of the target)")
    let threads = scheduler.threads.values
    page.fact("running", formatDuration(threads.reduce(0) { $0 &+ $1.running }))
    page.fact("migrations", "\(threads.reduce(0) { $0 &+ $1.migrations })")
    var runnable = formatDuration(scheduler.runnableInSteps)
    if scheduler.runnableInSteps > 0 {
      runnable +=
        ", of it \(formatDuration(scheduler.runnableInOperators)) in operators and"
        + " \(formatDuration(scheduler.runnableInBarriers)) at barriers"
    }
    page.fact("no CPU inside steps", runnable)
    page.fact("preempted inside steps", formatCount(scheduler.preemptionsInSteps, "time"))
    for who in scheduler.preemptors(target: summary.facts.processes).prefix(3) {
      page.fact(
        "  by \(TextPage.name(who.name.isEmpty ? "?" : who.name))",
        "\(formatDuration(who.time)) in \(formatCount(who.count, "time"))"
          + (who.isTarget ? ", the target itself" : ""))
    }
  }

  mutating func devices() {
    guard !summary.enqueued.isEmpty else { return }
    page.heading("Device (time to enqueue nodes, not the device's own)")
    for row in summary.backends.enqueued {
      page.fact(TextPage.name(row.name), "\(formatCount(row.count, "node")) in \(formatDuration(row.total))")
    }
    var lines = [["operator", "type", "enqueue time", "mean", "count"]]
    for row in summary.enqueued.prefix(8) {
      lines.append([
        TextPage.name(row.op), TextPage.name(row.type ?? "-"),
        formatDuration(row.totals.total, aligned: true),
        formatDuration(row.totals.mean, aligned: true), String(row.totals.count),
      ])
    }
    page.table(lines, textColumns: [0, 1])
  }

  mutating func counters() {
    let columns = summary.facts.counters
    let phases = summary.phaseTimes.filter { $0.counters.spans > 0 }
    guard !columns.isEmpty, !phases.isEmpty else { return }
    page.heading("Counters (token steps, all threads)")
    var lines = [["counter"] + phases.map(\.phase.rawValue)]
    for column in columns {
      lines.append([TextPage.name(column.name)] + phases.map { text($0.counters, column.index) })
    }
    if let cycles = index("cycles"), let instructions = index("instructions") {
      lines.append(
        ["instructions a cycle"]
          + phases.map { phase in
            guard let all = phase.counters[cycles], all > 0, let done = phase.counters[instructions],
              phase.counters.counted[cycles] == phase.counters.counted[instructions]
            else { return "-" }
            return formatDecimal(Double(done) / Double(all), digits: 2)
          })
    }
    page.table(lines, textColumns: [0])
    for column in columns {
      guard let share = summary.facts.multiplexed[column.index] else { continue }
      page.line("  \(column.name) shared its register and counted only \(formatShare(share)) of the time")
    }
    if phases.contains(where: \.counters.mayIncludeOtherTasks) {
      page.line("  may include other tasks of the same CPUs: record with --sched to tell them apart")
    }
  }

  /// A sum; where steps are missing in it, it says of how many it is.
  private func text(_ totals: CounterTotals, _ column: Int) -> String {
    guard let sum = totals[column] else { return "-" }
    let counted = totals.counted[column]
    return counted == totals.spans ? "\(sum)" : "\(sum) (\(counted) of \(totals.spans) steps)"
  }

  private func index(_ name: String) -> Int? {
    summary.facts.counters.first { $0.name == name || $0.name == "cpu-\(name)" }?.index
  }

  mutating func readings() {
    guard !summary.frequencies.isEmpty || !summary.temperatures.isEmpty else { return }
    page.heading("Clock and temperature (least, median, most)")
    for series in summary.frequencies { page.fact(TextPage.name(series.name), text(series, formatFrequency)) }
    for series in summary.temperatures {
      page.fact(TextPage.name(series.name), text(series, formatTemperature))
    }
  }

  private func text(_ series: SeriesSummary, _ format: (Int64) -> String) -> String {
    var text = [series.minimum, series.median, series.maximum].map(format).joined(separator: ", ")
    if let start = series.decodeStart, let end = series.decodeEnd, start != end {
      text += "; \(start > end ? "fell" : "rose") from \(format(start)) to \(format(end)) while decoding"
    }
    return text
  }

  mutating func probeGaps() {
    guard !summary.probeGaps.isEmpty else { return }
    let total = summary.probeGaps.reduce(0) { $0 &+ max($1.range.duration, 0) }
    page.fact(
      "without operator probes",
      "\(formatCount(summary.probeGaps.count, "interval")), \(formatDuration(total)): decoding was too slow;"
        + " steps in them have no coverage")
  }
}
