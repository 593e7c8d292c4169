import ArgumentParser
import Statistics
import TraceImport

struct RooflineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "roofline", abstract: "Phases and operators beside what the machine can do at most.",
    discussion: """
      The columns are those that `ops` explains; elapsed_ns is wall time, without what probes added where that is known.
      Of a phase it is that of its token steps, and in CSV and JSON evidence says why its bound is what it is.
      The ceilings themselves are in `summary` and `info`.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var ceilings: CeilingOptions
  @OptionGroup var format: TableFormatOptions

  @Flag(help: "A row for each node, too.")
  var nodes = false

  func run() throws {
    let trace = try input.open()
    let machine = try ceilings.machine(of: trace)
    var run = RunStatistics(workModel: OpenTrace.workModel, counters: trace.counters)
    let statistics = try trace.read(into: &run)
    var facts = RecordingFacts(trace, statistics)
    facts.machine = machine
    try format.write(RooflineTable(Summary(run, facts: facts).rooflines, nodes: nodes))
    try trace.finish(statistics)
  }
}
