import ArgumentParser
import Statistics

struct ThreadsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "threads", abstract: "Computing and waiting per thread.",
    discussion: "The scheduler's columns are empty: not recorded.")

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var operators = OperatorStatistics()
    let statistics = try trace.read(into: &operators)
    try format.write(ThreadTable(operators, phases: phase.phases, names: trace.threadNames))
    try trace.finish(statistics)
  }
}
