import ArgumentParser
import Statistics
import TraceImport
import TraceModel

struct ExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Why a token was slow: its excess over what such steps take, cause by cause.",
    discussion: """
      What is explained is the wall time of a token step on the thread that calls the engine, of the samplers
      behind it, and, when another token follows, of the caller's own code up to that. The excess is over an
      undisturbed step of the same context, phase and number of tokens at the typical position of this run;
      its parts add up exactly. kv_growth is what the step's own position makes of it. Each part claims what
      the recording shows and no more; what was not recorded is listed with the option that records it.

      Without --token: the steps that took most longer than expected at their position.
      """)

  @OptionGroup var input: TraceArgument

  @Option(help: ArgumentHelp("The token step, by the numbers of `tokens`.", valueName: "step"))
  var token: Int?

  @Option(help: ArgumentHelp("How many of the slowest steps.", valueName: "count"))
  var worst = 3

  @Flag(help: "Every step, in order.")
  var all = false

  @Flag(help: "A JSON object; null: not recorded. Times are integer nanoseconds.")
  var json = false

  func validate() throws {
    if let token, token < 0 { throw ValidationError("--token counts from 0.") }
    if worst < 1 { throw ValidationError("--worst must be at least 1.") }
    if all && token != nil { throw ValidationError("--all and --token exclude each other.") }
  }

  func run() throws {
    let trace = try input.open()
    var accounts = StepAccounts(counters: trace.counters)
    let statistics = try trace.read(into: &accounts)
    let explainer = Explainer(accounts, facts: RecordingFacts(trace, statistics))
    let explanations: [Explanation]
    if let token {
      explanations = explainer.explanation(ofStep: token).map { [$0] } ?? []
    } else {
      explanations = all ? explainer.all() : explainer.slowest(worst)
    }
    let output = Output.standard()
    if json {
      try output.write(ExplanationJSON(explanations).text)
    } else {
      try output.write(ExplanationText(explanations).text)
    }
    try output.close()
    if explanations.isEmpty { complain("\(trace.file.name): \(reason(accounts))") }
    trace.sayOmitted(accounts.omittedSteps)
    try trace.finish(statistics)
    if token != nil, explanations.isEmpty { throw ExitCode(ExitStatus.usage) }
  }

  /// Why there is nothing to say.
  private func reason(_ accounts: StepAccounts) -> String {
    if accounts.steps.isEmpty { return "holds no token step: nothing to explain" }
    if let token { return "no token step \(token); `prof-analyze tokens` lists the steps" }
    return "no step took longer than expected, or there are too few alike to compare; --all shows each"
  }
}
