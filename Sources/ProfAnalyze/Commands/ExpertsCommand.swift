import ArgumentParser
import Statistics

struct ExpertsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "experts",
    abstract: "The experts that each token was routed to, one row per token, layer and slot.",
    discussion: "Rows come as they are read, so that a trace of any length does.")

  @OptionGroup var input: TraceArgument
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    let output = Output.standard()
    let writer = RowWriter(format.streamingEncoder, ExpertRows.columns, output)
    var rows = ExpertRows { writer.write($0) }
    let statistics = try trace.read(into: &rows)
    writer.finish()
    try output.close()
    if rows.count == 0 {
      complain(
        "\(trace.file.name): no expert routing in this trace: not a mixture of experts, or recorded with"
          + " --no-experts, --no-structure or a lower --level")
    }
    if rows.cutActivations > 0 {
      complain(
        "\(trace.file.name): \(rows.cutActivations) rows of expert ids were cut by the recorder;"
          + " their last slots are missing")
    }
    try trace.finish(statistics)
    if rows.cutActivations > 0 { throw ExitCode(ExitStatus.partial) }
  }
}

/// Writes rows as they come.
private final class RowWriter {
  private var encoder: any TableEncoder
  private let output: Output
  private var text: [UInt8] = []

  init(_ encoder: any TableEncoder, _ columns: [Column], _ output: Output) {
    self.encoder = encoder
    self.output = output
    self.encoder.begin(columns, into: &text)
  }

  func write(_ cells: [Cell]) {
    // The reader may be gone long before the trace ends.
    guard !output.hasFailed else { return }
    encoder.row(cells, into: &text)
    if text.count >= 1 << 15 { send() }
  }

  func finish() {
    encoder.end(into: &text)
    send()
  }

  private func send() {
    text.withUnsafeBytes { output.write($0) }
    text.removeAll(keepingCapacity: true)
  }
}
