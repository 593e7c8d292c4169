import ArgumentParser
import Statistics

struct ExpertsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "experts",
    abstract: "The experts that each token was routed to, or how they were used.",
    discussion: """
      Without an option: one row per token, layer and slot, as they are read, so that a trace of any length does.
      The other tables leave warm-up steps out, which read all experts on purpose.

      A use is the reading of one expert's weights for all tokens of a graph: in a prefill of many tokens each
      expert counts once. Caches are filled by uses, layer by layer and in a layer by expert number, as ggml goes
      through them; whatever is used is brought in. LRU throws out what was used longest ago, optimal (Belady) what
      is used again latest: no cache of that size does better. First uses miss in all of them.

      max/mean: tokens of the busiest expert over the mean. gini: 0 spread evenly, near 1 all to one expert.
      at random: experts that would never be used if each token chose at random. Distances are in token steps: 1 is
      the step before. A sample of --reuse is one layer in one decode step, at the largest distance of its experts.
      """)

  enum View: EnumerableFlag {
    case summary, histogram, overTime, reuse, cache

    static func help(for value: View) -> ArgumentHelp? {
      switch value {
      case .summary: "One row per layer: imbalance, experts never used, cache sizes for 90 % hits."
      case .histogram: "One row per layer and expert: tokens, uses, and how long until the next use."
      case .overTime: "One row per window of token steps (at most 64), layer and expert: tokens."
      case .reuse: "Uses by distance from the last one, with the time and major faults of MUL_MAT_ID there."
      case .cache: "Hit rates of expert caches by size, LRU and optimal; all sizes with --csv or --json."
      }
    }
  }

  @OptionGroup var input: TraceArgument
  @Flag(exclusivity: .exclusive) var view: View?
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    if let view { try write(view, of: trace) } else { try writeRows(of: trace) }
  }

  private func write(_ view: View, of trace: OpenTrace) throws {
    var experts = ExpertStatistics(counters: trace.counters)
    let statistics = try trace.read(into: &experts)
    let uses = experts.uses
    switch view {
    case .summary: try format.write(ExpertLayerTable(uses))
    case .histogram: try format.write(ExpertHistogramTable(uses))
    case .overTime: try format.write(ExpertWindowTable(uses))
    case .reuse: try format.write(ExpertReuseTable(uses))
    case .cache: try format.write(ExpertCacheTable(uses, isShort: !format.csv && !format.json))
    }
    if uses.isEmpty { complain("\(trace.file.name): \(Self.noRouting)") }
    for line in experts.remarks { complain("\(trace.file.name): \(line)") }
    try trace.finish(statistics)
  }

  private static let noRouting =
    "no expert routing in this trace: not a mixture of experts, or recorded with --no-experts, --no-structure or a"
    + " lower --level"

  /// What is missing when the recorder cut rows.
  static func cut(_ rows: Int) -> String {
    "\(rows) rows of expert ids were cut by the recorder; their last slots are missing"
  }

  private func writeRows(of trace: OpenTrace) throws {
    let writer = RowWriter(format.streamingEncoder, ExpertRows.columns, Output.standard())
    var rows = ExpertRows { writer.write($0) }
    let statistics = try trace.read(into: &rows)
    try writer.close()
    if rows.count == 0 { complain("\(trace.file.name): \(Self.noRouting)") }
    if rows.cutActivations > 0 {
      complain("\(trace.file.name): \(Self.cut(rows.cutActivations))")
    }
    try trace.finish(statistics)
    if rows.cutActivations > 0 { throw ExitCode(ExitStatus.partial) }
  }
}

/// Writes rows as they come.
final class RowWriter {
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

  /// Writes what is left, and closes the output.
  func close() throws(OutputError) {
    encoder.end(into: &text)
    send()
    try output.close()
  }

  private func send() {
    text.withUnsafeBytes { output.write($0) }
    text.removeAll(keepingCapacity: true)
  }
}
