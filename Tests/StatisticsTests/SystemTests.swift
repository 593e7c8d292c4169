import Testing
import TraceModel

@testable import Statistics

/// Tables and sections of recordings with counters, scheduler, devices and speculative decoding.
@Suite struct SystemTests {
  private let columns = [CounterColumn(index: 0, name: "cycles"), CounterColumn(index: 1, name: "count")]

  private func delta(_ cycles: UInt64?, _ other: UInt64?, shared: Bool = false) -> CounterDelta {
    var values = SIMD8<UInt64>()
    var known: UInt8 = 0
    for (index, value) in [cycles, other].enumerated() {
      guard let value else { continue }
      values[index] = value
      known |= 1 << UInt8(index)
    }
    return CounterDelta(values: values, known: known, mayIncludeOtherTasks: shared)
  }

  /// Two executions of a product on two threads; one counter is unknown of one span.
  private func run() -> RunStatistics {
    var run = RunStatistics()
    run.structure(structure1)
    func add(_ span: OperatorSpan, _ own: CounterDelta, wait: CounterDelta) {
      run.operatorSpan(span)
      run.operatorCounters(own, barrier: wait, of: span)
    }
    add(span(0, 0, 100, step: 0), delta(1_000, 7), wait: delta(5, 1))
    add(span(0, 0, 90, step: 0, thread: 101, main: false), delta(900, 6), wait: delta(20, 0))
    run.graphRun(graph(0, step: 0, 0, 200))
    var first = step(0, .decode, 0, 1_000)
    first.counters = delta(2_000, 30)
    run.tokenStep(first)
    add(span(0, 1_000, 1_100, step: 1), delta(100, nil), wait: delta(0, 0))
    add(
      span(0, 1_000, 1_090, step: 1, thread: 101, main: false), delta(50, 1, shared: true),
      wait: delta(nil, 0))
    var second = step(1, .decode, 1_000, 2_000)
    second.counters = delta(300, 40)
    run.tokenStep(second)
    return run
  }

