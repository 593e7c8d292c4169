import Statistics
import TraceModel

/// What the threads did, and who took their CPUs.
extension ReportPage {
  var threads: Section {
    let title = "Threads and interference"
    guard !summary.threads.isEmpty || summary.scheduler.isRecorded else {
      return Section(
        id: "threads", title: title,
        body: Self.notRecorded("Threads are known from their operators: record with --level op."))
    }
    return Section(
      id: "threads", title: title,
      lead:
        "A barrier behind each operator waits for the slowest thread: threads that wait much wait for one that is slow.",
      body: balance + shares + scheduling)
  }

  private static let shownThreads = 32

  private func name(_ thread: ThreadID) -> String {
    let name = summary.facts.threadNames[thread]
    return name.map { "\($0) \(thread.rawValue)" } ?? "\(thread.rawValue)"
  }

  private var balance: HTML {
    guard !summary.threads.isEmpty else { return .empty }
    let longest = summary.threads.map { $0.totals.operators &+ $0.totals.barrier }.max() ?? 0
    let bars = summary.threads.prefix(Self.shownThreads).map { row -> HTML in
      let sum = row.totals.operators &+ row.totals.barrier
      return StackedBar(
        label: name(row.thread) + (row.totals.isMain ? ", main" : ""),
        segments: [
          Segment(
            name: "in operators", colour: "c1", value: Double(row.totals.operators),
            text: formatDuration(row.totals.operators)),
          Segment(
            name: "at barriers", colour: "c2", value: Double(row.totals.barrier),
            text: formatDuration(row.totals.barrier)),
        ], note: "\(formatDuration(sum)), \(grouped(Int64(clamping: row.totals.operatorCount))) operators",
        length: longest > 0 ? max(Double(sum) / Double(longest), 0.01) : 1
      ).html
    }
    let more = summary.threads.count - Self.shownThreads
    let note: HTML =
      more > 0 ? "<p class=\"note\">\(formatCount(more, "more thread")): prof-analyze threads</p>" : ""
    return Self.heading("Work and waiting")
      + StackedBar.legend([("in operators", "c1"), ("at barriers", "c2")])
      + "<div class=\"bars\">\(bars)</div>\(note)\n"
  }

  private var scheduling: HTML {
    let heading = Self.heading("What the scheduler did")
    let scheduler = summary.scheduler
    guard scheduler.isRecorded else {
      return heading
        + Self.notRecorded(
          "When threads ran, waited for a CPU or slept, and who took it: record with --sched.")
    }
    // Those that compute first, then those that ran longest.
    let computing = Dictionary(uniqueKeysWithValues: summary.threads.enumerated().map { ($1.thread, $0) })
    let threads = scheduler.threads.sorted { a, b in
      let (left, right) = (computing[a.key] ?? .max, computing[b.key] ?? .max)
      return (left, b.value.running, a.key) < (right, a.value.running, b.key)
    }
    let least = (summary.facts.duration ?? 0) / 200
    let shown = threads.filter { computing[$0.key] != nil || $0.value.running &+ $0.value.runnable >= least }
      .prefix(Self.shownThreads)
    let strips = shown.map { strip($0.key, $0.value) }
    let more = threads.count - shown.count
    let note: HTML =
      more > 0
      ? "<p class=\"note\">\(formatCount(more, "more thread")) hardly ran: prof-analyze threads</p>" : ""
    let facts: [(String, HTML)] = [
      ("migrations", "\(scheduler.threads.values.reduce(0) { $0 &+ $1.migrations })"),
      (
        "without a CPU inside steps",
        "\(formatDuration(scheduler.runnableInSteps)): \(formatDuration(scheduler.runnableInOperators)) in operators, \(formatDuration(scheduler.runnableInBarriers)) at barriers"
      ),
      ("preempted inside steps", "\(formatCount(scheduler.preemptionsInSteps, "time"))"),
    ]
    return heading
      + StackedBar.legend([("running", "c1"), ("runnable, no CPU", "c2"), ("blocked", "c6")])
      + "<div class=\"strips\">\(strips)\(stripAxis)</div>\(note)\n" + Self.list(facts + costs) + takers
  }

