import Statistics
import TraceModel

/// A summary as a page for a terminal.
struct SummaryText {
  let summary: Summary
  var page = TextPage()

  init(_ summary: Summary) {
    self.summary = summary
    recording()
    model()
    verdict()
    speed()
    acrossTokens()
    timeByPhase()
    operators()
    parts()
    threads()
    balance()
    experts()
    backends()
    devices()
    speculation()
    scheduler()
    interference()
    counters()
    readings()
    slowest()
    vouching()
    findings()
  }

  var text: String { page.text }

  private static let shownOperators = 12

  private mutating func recording() {
    let facts = summary.facts
    let command = facts.command.joined(separator: " ")
    page.fact("command", command.isEmpty ? "not recorded" : command)
    var machine: [String] = []
    if let model = facts.cpuModel { machine.append(model) }
    if let cpus = facts.cpuCount { machine.append(formatCount(cpus, "CPU")) }
    if !machine.isEmpty { page.fact("machine", machine.joined(separator: ", ")) }
    var recorded: [String] = []
    if let duration = facts.duration { recorded.append(formatDuration(duration)) }
    recorded += summary.phaseTimes.map { time in
      "\(formatCount(time.steps, "\(time.phase.rawValue) step"))"
        + (time.tokens.map { $0 == time.steps ? "" : " of \(formatCount($0, "token"))" } ?? "")
    }
    page.fact("recorded", recorded.isEmpty ? "no token step" : recorded.joined(separator: ", "))
  }

  private mutating func model() {
    if summary.models.isEmpty { page.fact("model", "not recorded: no structure of a graph in the trace") }
    for (index, model) in summary.models.enumerated() {
      let label = summary.models.count == 1 ? "model" : "model \(index + 1)"
      var facts: [String] = []
      func add(_ value: Int64?, _ text: String) { if let value { facts.append("\(text) \(value)") } }
      if let layers = model.layers { facts.append(formatCount(layers, "layer")) }
      add(model.embeddingSize, "embedding")
      if let heads = model.heads {
        facts.append("\(heads) heads" + (model.keyValueHeads.map { " (\($0) key/value)" } ?? ""))
      }
      add(model.headSize, "head size")
      add(model.feedForwardSize, "feed-forward")
      add(model.vocabularySize, "vocabulary")
      if let experts = model.experts {
        facts.append("\(experts) experts" + (model.expertsUsed.map { ", \($0) a token" } ?? ""))
      }
      page.fact(label, facts.isEmpty ? "shape not recognised" : facts.joined(separator: ", "))
      let weights = model.weightBytes
      if !weights.isEmpty {
        let total = weights.reduce(0) { $0 &+ $1.bytes }
        let types = weights.prefix(6).map { "\($0.type) \(formatBytes($0.bytes))" }
        page.fact("weights", formatBytes(total) + " used: " + types.joined(separator: ", "))
      }
      var hints = model.hints.sorted()
      if let cache = model.cacheType { hints.append("key cache \(cache)") }
      if !hints.isEmpty { page.fact("built of", hints.joined(separator: ", ")) }
    }
  }

  private mutating func speed() {
    let speed = summary.speed
    page.heading("Speed")
    let firsts = speed.requests.compactMap(\.timeToFirstToken)
    if let rate = speed.prefillTokensPerSecond {
      page.fact("prefill", "\(rateText(rate))   \(formatCount(speed.prefillTokens, "token"))")
    }
    if let first = firsts.first {
      var text = formatDuration(first)
      if firsts.count > 1 {
        var sketch = QuantileSketch()
        for value in firsts { sketch.add(value) }
        text +=
          " for the first of \(firsts.count) requests; p50 \(duration(sketch.quantile(0.5))),"
          + " p95 \(duration(sketch.quantile(0.95)))"
      }
      page.fact("time to first token", text)
    }
    if let rate = speed.decodeTokensPerSecond {
      page.fact("decode", "\(rateText(rate))   \(formatCount(speed.decodeTokens, "token"))")
      page.fact(
        "  a step",
        quantiles(speed.decodeStep))
    }
    if let rate = speed.generatedTokensPerSecond {
      page.fact(
        "  a step with sampling",
        quantiles(speed.timePerOutputToken) + "   (\(formatDecimal(rate, digits: 1)) steps/s)")
    }
    if speed.prefillTokensPerSecond == nil && speed.decodeTokensPerSecond == nil {
      page.line("  no whole prefill or decode step with a known number of tokens")
    }
  }

