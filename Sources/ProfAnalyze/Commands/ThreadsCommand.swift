import ArgumentParser
import Statistics
import TraceModel

struct ThreadsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "threads", abstract: "Computing and waiting per thread.",
    discussion: """
      running, runnable, blocked and migrations are those of the whole recording, whatever phases are selected;
      empty where the scheduler's events were not recorded (pi-record --sched).
      """)

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var threads = ThreadVisitor()
    let statistics = try trace.read(into: &threads)
    try format.write(
      ThreadTable(
        threads.operators, phases: phase.phases, names: trace.threadNames, scheduler: threads.scheduler))
    try trace.finish(statistics)
  }
}

/// Takes of a run what the table is made of.
private struct ThreadVisitor: RunVisitor {
  var operators = OperatorStatistics()
  var scheduler = SchedulerStatistics()

  mutating func structure(_ structure: GraphStructure) { operators.structure(structure) }
  mutating func operatorSpan(_ span: OperatorSpan) { operators.operatorSpan(span) }
  mutating func graphRun(_ run: GraphRun) { operators.graphRun(run) }
  mutating func tokenStep(_ step: TokenStep) { operators.tokenStep(step) }
  mutating func threadSlice(_ slice: ThreadSlice) { scheduler.threadSlice(slice) }
}
