import Statistics
import TraceModel

/// How far the page can be trusted.
extension ReportPage {
  var quality: Section {
    Section(
      id: "quality", title: "Trace quality",
      lead: "How much of what happened is in the trace, and what recording it cost.",
      body: Self.list(trust) + losses + cpus + sites + notes)
  }

  private var trust: [(String, HTML)] {
    var list: [(String, HTML)] = []
    let coverage = summary.coverage
    if let mean = coverage.mean {
      var text = "\(formatShare(mean)) of the operators that the graphs ask for"
      if let worst = coverage.worst, worst.share < 1 {
        text += "; least \(formatShare(worst.share)) in step \(worst.step)"
      }
      list.append(("coverage", "\(text)"))
    } else {
      list.append(("coverage", "not known: needs the structure of graphs and their operators"))
    }
    let wall = summary.phaseTimes.reduce(0) { $0 &+ $1.wall }
    let accounted = summary.phaseTimes.reduce(0) { $0 &+ $1.time.accounted }
    if summary.hasGraphs, wall > 0 {
      list.append(
        (
          "accounted",
          "\(formatDecimal(Double(accounted) / Double(wall) * 100, digits: 2)) % of the steps' wall time has a name"
        ))
    }
    var lost = formatCount(summary.facts.lostRecords, "record")
    if coverage.lossGaps > 0 { lost += " in \(formatCount(coverage.lossGaps, "interval"))" }
    if coverage.repaired > 0 {
      lost += "; the end of \(formatCount(Int(clamping: coverage.repaired), "operator")) is a guess"
    }
    if coverage.incompleteSteps > 0 {
      lost += "; \(formatCount(coverage.incompleteSteps, "step")) without an end"
    }
    if !summary.facts.isComplete { lost += "; the trace was cut short or is damaged" }
    list.append(("lost", "\(lost)"))
    if summary.expertActivations > 0 {
      var text = formatCount(summary.expertActivations, "routing") + " of a token in a layer"
      if coverage.cutExpertActivations > 0 { text += ", \(coverage.cutExpertActivations) cut" }
      list.append(("experts", "\(text)"))
    }
    if !summary.probeGaps.isEmpty {
      let total = summary.probeGaps.reduce(0) { $0 &+ max($1.range.duration, 0) }
      list.append(
        (
          "without operator probes",
          "\(formatCount(summary.probeGaps.count, "interval")), \(formatDuration(total)): decoding was too slow"
        ))
    }
    if let time = summary.facts.recorderTime, let duration = summary.facts.duration, duration > 0 {
      list.append(
        (
          "recorder",
          "\(formatDuration(time)) of CPU, \(formatShare(Double(time) / Double(duration))) of one CPU"
        ))
    }
    if let probes = summary.facts.probeTime {
      list.append(
        (
          "probes in the target",
          "about \(formatDuration(probes)), by hits and \(summary.facts.isProbeTimeMeasured ? "measured" : "expected") price"
        ))
    }
    if let level = facts.level { list.append(("level", "\(level)")) }
    if let recorder = facts.recorder { list.append(("written by", "\(recorder)")) }
    if let size = facts.fileSize {
      list.append(("trace", "\(facts.file), \(formatBytes(Int64(size)))"))
    }
    return list
  }

  private var losses: HTML {
    guard !facts.losses.isEmpty else { return .empty }
    let items = facts.losses.prefix(20).map { "<li>\($0)</li>" as HTML }
    return Self.heading("What is missing") + "<ul class=\"warnings\">\(items)</ul>\n"
  }

  private var notes: HTML {
    guard !facts.notes.isEmpty else { return .empty }
    let items = facts.notes.prefix(40).map { "<li>\($0)</li>" as HTML }
    return Self.heading("Notes of recorder and import") + "<ul>\(items)</ul>\n"
  }

  private var cpus: HTML {
    guard facts.cpus.contains(where: { $0.lost > 0 }) else { return .empty }
    return DataTable(
      caption: "Records by CPU",
      columns: [.init(heading: "CPU"), .init(heading: "records"), .init(heading: "lost")],
      rows: facts.cpus.prefix(256).map { [.count($0.number), .count($0.records), .count($0.lost)] }
    ).html
  }

  private static let shownSites = 64

  private var sites: HTML {
    guard !facts.sites.isEmpty else { return .empty }
    let rows = facts.sites.prefix(Self.shownSites).map { site -> [DataTable.Field] in
      let hits = site.hits.map { hits -> DataTable.Field in
        let remark: HTML =
          site.isSilent ? " <b class=\"bad\">silent</b>" : site.isShared ? " <small>of its role</small>" : ""
        return DataTable.Field("\(grouped(Int64(clamping: hits)))\(remark)", key: Double(hits))
      }
      return [
        .name(site.role), .text(site.function), site.instruction.map { .name($0) } ?? .text(nil),
        hits ?? .text(nil), .duration(site.expected.map { Int64($0) }),
      ]
    }
    let table = DataTable(
      caption: "Instructions that were probed",
      columns: [
        .init(heading: "role", isText: true), .init(heading: "function", isText: true),
        .init(heading: "instruction", isText: true), .init(heading: "hits"),
        .init(heading: "a hit", hint: "What one is expected to cost"),
      ], rows: Array(rows),
      note: facts.sites.count > rows.count ? "\(facts.sites.count - rows.count) more: prof-analyze info" : ""
    ).html
    return "<details><summary>\(formatCount(facts.sites.count, "probe site"))</summary>\(table)</details>\n"
  }
}
