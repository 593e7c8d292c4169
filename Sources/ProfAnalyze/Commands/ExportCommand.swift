import ArgumentParser
import Statistics
import TraceImport
import TraceModel

struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Events for other tools: CSV, newline-delimited JSON, folded stacks.",
    discussion: """
      One row per event, written as it is read, so that a trace of any length does. What an operator's row does not \
      have, such as the phase of its token step, the rows of steps and graphs have under the same number. Tables of \
      sums are those of the other commands with --csv or --json.

        operators  one row per operator and thread, with its counters
        steps      token steps
        graphs     computations of a graph on a backend
        gaps       named stretches of the calling thread outside of operators
        experts    the experts that each token was routed to
        slices     running, runnable and blocked stretches of each thread (recorded with --sched)
        readings   clock frequencies and temperatures
        losses     stretches in which records are missing

      Times are nanoseconds of the target's monotonic clock. The format `folded` is for flame-graph tools, such as \
      speedscope or flamegraph.pl --countname ns: phase;layer;operator;node and the main threads' nanoseconds. \
      tools/to-parquet makes Parquet of the rows.
      """)

  enum Events: String, CaseIterable, ExpressibleByArgument {
    case operators, steps, graphs, gaps, experts, slices, readings, losses
  }

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case csv, ndjson, folded

    /// By the file's name.
    init(ofFile name: String) {
      let plain = name.hasSuffix(".gz") ? name.dropLast(3) : name[...]
      self =
        plain.hasSuffix(".ndjson") || plain.hasSuffix(".jsonl")
        ? .ndjson : plain.hasSuffix(".folded") ? .folded : .csv
    }
  }

  @OptionGroup var input: TraceArgument

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "File to write, compressed when its name ends in .gz; - for standard output.", valueName: "file"))
  var output: String

  @Option(help: ArgumentHelp("Which events. (default: operators)", valueName: "events"))
  var what: Events?

  @Option(
    help: ArgumentHelp(
      "csv (RFC 4180, empty: not recorded), ndjson (null: not recorded) or folded. (default: ndjson for files named "
        + "*.ndjson or *.jsonl, folded for *.folded, else csv)", valueName: "format"))
  var format: Format?

  private var chosenFormat: Format { format ?? Format(ofFile: output) }

  func validate() throws {
    if chosenFormat == .folded, what != nil {
      throw ValidationError("--what is of rows; folded stacks are sums of operators.")
    }
  }

  func run() throws {
    let trace = try input.open()
    let sink = try Output.file(output, reading: input.trace)
    if chosenFormat == .folded { return try writeStacks(of: trace, to: sink) }
    let encoder: any TableEncoder =
      chosenFormat == .csv ? CSVTableEncoder() : JSONTableEncoder(isArray: false)
    let events = what ?? .operators
    let writer = RowWriter(encoder, columns(of: events, trace), sink)
    var count = 0
    func row(_ cells: [Cell]) {
      count += 1
      writer.write(cells)
    }
    let statistics = try read(events, of: trace, row)
    try writer.close()
    if count == 0 {
      complain("\(trace.file.name): no \(events.rawValue) in this trace; prof-analyze info says what it has")
    }
    try trace.finish(statistics)
  }

  private func columns(of events: Events, _ trace: OpenTrace) -> [Column] {
    switch events {
    case .operators: OperatorRows.columns(trace.counters)
    case .experts: ExpertRows.columns
    default: kind(of: events).map { EventRows.columns($0, counters: trace.counters) } ?? []
    }
  }

  private func kind(of events: Events) -> EventRows.Kind? { EventRows.Kind(rawValue: events.rawValue) }

  private func read(_ events: Events, of trace: OpenTrace, _ row: @escaping ([Cell]) -> Void) throws
    -> ImportStatistics
  {
    switch events {
    case .operators:
      var rows = OperatorRows(counters: trace.counters, row: row)
      let statistics = try trace.read(into: &rows)
      rows.flush()
      return statistics
    case .experts:
      var rows = ExpertRows(row: row)
      let statistics = try trace.read(into: &rows)
      if rows.cutActivations > 0 {
        complain("\(trace.file.name): \(ExpertsCommand.cut(rows.cutActivations))")
      }
      return statistics
    case .steps, .graphs, .gaps, .slices, .readings, .losses:
      guard let kind = kind(of: events) else { preconditionFailure("a kind of event without rows") }
      var rows = EventRows(kind, counters: trace.counters, row: row)
      return try trace.read(into: &rows)
    }
  }

  private func writeStacks(of trace: OpenTrace, to sink: Output) throws {
    var stacks = FoldedStacks()
    let statistics = try trace.read(into: &stacks)
    try sink.write(stacks.text)
    try sink.close()
    try trace.finish(statistics)
  }
}