  private func quantiles(_ sketch: QuantileSketch) -> String {
    [(0.5, "p50"), (0.95, "p95"), (0.99, "p99")]
      .map { "\($0.1) \(duration(sketch.quantile($0.0)))" }.joined(separator: ", ")
  }

  private mutating func timeByPhase() {
    let times = summary.phaseTimes
    guard !times.isEmpty, summary.hasGraphs else { return }
    page.heading("Where the time goes (main thread, share of the steps' wall time)")
    var rows = [[""] + times.map(\.phase.rawValue)]
    rows.append(["wall time"] + times.map { formatDuration($0.wall, aligned: true) })
    func add(_ name: String, _ value: (StepTime) -> Int64) {
      rows.append(
        [name]
          + times.map { $0.wall > 0 ? formatShare(Double(value($0.time)) / Double($0.wall)) : "-" })
    }
    if summary.hasOperators {
      add("operators", \.operators)
      add("barrier waits", \.barrier)
      add("graph start and end", \.graphOverhead)
      if times.contains(where: { $0.time.backendGraphs > 0 }) {
        add("graphs of other backends", \.backendGraphs)
      }
      if times.contains(where: { $0.time.notProbed > 0 }) { add("operators not probed", \.notProbed) }
    } else {
      add("graphs", \.graphs)
    }
    add("setup before the graph", \.setup)
    add("between graphs", \.betweenGraphs)
    add("finish after the graph", \.finish)
    rows.append(
      ["without a name"]
        + times.map { time in time.accounted.map { formatShare(1 - $0) } ?? "-" })
    page.table(rows, textColumns: [0])
    page.line("")
    var after = [["after each step"] + times.map(\.phase.rawValue)]
    after.append(["sampling"] + times.map { formatDuration(mean($0.time.sampling, $0.steps), aligned: true) })
    after.append(
      ["outside the engine"] + times.map { formatDuration(mean($0.time.outside, $0.steps), aligned: true) })
    page.table(after, textColumns: [0])
  }

  private mutating func operators() {
    guard !summary.operators.isEmpty else { return }
    page.heading("Operators (main thread, without waits)")
    var rows = [["operator", "type", "share", "prefill", "decode", "total", "mean", "p95", "count"]]
    for operation in summary.operators.prefix(Self.shownOperators) {
      let row = operation.row
      rows.append([
        TextPage.name(row.op), TextPage.name(row.type ?? "-"), share(row.share),
        share(operation.prefillShare),
        share(operation.decodeShare), formatDuration(row.totals.total, aligned: true),
        formatDuration(row.totals.mean, aligned: true),
        row.percentile95.map { formatDuration($0, aligned: true) } ?? "-", String(row.totals.count),
      ])
    }
    page.table(rows, textColumns: [0, 1])
    let others = summary.operators.count - Self.shownOperators
    if others > 0 { page.line("  … and \(formatCount(others, "more type")): prof-analyze ops") }
  }

  private mutating func parts() {
    guard summary.parts.contains(where: { $0.part != .other }) else { return }
    page.heading("Parts of the model")
    var rows = [["part", "share", "prefill", "decode", "total"]]
    for part in summary.parts {
      rows.append([
        part.part == .ffn ? "FFN" : part.part.rawValue, share(part.share), share(part.prefillShare),
        share(part.decodeShare), formatDuration(part.total, aligned: true),
      ])
    }
    page.table(rows, textColumns: [0])
  }

