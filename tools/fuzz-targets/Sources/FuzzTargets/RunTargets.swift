import Foundation
import GGML
import OperatorGraph
import Report
import Statistics
import Timeline
import TraceImport
import TraceModel

/// The first byte chooses what the run is shown as, the rest are records behind the golden trace's metadata.
func fuzzRecords(_ input: UnsafeRawBufferPointer) {
  guard let view = input.first else { return }
  var trace = TraceMaking()
  TraceParts.golden.metadata.withUnsafeBytes { trace.add(metadata: $0) }
  trace.add(records: UnsafeRawBufferPointer(rebasing: input.dropFirst()))
  show(trace.file, as: View.allCases[Int(view) % View.allCases.count])
}

/// The first byte chooses what the run is shown as, the rest is a METADATA chunk before the golden trace's records.
func fuzzMetadata(_ input: UnsafeRawBufferPointer) {
  guard let view = input.first else { return }
  var trace = TraceMaking()
  trace.add(metadata: UnsafeRawBufferPointer(rebasing: input.dropFirst()))
  TraceParts.golden.records.withUnsafeBytes { trace.add(records: $0) }
  show(trace.file, as: View.allCases[Int(view) % View.allCases.count])
}

/// What prof-analyze makes of a run.
enum View: UInt8, CaseIterable {
  case tables, graph, foldedGraph, chrome, perfetto, report
}

private func show(_ file: [UInt8], as view: View) {
  withTraceFile(file) { path in
    do {
      let trace = try TraceFile(path: path)
      let info = try TraceInfo(trace)
      switch view {
      case .tables: try showTables(trace, info)
      case .graph, .foldedGraph: try showGraph(trace, info, isFolded: view == .foldedGraph)
      case .chrome, .perfetto: try showTimeline(trace, info, view == .chrome ? .chrome : .perfetto)
      case .report: try showReport(trace, info)
      }
    } catch {
      // Only what is fuzzed is wrong: the file's header is not.
      preconditionFailure("a whole file was refused: \(error)")
    }
  }
}

/// Bytes and floating-point operations, as prof-analyze asks for them.
private let workModel: WorkModel = { structure in
  let costs = NodeCosts(structure)
  return structure.nodes.map { costs.cost(of: $0) }
}

private func facts(_ info: TraceInfo, _ statistics: ImportStatistics) -> RecordingFacts {
  var facts = RecordingFacts()
  facts.command = info.metadata.command
  facts.cpuModel = info.metadata.cpuModel
  facts.threadNames = Dictionary(info.threads.map { ($0.thread, $0.name) }) { first, _ in first }
  facts.processes = Set(info.threads.map(\.process))
  facts.duration = info.range?.duration
  facts.lostRecords = max(statistics.lostRecords, info.missingRecords)
  facts.isComplete = info.isComplete
  facts.counters = info.metadata.counterColumns
  facts.thermalZones = info.metadata.thermalZones
  facts.machine.calibration = info.metadata.calibration
  return facts
}

private func showTables(_ trace: TraceFile, _ info: TraceInfo) throws {
  let counters = info.metadata.counterColumns
  var run = RunStatistics(workModel: workModel, counters: counters)
  let statistics = try importRun(trace, info: info, threads: 1, into: &run)
  let facts = facts(info, statistics)
  let summary = Summary(run, facts: facts)
  write(OperatorTable(run.operators, phases: Summary.phases, counters: counters))
  write(NodeTable(run.operators, phases: Summary.phases, counters: counters))
  write(
    ThreadTable(run.operators, phases: Summary.phases, names: facts.threadNames, scheduler: run.scheduler))
  write(TokenTable(run.steps, counters: counters))
  write(ExplanationTable(Explainer(run.accounts, facts: facts)))
  write(ExpertLayerTable(summary.expertUses))
  write(ExpertHistogramTable(summary.expertUses))
  write(ExpertReuseTable(summary.expertUses))
  write(SplitTable(run.backends, phases: Summary.phases))
  write(TransferTable(run.backends, phases: Summary.phases))
  write(IslandTable(run.backends, phases: Summary.phases))
  write(RooflineTable(summary.rooflines, nodes: true))
  write(AcceptanceTable(run.speculation))
}

/// In all forms that tables have.
private func write(_ table: some StatisticsTable) {
  var (csv, json, text) = (CSVTableEncoder(), JSONTableEncoder(), HumanTableEncoder())
  _ = csv.encode(table)
  _ = text.encode(table)
  checkJSON(json.encode(table))
}

private func showGraph(_ trace: TraceFile, _ info: TraceInfo, isFolded: Bool) throws {
  let counters = info.metadata.counterColumns
  var collector = GraphCollector(step: nil, measuresAllSteps: isFolded, workModel: workModel)
  _ = try importRun(trace, info: info, threads: 1, into: &collector)
  guard let measurement = collector.measurement else { return }
  let options = DOTOptions(measure: .time, showsConstants: true, title: "a graph")
  for form in GraphForm.allCases {
    let graph = OperatorGraph(measurement.structure, form: form, fused: measurement.fused)
    if isFolded {
      guard let folded = FoldedGraph(graph, measurement) else { continue }
      _ = folded.dot(options)
      checkJSON(folded.json(counters: counters).utf8)
    } else {
      _ = graph.dot(measurement, options)
      checkJSON(graph.json(measurement, counters: counters).utf8)
    }
  }
}

private func showTimeline(_ trace: TraceFile, _ info: TraceInfo, _ format: TimelineFormat) throws {
  var options = TimelineOptions()
  options.origin = info.range?.start ?? options.origin
  options.processID = info.metadata.pid.flatMap { UInt32(exactly: $0) } ?? 1
  options.processName = info.metadata.command.joined(separator: " ")
  options.threadNames = Dictionary(info.threads.map { ($0.thread, $0.name) }) { first, _ in first }
  options.counters = info.metadata.counterColumns
  options.zoneNames = info.metadata.thermalZones
  options.workModel = workModel
  var written: [UInt8] = []
  var writer = TimelineWriter(format, options) { if format == .chrome { written += $0 } }
  _ = try importRun(trace, info: info, threads: 1, into: &writer)
  writer.finish()
  if format == .chrome { checkJSON(written) }
}

private func showReport(_ trace: TraceFile, _ info: TraceInfo) throws {
  var run = ReportStatistics(range: info.range, workModel: workModel, counters: info.metadata.counterColumns)
  let statistics = try importRun(trace, info: info, threads: 1, into: &run)
  var facts = ReportFacts()
  facts.file = "a.pitrace"
  facts.notes = info.metadata.notes + info.warnings
  let page = ReportPage(run, facts: facts, recording: FuzzTargets.facts(info, statistics))
  precondition(page.html.hasSuffix("</html>\n"), "a page without an end")
}

/// What is written as JSON is JSON, whatever the names in it.
private func checkJSON(_ text: some Sequence<UInt8>) {
  let data = Data(text)
  if (try? JSONSerialization.jsonObject(with: data)) == nil {
    preconditionFailure("no JSON: \(String(decoding: data.prefix(2000), as: UTF8.self))")
  }
}
