import Foundation
import Statistics
import TraceImport

/// What a trace says about itself, as a page for a terminal.
struct InfoText {
  let info: TraceInfo
  var page = TextPage()

  init(_ info: TraceInfo) {
    self.info = info
    file()
    target()
    engine()
    sites()
    calibration()
    counters()
    surroundings()
    records()
    losses()
    for note in info.metadata.notes { page.fact("note", note) }
    for warning in info.warnings { page.fact("warning", warning) }
  }

  var text: String { page.text }

  private mutating func file() {
    let header = info.header
    page.fact("trace", info.file)
    page.fact("size", formatBytes(Int64(info.fileBytes)))
    page.fact("format", "version \(header.major).\(header.minor)")
    page.fact("trace id", header.traceID.map { String(format: "%02x", Int($0)) }.joined())
    page.fact("begun", Self.date(nanoseconds: header.createdRealtime))
    if let range = info.range { page.fact("duration", formatDuration(range.duration)) }
    let reason =
      switch info.end?.reason {
      case .targetExited: "complete; the target ended"
      case .interrupted: "complete; stopped by a signal"
      case .tokens: "complete; --tokens reached"
      case .duration: "complete; --duration reached"
      case .error: "complete, but the recorder had to stop"
      case nil: info.end == nil ? "no end record: cut short, or still being written" : "complete"
      }
    page.fact("end", reason)
    if let status = info.waitStatus {
      let signal = status & 0x7f
      page.fact("target ended", signal == 0 ? "exit status \(status >> 8 & 0xff)" : "by signal \(signal)")
    }
  }

  private mutating func target() {
    let metadata = info.metadata
    page.heading("Target")
    if !metadata.command.isEmpty { page.fact("command", metadata.command.joined(separator: " ")) }
    fact("executable", metadata.executable)
    fact("pid", metadata.pid.map(String.init))
    fact("started by recorder", metadata.startedByRecorder.map { $0 ? "yes" : "no, attached" })
    page.heading("Machine")
    fact("host", metadata.hostname)
    fact("architecture", metadata.architecture)
    fact("kernel", metadata.kernel)
    fact("cpu", metadata.cpuModel)
    if !metadata.cpus.isEmpty { page.fact("cpus", cpus(metadata.cpus)) }
    fact("memory", metadata.memoryBytes.map { formatBytes(Int64($0)) })
  }

  /// CPUs of one kind together: `4 of 1.8 GHz and capacity 530, …`.
  private func cpus(_ cpus: [TraceMetadata.CPU]) -> String {
    var groups: [(text: String, count: Int)] = []
    for cpu in cpus {
      var facts: [String] = []
      if let frequency = cpu.maxKilohertz {
        facts.append("\(formatDecimal(Double(frequency) / 1e6, digits: 2)) GHz")
      }
      if let capacity = cpu.capacity { facts.append("capacity \(capacity)") }
      let text = facts.joined(separator: ", ")
      if let index = groups.firstIndex(where: { $0.text == text }) {
        groups[index].count += 1
      } else {
        groups.append((text, 1))
      }
    }
    return groups.map { $0.text.isEmpty ? "\($0.count)" : "\($0.count) (\($0.text))" }.joined(
      separator: " + ")
  }

  private mutating func engine() {
    let metadata = info.metadata
    page.heading("Engine")
    let engine = [metadata.engineName, metadata.engineVersion, metadata.engineCommit.map { "commit \($0)" }]
    let name = engine.compactMap { $0 }.joined(separator: " ")
    page.fact("engine", name.isEmpty ? "not found while recording" : name)
    fact("level", metadata.level)
    fact("operator names", metadata.operatorNamesSource)
    fact("layouts", metadata.layoutSource)
    for library in metadata.libraries {
      page.fact(
        "library \(library.index)", (library.path ?? "?") + (library.buildID.map { "  build id \($0)" } ?? "")
      )
    }
  }

  private mutating func sites() {
    guard !info.metadata.sites.isEmpty else { return }
    page.heading("Sites")
    var rows = [["role", "function", "library", "offset", "instruction", "class", "expected", "hits"]]
    for site in info.metadata.sites {
      rows.append([
        TextPage.name(site.role), TextPage.name(site.function ?? "-"), site.library.map(String.init) ?? "-",
        site.fileOffset.map { "0x" + String($0, radix: 16) } ?? "-", TextPage.name(site.instruction ?? "-"),
        TextPage.name(site.instructionClass ?? "-"),
        site.expectedNanoseconds.map {
          formatDuration(Int64($0), aligned: true) + (site.isPriceMeasured ? " *" : "  ")
        } ?? "-",
        hits(site.index),
      ])
    }
    page.table(rows, textColumns: [0, 1, 4, 5])
    if info.metadata.sites.contains(where: \.isPriceMeasured) {
      page.line(
        "  * measured on this machine with a record; others are typical of an empty program elsewhere")
    }
  }

  private func hits(_ site: Int) -> String {
    guard let hits = info.siteHits[site] else { return "-" }
    var text = String(hits)
    if info.sharedSites.contains(site) { text += " (all of its role)" }
    if info.silentSites.contains(site) { text += " (silent)" }
    return text
  }

  private mutating func records() {
    page.heading("Records")
    page.fact(
      "chunks",
      "\(info.chunks.count) (\(info.chunks.events) of events, \(info.chunks.metadata) of metadata); "
        + "\(formatBytes(Int64(clamping: info.chunks.rawBytes))) raw in "
        + "\(formatBytes(Int64(clamping: info.chunks.storedBytes)))")
    var rows = [["type", "count"]]
    for (type, count) in info.recordCounts.sorted(by: { $0.key < $1.key }) {
      rows.append([TraceInfo.recordTypeName(type), String(count)])
    }
    page.table(rows, textColumns: [0])
  }

  private mutating func losses() {
    page.heading("Losses and cost")
    if !info.cpus.isEmpty {
      func number(_ value: UInt64?) -> String { value.map(String.init) ?? "-" }
      var rows = [["cpu", "records", "missing", "counted lost", "unreadable", "expert rows cut"]]
      for cpu in info.cpus {
        rows.append([
          String(cpu.cpu), String(cpu.records), String(cpu.missing), number(cpu.reported),
          number(cpu.unreadable), number(cpu.expertsCut),
        ])
      }
      page.table(rows, textColumns: [])
    }
    let lost = info.missingRecords
    // A forged count of losses must not wrap into a small sum.
    let all = info.cpus.reduce(lost) { sum, cpu in
      let (next, isOver) = sum.addingReportingOverflow(cpu.records)
      return isOver ? .max : next
    }
    page.fact("lost", "\(lost) of \(all) records")
    guard let cost = info.cost else {
      page.fact("recorder", "its cost was not recorded")
      return
    }
    page.fact("recorder cpu time", formatDuration(Int64(clamping: cost.cpuNanoseconds)))
    page.fact("recorder memory", formatBytes(Int64(clamping: cost.peakResidentBytes)) + " at most")
    probeCost()
  }

  private mutating func fact(_ label: String, _ value: String?) {
    if let value { page.fact(label, value) }
  }

  static func date(nanoseconds: UInt64) -> String {
    let formatter = ISO8601DateFormatter()
    return formatter.string(from: Date(timeIntervalSince1970: Double(nanoseconds) / 1e9))
  }
}
