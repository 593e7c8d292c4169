import ArgumentParser
import GGML
import Statistics
import TraceImport
import TraceModel

struct TraceArgument: ParsableArguments {
  @Argument(help: "A trace written by pi-record; - for standard input.")
  var trace: String

  /// - Throws: `TraceFileError`.
  func open() throws -> OpenTrace { try OpenTrace(path: trace) }
}

struct TableFormatOptions: ParsableArguments {
  @Flag(
    help: "CSV (RFC 4180) with a header row; times are integer nanoseconds, sizes bytes, empty: not recorded."
  )
  var csv = false

  @Flag(help: "A JSON array with one object per row; null: not recorded.")
  var json = false

  func validate() throws {
    if csv && json { throw ValidationError("--csv and --json exclude each other.") }
  }

  var encoder: any TableEncoder {
    if csv { return CSVTableEncoder() }
    if json { return JSONTableEncoder() }
    return HumanTableEncoder()
  }

  /// For tables that may be too long to be held in memory.
  var streamingEncoder: any TableEncoder { csv || json ? encoder : HumanTableEncoder(fixedWidth: 8) }

  /// Writes the whole of a table to standard output.
  func write<Table: StatisticsTable>(_ table: Table) throws {
    try Self.write(table, encoder, to: Output.standard())
  }

  /// Writes the whole of a table, and closes the output.
  static func write<Table: StatisticsTable>(
    _ table: Table, _ encoder: any TableEncoder, to output: Output
  ) throws {
    var encoder = encoder
    var text: [UInt8] = []
    encoder.begin(Table.columns + table.extraColumns, into: &text)
    for row in table.rows {
      encoder.row(Table.cells(row) + table.extraCells(row), into: &text)
      if text.count >= 1 << 16 {
        text.withUnsafeBytes { output.write($0) }
        text.removeAll(keepingCapacity: true)
      }
    }
    encoder.end(into: &text)
    text.withUnsafeBytes { output.write($0) }
    try output.close()
  }
}

extension Phase: ExpressibleByArgument {}

struct PhaseOptions: ParsableArguments {
  @Option(
    name: .customLong("phase"),
    help: ArgumentHelp(
      "Count token steps of this phase; may be repeated. (default: all but warmup)", valueName: "phase"))
  var selected: [Phase] = []

  var phases: Set<Phase> { selected.isEmpty ? Summary.phases : Set(selected) }
}

/// A trace with what it says about itself.
struct OpenTrace {
  let file: TraceFile
  let info: TraceInfo

  init(path: String) throws {
    file = try TraceFile(path: path)
    info = try TraceInfo(file)
    if let warning = info.laterVersion { complain("\(file.name): \(warning)") }
  }

  var threadNames: [ThreadID: String] {
    Dictionary(info.threads.map { ($0.thread, $0.name) }) { first, _ in first }
  }

  /// Counters with values behind records.
  var counters: [CounterColumn] { info.metadata.counterColumns }

  /// Reads the events into a visitor.
  func read<Visitor: RunVisitor>(into visitor: inout Visitor) throws -> ImportStatistics {
    try importRun(file, info: info, into: &visitor)
  }

  /// Bytes and floating-point operations of a structure's nodes.
  static let workModel: WorkModel = { structure in
    let costs = NodeCosts(structure)
    return structure.nodes.map { costs.cost(of: $0) }
  }

  /// Says on standard error that token steps are in no explanation because there were too many.
  func sayOmitted(_ steps: Int) {
    guard steps > 0 else { return }
    complain(
      "\(file.name): the last \(formatCount(steps, "token step")) found no room and are not explained")
  }

  /// Says on standard error what is missing in the results, and exits with status 4 when
  /// something is. Results are written before.
  func finish(_ statistics: ImportStatistics) throws {
    let losses = Losses(info, statistics)
    for line in losses.lines { complain("\(file.name): \(line)") }
    if !losses.lines.isEmpty { throw ExitCode(ExitStatus.partial) }
  }
}
