import ArgumentParser
import Statistics

struct NodesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nodes", abstract: "Time per named node of the graph, most first.",
    discussion: """
      Times are the main thread's, as in `ops`. bytes (every source read once, the result written) and flops
      are those of one execution; where executions differ, their mean: a cache is read as far as it is filled, and of the experts those that the
      step's tokens were routed to. Counters are sums, and the columns behind them as in `ops`.

      With --beside, the nodes of two recordings side by side, the same by name, operator and shape. Kind `enqueue`:
      handed to a device; that time is not the device's, so there is no ratio to one that was computed.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var ceilings: CeilingOptions
  @OptionGroup var format: TableFormatOptions

  @Option(help: ArgumentHelp("Another trace (B) to compare this one (A) with.", valueName: "trace"))
  var beside: String?

  func run() throws {
    let trace = try input.open()
    if let beside { return try compare(trace, OpenTrace(path: beside)) }
    let machine = try ceilings.machine(of: trace)
    var run = OperatorRun()
    let statistics = try trace.read(into: &run)
    let roofline = RooflineModel(run.operators, graphs: run.graphs, machine: machine, phases: phase.phases)
    try format.write(
      NodeTable(
        run.operators, phases: phase.phases, counters: trace.counters, roofline: roofline,
        traffic: machine.traffic))
    try trace.finish(statistics)
  }
  private func compare(_ first: OpenTrace, _ second: OpenTrace) throws {
    var (a, b) = (OperatorStatistics(), OperatorStatistics())
    let statistics = (try first.read(into: &a), try second.read(into: &b))
    try format.write(NodeComparisonTable(a, beside: b, phases: phase.phases))
    var isPartial = false
    for (trace, statistics) in [(first, statistics.0), (second, statistics.1)] {
      do { try trace.finish(statistics) } catch is ExitCode { isPartial = true }
    }
    if isPartial { throw ExitCode(ExitStatus.partial) }
  }
}
