import ArgumentParser
import Statistics

struct TokensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens", abstract: "One row per token step: phase, duration, tokens, where its time went.",
    discussion: """
      Counters are those of the calling thread over the whole step and of the other threads in operators and
      barriers; empty where one of these is not known.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var steps = StepStatistics()
    let statistics = try trace.read(into: &steps)
    try format.write(TokenTable(steps, counters: trace.counters))
    try trace.finish(statistics)
  }
}
