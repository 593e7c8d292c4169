import ArgumentParser
import Statistics
import TraceImport

struct SummaryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "summary",
    abstract: "The page to read first: verdict, model, speed, where the time goes, findings.",
    discussion: """
      Time to first token is from the start of the first prefill step of a request to the end of its last one;
      time per token is from the start of a decode step to the start of the next, with sampling. Warm-up steps
      count nowhere but in their own line.

      The verdict compares what a phase moves and computes with what the machine can do at most with as many threads,
      as `pi-record calibrate` measured it there: memory-bound from 60 % of its reading speed on; compute-bound from
      60 % of its arithmetic on, or where nothing else is left; overhead-bound where 40 % of the time is no work.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var ceilings: CeilingOptions

  func run() throws {
    let trace = try input.open()
    let machine = try ceilings.machine(of: trace)
    var run = RunStatistics(workModel: OpenTrace.workModel, counters: trace.counters)
    let statistics = try trace.read(into: &run)
    var facts = RecordingFacts(trace, statistics)
    facts.machine = machine
    let summary = Summary(run, facts: facts)
    let output = Output.standard()
    try output.write(SummaryText(summary).text)
    try output.close()
    trace.sayOmitted(run.accounts.omittedSteps)
    try trace.finish(statistics)
  }
}

extension RecordingFacts {
  init(_ trace: OpenTrace, _ statistics: ImportStatistics) {
    self.init()
    let info = trace.info
    command = info.metadata.command
    cpuModel = info.metadata.cpuModel
    cpuCount = info.metadata.cpus.isEmpty ? nil : info.metadata.cpus.count
    threadNames = trace.threadNames
    processes = Set(info.threads.map(\.process))
    if let pid = info.metadata.pid.flatMap({ UInt32(exactly: $0) }) { processes.insert(pid) }
    duration = info.range?.duration
    recorderTime = info.cost.map { Int64(clamping: $0.cpuNanoseconds) }
    probeTime = Self.probeTime(info)
    isProbeTimeMeasured = info.metadata.sites.allSatisfy(\.isPriceMeasured)
    machine = trace.machine(info.metadata.calibration)
    lostRecords = max(statistics.lostRecords, info.missingRecords)
    isComplete = info.isComplete
    counters = trace.counters
    for counter in counters {
      if let share = info.leastShare(ofColumn: counter.index), share < 1 {
        multiplexed[counter.index] = share
      }
    }
    clusters = info.metadata.clusters
    for cpu in info.metadata.cpus {
      if let capacity = cpu.capacity ?? cpu.maxKilohertz { capacities[cpu.number] = capacity }
    }
    thermalZones = info.metadata.thermalZones
    silentSites = info.metadata.sites.filter { info.silentSites.contains($0.index) }.map { site in
      site.role + (site.function.map { " (\($0))" } ?? "")
    }
  }

  /// Hits of each site times what one is expected to cost; nil where the trace lacks either.
  private static func probeTime(_ info: TraceInfo) -> Int64? {
    guard !info.siteHits.isEmpty else { return nil }
    var sum: Int64 = 0
    for site in info.metadata.sites {
      guard let hits = info.siteHits[site.index] else { continue }
      guard let each = site.expectedNanoseconds else { return nil }
      let (product, overflow) = Int64(clamping: hits).multipliedReportingOverflow(by: Int64(each))
      if overflow { return nil }
      sum = sum.addingReportingOverflow(product).partialValue
    }
    return sum
  }
}
