import CTraceRecords
import TraceModel
import Testing

@testable import TraceImport

/// What counters count during spans, by hand. Counters: cycles, instructions.
@Suite struct CounterTests {
  private func traceWithStructure(_ more: String = "") -> TraceBuilder {
    let trace = TraceBuilder.withCounters(more)
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    return trace
  }

  @Test func differencesOnOneCPUWithoutScheduler() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [100, 10])
    trace.graph(1010, structure: 7, counters: [200, 20])
    trace.op(1020, 1, 0x1000, counters: [300, 30])
    trace.barrier(1030, 1, counters: [450, 37])
    trace.op(1035, 1, 0x12a0, counters: [460, 38])
    trace.op(1040, 1, 0x13f0, counters: [500, 40])
    trace.graphEnd(1050, counters: [600, 55])
    trace.decodeEnd(1060, counters: [700, 60])
    let run = try trace.run()
    #expect(run.counters.map { [$0.own[0], $0.own[1]] } == [[150, 7], [40, 2], [100, 15]])
    #expect(run.counters.map { [$0.wait[0], $0.wait[1]] } == [[10, 1], [0, 0], [0, 0]])
    // Who else ran on that CPU is not known.
    #expect(run.counters.allSatisfy { $0.own.mayIncludeOtherTasks })
    #expect(run.graphs.map { $0.counters?[0] } == [400])
    #expect(run.steps.map { $0.counters?[0] } == [600] && run.steps[0].counters?[1] == 50)
    // A counter that the recording does not have.
    #expect(run.counters[0].own[2] == nil)
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  /// 50 cycles of the operator before the preemption and 30 after it; the 4,000 between are another task's.
  @Test func aPreemptedOperatorExcludesTheOtherTask() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, counters: [10, 1])
    trace.op(1020, 1, 0x1000, counters: [100, 10])
    trace.switchOut(1030, 1, next: 77, tgid: 70, comm: Array("stress".utf8), counters: [150, 15])
    trace.switchIn(1070, 1, counters: [4150, 2015])
    trace.op(1080, 1, 0x12a0, counters: [4180, 2018])
    trace.op(1090, 1, 0x13f0, counters: [4200, 2020])
    trace.graphEnd(1100, counters: [4210, 2021])
    trace.decodeEnd(1110, counters: [4220, 2022])
    let run = try trace.run()
    #expect(run.counters.map { [$0.own[0], $0.own[1]] } == [[80, 8], [20, 2], [10, 1]])
    #expect(run.counters.allSatisfy { !$0.own.mayIncludeOtherTasks })
    #expect(run.graphs[0].counters?[0] == 200)
    #expect(run.steps[0].counters?[0] == 220)
    #expect(run.spans()[0] == "0 1020-1080 1080")
  }

  /// 50 cycles on CPU 1 and 30 on CPU 2, whose counter stands elsewhere.
  @Test func aMigratedThreadIsTheSumOfItsSegments() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, counters: [10, 1])
    trace.op(1020, 1, 0x1000, counters: [100, 10])
    trace.switchOut(1030, 1, next: 77, counters: [150, 15])
    trace.cpu = 2
    trace.switchIn(1040, 1, counters: [9_000_000, 5])
    trace.op(1080, 1, 0x12a0, counters: [9_000_030, 8])
    trace.op(1090, 1, 0x13f0, counters: [9_000_050, 9])
    trace.graphEnd(1100, counters: [9_000_060, 10])
    trace.decodeEnd(1110, counters: [9_000_070, 11])
    let run = try trace.run()
    #expect(run.counters[0].own[0] == 80)
    #expect(run.counters[0].own[1] == 8)
    #expect(run.steps[0].counters?[0] == 150 + 70)
    #expect(run.slices.count { $0.isMigration } == 1)
  }

  @Test func anotherCPUWithoutASwitchIsUnknown() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, counters: [10, 1])
    trace.op(1020, 1, 0x1000, counters: [100, 10])
    trace.cpu = 2
    trace.op(1080, 1, 0x12a0, counters: [500, 50])
    trace.op(1090, 1, 0x13f0, counters: [520, 52])
    trace.graphEnd(1100, counters: [530, 53])
    trace.decodeEnd(1110, counters: [540, 54])
    let run = try trace.run()
    #expect(run.counters.map { $0.own[0] } == [nil, 20, 10])
    #expect(run.graphs[0].counters?[0] == nil)
    #expect(run.steps[0].counters != nil && run.steps[0].counters?[0] == nil)
  }

  @Test func whatCouldNotBeReadIsUnknown() throws {
    let unread = UInt64.max
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, counters: [10, 1])
    trace.op(1020, 1, 0x1000, counters: [100, unread])
    trace.op(1030, 1, 0x12a0, counters: [150, 15])
    // The values of this one are missing altogether, and one counter is cut off.
    trace.op(1040, 1, 0x13f0, counters: [160])
    trace.graphEnd(1050, counters: [170, 17])
    trace.decodeEnd(1060, counters: [180, 16])
    let run = try trace.run()
    #expect(run.counters.map { $0.own[0] } == [50, 10, 10])
    #expect(run.counters.map { $0.own[1] } == [nil, nil, nil])
    #expect(run.steps[0].counters?[0] == 180)
    #expect(run.steps[0].counters?[1] == nil)
  }

  @Test func aMissingSwitchMakesTheStretchUnknown() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, counters: [10, 1])
    trace.op(1020, 1, 0x1000, counters: [100, 10])
    trace.switchOut(1025, 1, next: 77, counters: [120, 12])
    // It comes back unseen.
    trace.op(1030, 1, 0x12a0, counters: [150, 15])
    // And leaves unseen.
    trace.switchIn(1035, 1, counters: [1000, 100])
    trace.op(1040, 1, 0x13f0, counters: [1010, 101])
    trace.graphEnd(1050, counters: [1030, 103])
    trace.decodeEnd(1060, counters: [1040, 104])
    let run = try trace.run()
    #expect(run.counters.map { $0.own[0] } == [nil, nil, 20])
    #expect(run.statistics[.missingSwitch] == 2)
  }

  /// A worker's end that only the main thread's graph end tells: its counters then were not seen.
  @Test func endsToldByOthersAreUnknown() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1, counters: [0, 0])
    trace.graph(1010, structure: 7, threads: 2, counters: [10, 1])
    trace.op(1020, 1, 0x13f0, counters: [20, 2])
    trace.op(1021, 2, 0x13f0, counters: [500, 50])
    trace.graphEnd(1050, counters: [60, 6])
    trace.decodeEnd(1060, counters: [70, 7])
    let run = try trace.run()
    let worker = try #require(run.counters.first { $0.span.thread.rawValue == 2 })
    #expect(worker.own[0] == nil && worker.wait[0] == nil)
    let main = try #require(run.counters.first { $0.span.thread.rawValue == 1 })
    #expect(main.own[0] == 40)
  }

  @Test func columnsThatCannotBeAreLeftOut() throws {
    let trace = TraceBuilder(
      metadata: """
        {"counters":[{"name":"a","column":8},{"name":"b","column":-1},{"name":"c","column":1},
        {"name":"d","column":1},{"name":"e","state":"unsupported","reason":"no"},{"column":2},7]}
        """)
    trace.decode(1000, tokens: 1, counters: [1, 5, 9])
    trace.decodeEnd(1100, counters: [2, 8, 20])
    let run = try trace.run()
    #expect(run.info.metadata.counterColumns == [CounterColumn(index: 1, name: "c")])
    #expect(run.info.metadata.counters.map(\.name) == ["a", "b", "c", "d", "e"])
    #expect(run.steps[0].counters?[1] == 3)
  }

  @Test func withoutCountersThereAreNone() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1, counters: [1, 2])
    trace.decodeEnd(1100, counters: [2, 3])
    let run = try trace.run()
    #expect(run.counters.isEmpty && run.steps[0].counters == nil)
  }
}