  @Test func countersOfOperatorsAndNodes() throws {
    let table = OperatorTable(run().operators, phases: [.decode], counters: columns)
    // A counter may be called like a column.
    #expect(
      table.extraColumns.map(\.name) == [
        "cycles", "count_counter", "counter_coverage", "counter_other_tasks",
      ])
    // 1,000 + 900 + 100 + 50; the other one is known of three of the four spans.
    #expect(
      table.extraCells(table.rows[0]) == [.integer(2_050), .integer(14), .decimal(0.75), .text("yes")])
    let nodes = NodeTable(run().operators, phases: [.decode], counters: columns)
    #expect(nodes.extraCells(nodes.rows[0]).first == .integer(2_050))
    // What was never counted is empty.
    let other = OperatorTable(
      run().operators, phases: [.decode], counters: [CounterColumn(index: 5, name: "misses")])
    #expect(other.extraCells(other.rows[0])[0] == .missing)
    #expect(OperatorTable(run().operators, phases: [.decode]).extraColumns.isEmpty)
  }

  @Test func countersOfSteps() throws {
    let table = TokenTable(run().steps, counters: columns)
    #expect(table.extraColumns.map(\.name) == ["cycles", "count"])
    // The calling thread's step, and the other's operator and wait; unknown when one part is.
    #expect(
      table.rows.map(table.extraCells) == [[.integer(2_920), .integer(36)], [.missing, .integer(41)]])
    #expect(TokenTable(run().steps).extraColumns.isEmpty)
  }

  @Test func csvHasTheExtraColumnsLast() {
    var encoder = CSVTableEncoder()
    let text = String(decoding: encoder.encode(TokenTable(run().steps, counters: columns)), as: UTF8.self)
    let lines = text.split(separator: "\r\n")
    #expect(lines[0].hasSuffix(",complete,cycles,count"))
    #expect(lines[1].hasSuffix(",yes,2920,36"))
    #expect(lines[2].hasSuffix(",yes,,41"))
  }

  @Test func phaseTotals() {
    let summary = Summary(run(), facts: RecordingFacts())
    let decode = summary.phaseTimes[0].counters
    #expect(decode[0] == 2_920 && decode.counted[0] == 1 && decode[1] == 77 && decode.counted[1] == 2)
    #expect(decode.spans == 2 && decode.mayIncludeOtherTasks)
  }

  private func slice(
    _ activity: ThreadActivity, _ start: UInt64, _ end: UInt64, step: Int? = 0, by name: String? = nil,
    inside: ThreadSlice.Inside? = nil, migrated: Bool = false
  ) -> ThreadSlice {
    ThreadSlice(
      thread: ThreadID(100), range: range(start, end), activity: activity, cpu: 0, isMigration: migrated,
      preemptor: name.map { Preemptor(thread: ThreadID(9), process: 9, name: $0) }, step: step, inside: inside
    )
  }

  @Test func threadsShowTheScheduler() {
    var scheduler = SchedulerStatistics()
    scheduler.threadSlice(slice(.running, 0, 100))
    scheduler.threadSlice(slice(.runnable, 100, 130, by: "stress", inside: .operator))
    scheduler.threadSlice(slice(.running, 130, 150, migrated: true))
    scheduler.threadSlice(slice(.blocked, 150, 1_150, step: nil))
    scheduler.threadSlice(slice(.runnable, 1_150, 1_160, step: nil))
    scheduler.threadSlice(slice(.runnable, 1_200, 1_207, by: "cc1", inside: .barrier))
    let operators = run().operators
    let rows = ThreadTable(operators, phases: [.decode], names: [:], scheduler: scheduler).rows
    #expect(
      Array(ThreadTable.cells(rows[0])[4...7]) == [.integer(120), .integer(47), .integer(1_000), .integer(1)])
    // Of the other thread nothing is known.
    #expect(Array(ThreadTable.cells(rows[1])[4...7]) == [.missing, .missing, .missing, .missing])
    #expect(scheduler.runnableInSteps == 37)
    #expect((scheduler.runnableInOperators, scheduler.runnableInBarriers) == (30, 7))
    #expect(scheduler.preemptors(target: []).map(\.name) == ["stress", "cc1"])
    #expect(scheduler.preemptors(target: [9]).map(\.isTarget) == [true, true])
    #expect(scheduler.preemptionsInSteps == 2)
  }

  @Test func enqueuedNodesAreRowsOfTheirOwn() {
    var run = run()
    run.enqueueSpan(
      EnqueueSpan(
        device: "Vulkan", step: 2, structure: 1, node: 0, thread: ThreadID(100), range: range(2_000, 2_007)))
    run.graphRun(
      GraphRun(
        index: 9, step: 2, thread: ThreadID(100), range: range(2_000, 2_100), structure: 1, backend: "Vulkan",
        nodeCount: 1, threadCount: 0, isComplete: true, isCPUGraph: false))
    run.tokenStep(step(2, .decode, 2_000, 2_200))
    let table = OperatorTable(run.operators, phases: [.decode])
    #expect(table.extraColumns.map(\.name) == ["kind"])
    #expect(table.rows.map { table.extraCells($0) } == [[.text("cpu")], [.text("enqueue")]])
    #expect(table.rows.map(\.totals.total) == [200, 7])
    #expect(table.rows.map(\.totals.count) == [2, 1])
    let summary = Summary(run, facts: RecordingFacts())
    // Never among the operators.
    #expect(summary.operators.count == 1 && summary.enqueued.count == 1)
    #expect(summary.backends.backends.map(\.name) == ["CPU", "Vulkan"])
    #expect(summary.backends.enqueued.map(\.total) == [7])
    #expect(summary.phaseTimes[0].time.backendGraphs == 100)
  }

  private func round(_ drafted: Int?, _ accepted: Int?, _ start: UInt64) -> SpeculativeRound {
    SpeculativeRound(
      index: 0, thread: ThreadID(100), range: range(start, start + 100), draftTime: 40, draftCalls: 1,
      draftSteps: 3, verifyStep: 1, drafted: drafted, accepted: accepted)
  }

  @Test func acceptance() {
    var statistics = SpeculationStatistics()
    #expect(statistics.acceptance == nil && statistics.tokensPerRound == nil)
    statistics.speculativeRound(round(3, 2, 1_000))
    statistics.speculativeRound(round(5, 0, 2_000))
    statistics.speculativeRound(round(nil, 4, 3_000))
    #expect(statistics.acceptance == 0.25)
    #expect(statistics.tokensPerRound == 2)
    #expect((statistics.rounds, statistics.unknownRounds, statistics.draftSteps) == (3, 1, 9))
    #expect(statistics.duration == 2_100)
  }

  @Test func frequenciesByCluster() throws {
    var statistics = ReadingStatistics()
    for (time, values) in [(UInt64(0), [UInt32(2_000_000), 500_000]), (900, [1_000_000, 600_000])] {
      for (cpu, value) in values.enumerated() {
        statistics.reading(Reading(time: time_(time), value: .frequency(cpu: cpu, kilohertz: value)))
        statistics.reading(Reading(time: time_(time), value: .frequency(cpu: cpu + 2, kilohertz: value / 2)))
      }
    }
    let series = statistics.frequencies(
      clusters: [0: "big", 1: "big", 2: "small"], decoding: range(0, 900))
    #expect(series.map(\.name) == ["big", "small", "CPU 3"])
    #expect((series[0].minimum, series[0].median, series[0].maximum) == (500_000, 600_000, 2_000_000))
    #expect(series[0].fall == 0.5 && series[2].fall == 0)
    #expect(statistics.frequencies(clusters: [:], decoding: nil)[0].fall == nil)
  }

  private func time_(_ nanoseconds: UInt64) -> TraceTime { time(nanoseconds) }

  @Test func stepsWithoutProbesHaveNoOperators() {
    var statistics = StepStatistics()
    statistics.operatorSpan(span(0, 0, 50, step: 0))
    statistics.tokenStep(step(0, .decode, 0, 100))
    statistics.gap(gap(.notProbed, step: 1, 110, 190))
    statistics.graphRun(graph(1, step: 1, 110, 190))
    var unprobed = step(1, .decode, 100, 200, operators: 0, coverage: nil)
    unprobed.hasOperatorProbes = false
    statistics.tokenStep(unprobed)
    let cells = TokenTable(statistics).rows.map(TokenTable.cells)
    #expect(cells[0][6] == .integer(2))
    #expect(cells[1][6] == .missing && cells[1][7] == .missing && cells[1][9] == .missing)
    #expect(statistics.time(ofStep: 1).accounted == 80)
  }

  @Test func findingsAboutTheSystem() {
    var run = run()
    run.threadSlice(slice(.runnable, 100, 300, by: "stress"))
    for (time, frequency) in [(UInt64(0), UInt32(2_000_000)), (2_000, 1_200_000)] {
      run.reading(
        Reading(time: TraceTime(nanoseconds: time), value: .frequency(cpu: 0, kilohertz: frequency)))
    }
    var facts = RecordingFacts()
    facts.silentSites = ["accept (common_speculative_accept)"]
    let findings = Summary(run, facts: facts).findings
    // The step was over before its thread is said to have had no CPU: that cost it nothing.
    #expect(findings.map(\.name) == ["frequency-fell", "preempted", "silent-sites"])
    facts.processes = [9]
    #expect(Summary(run, facts: facts).findings[1].evidence.contains("the target's other threads"))
    #expect(findings[1].evidence.contains("stress") && findings[0].evidence.contains("2.00 GHz to 1.20 GHz"))
  }
}
