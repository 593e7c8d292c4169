import ArgumentParser
import Statistics
import TraceImport
import TraceModel

struct ThreadsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "threads",
    abstract: "Computing and waiting per thread, who took its CPU, and how evenly they work.",
    discussion: """
      op_ns, barrier_ns and n_ops count the phases selected; everything else the whole recording. What the
      scheduler did is empty where its events were not recorded (pi-record --sched); the lateness at barriers
      where no graph was computed by more than one thread.

      held_up_ns is how much longer the main thread waited at barriers because this thread had had no CPU.
      `takers` are the tasks that had the CPU then, or the main thread's own, and what that cost the token
      steps that generate. `balance` compares the thread that worked longest at each operator with all on
      average.
      """)

  enum Table: String, ExpressibleByArgument, CaseIterable { case threads, takers, balance }

  @OptionGroup var input: TraceArgument
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var format: TableFormatOptions

  @Option(help: "Which table; without it, all of them for people and the first for programs.")
  var show: Table?

  func run() throws {
    let trace = try input.open()
    var threads = ThreadVisitor(trace.counters)
    let statistics = try trace.read(into: &threads)
    let facts = RecordingFacts(trace, statistics)
    let explainer = Explainer(threads.accounts, facts: facts)
    let isForPeople = !format.csv && !format.json
    if show == nil || show == .threads {
      try format.write(
        ThreadTable(
          threads.operators, phases: phase.phases, names: trace.threadNames, scheduler: threads.scheduler,
          meetings: threads.accounts.threads, clusters: facts.clusters))
    }
    if show == .takers || show == nil && isForPeople {
      try heading("Who had a thread's CPU, and what that cost the token steps that generate", isForPeople)
      if let interference = explainer.interference {
        try format.write(TakerTable(interference))
      } else if isForPeople {
        try say("not recorded: record with --sched")
      } else {
        try format.write(TakerTable(nil))
      }
    }
    if show == .balance || show == nil && isForPeople {
      try heading("How evenly threads share operators", isForPeople)
      let rows = explainer.imbalances
      if rows.isEmpty, isForPeople {
        try say("no operator that more than one thread computed, or no structure of the graph")
      } else {
        try format.write(BalanceTable(rows))
      }
      try oversubscribed(threads.accounts, isForPeople)
    }
    if show == .takers, explainer.interference == nil {
      complain("\(trace.file.name): the scheduler's events were not recorded: record with --sched")
    }
    try trace.finish(statistics)
  }

  private func oversubscribed(_ accounts: StepAccounts, _ isForPeople: Bool) throws {
    let meetings = accounts.threads
    guard isForPeople, accounts.hasScheduler, meetings.meetings > 0 else { return }
    try say(
      "\nAt \(meetings.oversubscribed) of \(meetings.meetings) barriers"
        + " (\(formatShare(Double(meetings.oversubscribed) / Double(meetings.meetings)))) a thread of the graph could run"
        + " and had no CPU while others waited: \(formatDuration(meetings.oversubscribedTime)) from first to last arrival."
    )
  }

  private func heading(_ text: String, _ isForPeople: Bool) throws {
    if isForPeople { try say(show == nil ? "\n" + text : text) }
  }

  private func say(_ text: String) throws {
    let output = Output.standard()
    try output.write(text + "\n")
    try output.close()
  }
}

/// Takes of a run what the tables are made of.
private struct ThreadVisitor: RunVisitor {
  var operators = OperatorStatistics()
  var scheduler = SchedulerStatistics()
  var accounts: StepAccounts

  init(_ counters: [CounterColumn]) { accounts = StepAccounts(counters: counters) }

  mutating func structure(_ structure: GraphStructure) {
    operators.structure(structure)
    accounts.structure(structure)
  }
  mutating func operatorSpan(_ span: OperatorSpan) {
    operators.operatorSpan(span)
    accounts.operatorSpan(span)
  }
  mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    accounts.operatorCounters(counters, barrier: barrier, of: span)
  }
  mutating func graphRun(_ run: GraphRun) {
    operators.graphRun(run)
    accounts.graphRun(run)
  }
  mutating func gap(_ gap: GapSpan) { accounts.gap(gap) }
  mutating func tokenStep(_ step: TokenStep) {
    operators.tokenStep(step)
    accounts.tokenStep(step)
  }
  mutating func threadSlice(_ slice: ThreadSlice) {
    scheduler.threadSlice(slice)
    accounts.threadSlice(slice)
  }
}
