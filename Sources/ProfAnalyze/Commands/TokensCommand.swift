import ArgumentParser
import Statistics

struct TokensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens", abstract: "One row per token step: phase, duration, tokens, where its time went.")

  @OptionGroup var input: TraceArgument
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var steps = StepStatistics()
    let statistics = try trace.read(into: &steps)
    try format.write(TokenTable(steps))
    try trace.finish(statistics)
  }
}
