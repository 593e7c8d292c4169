import ArgumentParser
import Statistics

struct TokensCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokens", abstract: "One row per token step: phase, duration, tokens, where its time went.",
    discussion: """
      Counters are those of the calling thread over the whole step and of the other threads in operators and
      barriers; empty where one of these is not known.

      --why has other columns: what each step was expected to take, the excess over a typical step, its parts
      (as `explain` defines them; they add up to it), the main cause, and who took the CPU.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var format: TableFormatOptions

  @Flag(help: "What was expected of each step, and what made it slower.")
  var why = false

  func run() throws {
    let trace = try input.open()
    if why {
      var accounts = StepAccounts(counters: trace.counters)
      let statistics = try trace.read(into: &accounts)
      try format.write(ExplanationTable(Explainer(accounts, facts: RecordingFacts(trace, statistics))))
      trace.sayOmitted(accounts.omittedSteps)
      try trace.finish(statistics)
    } else {
      var steps = StepStatistics()
      let statistics = try trace.read(into: &steps)
      try format.write(TokenTable(steps, counters: trace.counters))
      try trace.finish(statistics)
    }
  }
}
