import Archive
import ArgumentParser
import Foundation
import Report
import Statistics
import TraceImport
import TraceModel

struct TablesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tables",
    abstract: "Writes all tables of a trace and its summary as JSON into a folder, in one reading.",
    discussion: """
      What `batch` does with each trace, for other programs that have many. The folder holds tokens.csv, ops.csv, \
      nodes.csv, threads.csv and experts.csv, as the commands of these names write them with --csv; expert-use.csv, as \
      `experts --histogram --csv`; summary.json; and with --report report.html. It appears when all of it is written, \
      and replaces older results. One thread is used: who has many traces reads several at a time.
      """)

  @OptionGroup var input: TraceArgument

  @Option(name: .shortAndLong, help: ArgumentHelp("Folder to write.", valueName: "folder"))
  var output: String

  @Flag(help: "The page of `report` too.")
  var report = false

  @Option(
    help: ArgumentHelp("What the page calls the trace. (default: the name of its file)", valueName: "name"))
  var name: String?

  func run() throws {
    do {
      try write(try input.open())
    } catch let error as ArchiveError {
      complain(error.description)
      throw ExitCode(ExitStatus.cannotWrite)
    }
  }

  private func write(_ trace: OpenTrace) throws {
    let folder = try RunFolder(creating: output)
    do {
      let isPartial = try fill(folder, trace)
      try folder.commit()
      if isPartial { throw ExitCode(ExitStatus.partial) }
    } catch {
      folder.abandon()
      throw error
    }
  }

  /// - Returns: whether something is missing in the results, which is said.
  private func fill(_ folder: RunFolder, _ trace: OpenTrace) throws -> Bool {
    var run: RunStatistics
    var drawn: ReportStatistics?
    let writer = RowWriter(CSVTableEncoder(), ExpertRows.columns, try output(.experts, of: folder))
    let statistics: ImportStatistics
    var rows = ExpertRows { writer.write($0) }
    if report {
      var visitor = WithExperts(
        base: ReportStatistics(
          range: trace.info.range, workModel: OpenTrace.workModel, counters: trace.counters),
        rows: rows)
      statistics = try importRun(trace.file, info: trace.info, threads: 1, into: &visitor)
      (run, rows, drawn) = (visitor.base.run, visitor.rows, visitor.base)
    } else {
      var visitor = WithExperts(
        base: RunStatistics(workModel: OpenTrace.workModel, counters: trace.counters), rows: rows)
      statistics = try importRun(trace.file, info: trace.info, threads: 1, into: &visitor)
      (run, rows) = (visitor.base, visitor.rows)
    }
    try writer.close()
    var facts = RecordingFacts(trace, statistics)
    facts.machine = trace.machine(trace.info.metadata.calibration)
    try writeTables(of: run, trace, facts, into: folder)
    var losses = Losses(trace.info, statistics).lines
    if rows.cutActivations > 0 { losses.append(ExpertsCommand.cut(rows.cutActivations)) }
    let summary = RunSummary(
      id: ContentID(of: trace.file), analyzer: ProfAnalyze.configuration.version, info: trace.info,
      summary: Summary(run, facts: facts), losses: losses,
      warnings: trace.info.warnings + run.expertUse.remarks)
    try write(try summary.json, .summary, into: folder)
    if let drawn {
      var reported = ReportFacts(trace, statistics)
      if let name { reported.file = name.split(separator: "/").last.map(String.init) ?? name }
      let page = ReportPage(drawn, facts: reported, recording: facts)
      try write(Array(page.html.utf8), .report, into: folder)
    }
    for line in losses { complain("\(trace.file.name): \(line)") }
    return !losses.isEmpty
  }

  private func writeTables(
    of run: RunStatistics, _ trace: OpenTrace, _ facts: RecordingFacts, into folder: RunFolder
  ) throws {
    let (phases, machine) = (Summary.phases, facts.machine)
    let roofline = RooflineModel(run.operators, graphs: run.graphUse, machine: machine, phases: phases)
    try write(TokenTable(run.steps, counters: trace.counters), .tokens, into: folder)
    try write(
      OperatorTable(
        run.operators, phases: phases, counters: trace.counters, roofline: roofline, traffic: machine.traffic),
      .operators, into: folder)
    try write(
      NodeTable(
        run.operators, phases: phases, counters: trace.counters, roofline: roofline, traffic: machine.traffic),
      .nodes, into: folder)
    try write(
      ThreadTable(
        run.operators, phases: phases, names: trace.threadNames, scheduler: run.scheduler,
        meetings: run.accounts.threads, clusters: facts.clusters), .threads, into: folder)
    try write(ExpertHistogramTable(run.expertUse.uses), .expertUse, into: folder)
  }

  private func output(_ file: RunFolder.File, of folder: RunFolder) throws(OutputError) -> Output {
    try Output.file(folder.path(of: file), reading: input.trace)
  }

  private func write<Table: StatisticsTable>(_ table: Table, _ file: RunFolder.File, into folder: RunFolder)
    throws
  {
    try TableFormatOptions.write(table, CSVTableEncoder(), to: output(file, of: folder))
  }

  private func write(_ bytes: [UInt8], _ file: RunFolder.File, into folder: RunFolder) throws {
    let output = try output(file, of: folder)
    bytes.withUnsafeBytes { output.write($0) }
    try output.close()
  }
}
