import ArgumentParser
import Statistics
import TraceModel

struct SpeculationCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "speculation",
    abstract: "Speculative decoding: acceptance by place in the draft, or one row per round.",
    discussion: """
      A draft is accepted up to a token and no further, so place i was accepted when more than i - 1 tokens were.
      `reached`: all tokens before it were accepted. Rounds for several sequences are left out here: which of them
      accepted how much is not recorded.

      drafting: inside of the calls that draft. feeding: steps of the draft model behind the verifying step.
      verifying: steps of the target model. `prof-analyze summary` compares them with plain decode steps.
      """)

  @OptionGroup var input: TraceArgument
  @Flag(help: "One row per round.") var rounds = false
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var visitor = SpeculationVisitor()
    let statistics = try trace.read(into: &visitor)
    let speculation = visitor.speculation
    if rounds {
      try format.write(
        RoundTable(speculation, SpeculationCost(speculation.all, steps: visitor.steps.steps)))
    } else {
      try format.write(AcceptanceTable(speculation))
    }
    if speculation.rounds == 0 {
      complain("\(trace.file.name): no speculative decoding in this trace")
    } else if !rounds, speculation.sharedRounds + speculation.unknownRounds > 0 {
      complain(
        "\(trace.file.name): of \(formatCount(speculation.rounds, "round")), \(speculation.sharedRounds) are for several"
          + " sequences and \(speculation.unknownRounds) not known in full; they are left out")
    }
    try trace.finish(statistics)
  }
}

/// Takes of a run what the tables are made of.
private struct SpeculationVisitor: RunVisitor {
  var speculation = SpeculationStatistics()
  var steps = StepStatistics()

  mutating func speculativeRound(_ round: SpeculativeRound) { speculation.speculativeRound(round) }
  mutating func tokenStep(_ step: TokenStep) { steps.tokenStep(step) }
}