  private mutating func threads() {
    guard !summary.threads.isEmpty else { return }
    page.heading("Threads")
    var rows = [["tid", "name", "in operators", "in barriers", "barrier share", ""]]
    for thread in summary.threads {
      rows.append([
        String(thread.thread.rawValue), TextPage.name(thread.name ?? "-"),
        formatDuration(thread.totals.operators, aligned: true),
        formatDuration(thread.totals.barrier, aligned: true),
        share(thread.barrierShare), thread.totals.isMain ? "main" : "",
      ])
    }
    page.table(rows, textColumns: [1, 5])
  }

  /// How far the numbers can be trusted.
  private mutating func vouching() {
    page.heading("How far to trust this")
    let coverage = summary.coverage
    if let mean = coverage.mean {
      var text = "\(formatShare(mean)) of the operators that the graphs ask for"
      if let worst = coverage.worst, worst.share < 1 {
        text += "; least \(formatShare(worst.share)) in step \(worst.step)"
      }
      page.fact("coverage", text)
    }
    probeGaps()
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    let accounted = summary.phaseTimes.reduce(0) { $0 &+ $1.time.accounted }
    if summary.hasGraphs, wall > 0 {
      var text =
        "\(formatDecimal(Double(accounted) / Double(wall) * 100, digits: 2)) % of the steps' wall time"
        + " has a name"
      let worst = summary.phaseTimes.compactMap(\.worstAccounted).min { $0.share < $1.share }
      if let worst {
        text += "; least \(formatDecimal(worst.share * 100, digits: 2)) % in step \(worst.step)"
      }
      page.fact("accounted", text)
    }
    var losses = formatCount(summary.facts.lostRecords, "record")
    if coverage.lossGaps > 0 { losses += " in \(formatCount(coverage.lossGaps, "interval"))" }
    if coverage.repaired > 0 {
      losses += "; the end of \(formatCount(Int(clamping: coverage.repaired), "operator")) is a guess"
    }
    if coverage.incompleteSteps > 0 {
      losses += "; \(formatCount(coverage.incompleteSteps, "step")) without an end"
    }
    if !summary.facts.isComplete { losses += "; the trace was cut short or is damaged" }
    page.fact("lost", losses)
    if summary.expertActivations > 0 {
      var text = formatCount(summary.expertActivations, "routing") + " of a token in a layer"
      if coverage.cutExpertActivations > 0 { text += ", \(coverage.cutExpertActivations) cut" }
      page.fact("experts", text)
    }
    if let time = summary.facts.recorderTime, let duration = summary.facts.duration, duration > 0 {
      var text =
        "recorder \(formatDuration(time)) of CPU (\(formatShare(Double(time) / Double(duration))) of one)"
      if let probes = summary.facts.probeTime {
        text +=
          "; probes in the target about \(formatDuration(probes)), by hits and \(summary.facts.isProbeTimeMeasured ? "measured" : "expected") price"
      }
      page.fact("cost of recording", text)
    }
  }

  private mutating func findings() {
    guard !summary.findings.isEmpty else { return }
    page.heading("Findings")
    for finding in summary.findings {
      page.line("  * \(finding.name): \(finding.evidence)")
      page.line("    \(finding.advice)")
      let effect = effect(finding)
      if !effect.isEmpty { page.line("    To be won: \(effect).") }
    }
  }

  private func share(_ value: Double?) -> String { value.map(formatShare) ?? "-" }
  private func duration(_ value: Int64?) -> String { value.map { formatDuration($0) } ?? "-" }
  private func rateText(_ rate: Double) -> String { "\(formatDecimal(rate, digits: 1)) tokens/s" }
  private func mean(_ sum: Int64, _ count: Int) -> Int64 { sum / Int64(max(count, 1)) }
}
