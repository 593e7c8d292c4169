import ArgumentParser
import Foundation
import Report
import Statistics
import TraceImport

struct ReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Writes the run as one self-contained HTML page.",
    discussion: """
      Verdict and findings, token steps over time, where the time goes, a roofline, layers, threads, experts, a \
      layer as a graph, device state and how far to trust it. The page needs no network and no other file; it can be \
      sent, archived and printed. What the trace does not have is said, with how to record it.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var ceilings: CeilingOptions

  @Option(
    name: .shortAndLong, help: ArgumentHelp("File to write; - for standard output.", valueName: "file.html"))
  var output: String

  func run() throws {
    let trace = try input.open()
    let machine = try ceilings.machine(of: trace)
    let sink = try Output.file(output, reading: input.trace)
    var run = ReportStatistics(
      range: trace.info.range, workModel: OpenTrace.workModel, counters: trace.counters)
    let statistics = try trace.read(into: &run)
    var recording = RecordingFacts(trace, statistics)
    recording.machine = machine
    let page = ReportPage(run, facts: ReportFacts(trace, statistics), recording: recording)
    try sink.write(page.html)
    try sink.close()
    try trace.finish(statistics)
  }
}

extension ReportFacts {
  init(_ trace: OpenTrace, _ statistics: ImportStatistics) {
    self.init()
    let (info, metadata) = (trace.info, trace.info.metadata)
    file = info.file.split(separator: "/").last.map(String.init) ?? info.file
    fileSize = info.fileBytes
    begun = Self.date(nanoseconds: info.header.createdRealtime)
    host = metadata.hostname
    kernel = metadata.kernel
    architecture = metadata.architecture
    memory = metadata.memoryBytes
    level = metadata.level
    recorder = metadata.recorderName.map { name in
      [name, metadata.recorderVersion].compactMap { $0 }.joined(separator: " ")
    }
    analyzer = ProfAnalyze.configuration.version
    recordsScheduler = metadata.recordsScheduler
    sites = metadata.sites.map { site in
      Site(
        role: site.role, function: site.function, instruction: site.instruction,
        hits: info.siteHits[site.index], isSilent: info.silentSites.contains(site.index),
        isShared: info.sharedSites.contains(site.index), expected: site.expectedNanoseconds)
    }
    cpus = info.cpus.map { CPU(number: $0.cpu, records: $0.records, lost: $0.missing) }
    losses = Losses(info, statistics).lines
    notes = metadata.notes + info.warnings
  }

  private static func date(nanoseconds: UInt64) -> String {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "UTC")
    formatter.dateFormat = "yyyy-MM-dd HH:mm 'UTC'"
    return formatter.string(from: Date(timeIntervalSince1970: Double(nanoseconds) / 1e9))
  }
}
