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
      the share of those; `_per_call` is their mean over executions. Rows of kind
      `enqueue` are nodes encoded for a device: their time is not the device's.
      bytes_per_s and flops_per_s are over the operator's time and its wait, without probe_ns, what probes added to
      it where that is known. memory_share and compute_share are of what the machine can do (`pi-record calibrate`):
      of its memory for weights and caches, of its last-level cache for what was just computed. bound is memory,
      compute, overhead (waits, or as short as a start) or unclear. imbalance: slowest thread over the mean.
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
