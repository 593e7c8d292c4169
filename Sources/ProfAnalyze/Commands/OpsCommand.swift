import ArgumentParser
import Statistics

struct OpsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ops", abstract: "Time per operator type, most first.",
    discussion: """
      An operator is counted once per execution, however many threads take part. Its time is the main
      thread's, from its start to its arrival at the barrier; the wait there is barrier_ns. `share` is of the
      wall time of the token steps counted. `type` is that of the weights for matrix products and row look-ups.
      Quantiles are exact up to 1024 executions, beyond that within 0.4 %.
      Counters are sums over all threads, waits left out, of the spans where they are known: counter_coverage is
      the share of those. Rows of kind `enqueue` are nodes encoded for a device: their time is not the device's.
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var ceilings: CeilingOptions
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    let machine = try ceilings.machine(of: trace)
    var run = OperatorRun()
    let statistics = try trace.read(into: &run)
    let roofline = RooflineModel(run.operators, graphs: run.graphs, machine: machine, phases: phase.phases)
    try format.write(
      OperatorTable(
        run.operators, phases: phase.phases, counters: trace.counters, roofline: roofline,
        traffic: machine.traffic))
    try trace.finish(statistics)
  }
}
