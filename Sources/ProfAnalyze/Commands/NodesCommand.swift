import ArgumentParser
import Statistics

struct NodesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "nodes", abstract: "Time per named node of the graph, most first.",
    discussion: """
      Times are the main thread's, as in `ops`. bytes (every source read once, the result written) and flops
      are those of one execution; where executions differ, their mean. Counters are sums, as in `ops`.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var operators = OperatorStatistics(workModel: OpenTrace.workModel)
    let statistics = try trace.read(into: &operators)
    try format.write(NodeTable(operators, phases: phase.phases, counters: trace.counters))
    try trace.finish(statistics)
  }
}