  private var stripAxis: HTML {
    let ticks = Ticks.linear(to: Double(statistics.threads.window.duration), count: 6, label: Ticks.duration)
    return "<div class=\"strip\" aria-hidden=\"true\">\(Plot.below(ticks))</div>"
  }

  /// States of a thread over the recording: what it did most in each part of it.
  private func strip(_ thread: ThreadID, _ sum: ScheduledTime) -> HTML {
    let parts = statistics.threads.threads[thread] ?? []
    let width = Int(Plot.side)
    func path(_ from: (ThreadSeries.Part) -> Int64, _ value: (ThreadSeries.Part) -> Int64)
      -> PathData
    {
      var path = PathData()
      for (index, part) in parts.enumerated() where part.total > 0 && value(part) > 0 {
        let left = width * index / parts.count
        let right = width * (index + 1) / parts.count
        let bottom = Plot.y(Double(from(part)) / Double(part.total))
        let top = Plot.y(Double(from(part) &+ value(part)) / Double(part.total))
        if bottom > top { path.rectangle(left, right, bottom: bottom, top: top) }
      }
      return path
    }
    let words =
      "\(name(thread)): running \(formatDuration(sum.running)), runnable \(formatDuration(sum.runnable)),"
      + " blocked \(formatDuration(sum.blocked)), \(formatCount(sum.migrations, "migration"))"
    return """
      <div class="strip" data-tip="\(words)"><span class="bar-label">\(name(thread))</span>\
      <svg role="img" aria-label="\(words)" viewBox="0 0 \(width) \(width)" preserveAspectRatio="none">\
      <path class="fill c1" d="\(path({ _ in 0 }, \.running))"/>\
      <path class="fill c2" d="\(path(\.running, \.runnable))"/>\
      <path class="fill c6 quiet" d="\(path({ $0.running &+ $0.runnable }, \.blocked))"/></svg></div>

      """
  }

  /// How much later tokens came.
  private var costs: [(String, HTML)] {
    guard let interference = summary.interference, interference.steps > 0, interference.time > 0 else {
      return []
    }
    func cost(_ time: Int64) -> HTML {
      """
      \(formatDuration(time / Int64(interference.steps))) a token step, \
      \(formatShare(Double(time) / Double(interference.time))) of the generation
      """
    }
    var list: [(String, HTML)] = [("tokens later, for want of a CPU", cost(interference.preempted))]
    if interference.forOthers > 0 {
      list.append(("of it waiting for a thread", "\(cost(interference.forOthers))"))
    }
    if interference.migrating > 0 { list.append(("moved by the kernel", cost(interference.migrating))) }
    if interference.asleep > 0 { list.append(("asleep in operators", cost(interference.asleep))) }
    if summary.meetings.meetings > 0 {
      list.append(
        (
          "oversubscribed barriers",
          "\(grouped(Int64(summary.meetings.oversubscribed))) of \(grouped(Int64(summary.meetings.meetings)))"
        ))
    }
    return list
  }

  private static let shownTakers = 12

  private var takers: HTML {
    let table = TakerTable(summary.interference)
    guard !table.rows.isEmpty else { return .empty }
    return DataTable(
      caption: "Who had the CPU meanwhile, and how much later tokens came because of that", table,
      limit: Self.shownTakers
    ).html
  }

  /// How evenly the work is shared.
  private var shares: HTML {
    var result = HTML.empty
    if summary.threads.contains(where: { $0.lateness != nil }) {
      result += "<details><summary>Each thread as a table</summary>"
      let table = ThreadTable(
        statistics.run.operators, phases: Summary.phases, names: summary.facts.threadNames,
        scheduler: summary.scheduler, meetings: summary.meetings, clusters: summary.facts.clusters)
      result += DataTable(caption: "Threads that compute", table, limit: 64).html + "</details>\n"
    }
    let uneven = summary.imbalances.filter { ($0.excess ?? 0) > 0.05 }
    guard !uneven.isEmpty else { return result }
    return DataTable(
      caption: "Operators that threads share least evenly", BalanceTable(Array(uneven.prefix(8))), limit: 8
    ).html + result
  }
}
