import Testing
import TraceModel

@testable import Statistics

@Suite struct OperatorTableTests {
  /// Two decode steps of 1,000 ns each, one of them with a second thread, and a warm-up.
  private func twoSteps() -> OperatorStatistics {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    statistics.spans(span(0, 0, 9_000, step: 0))
    statistics.tokenStep(step(0, .warmup, 0, 10_000))
    statistics.spans(
      span(0, 10_000, 10_400, barrier: 50, step: 1),
      span(0, 10_000, 10_440, step: 1, thread: 101, main: false),
      span(3, 10_450, 10_550, step: 1))
    statistics.tokenStep(step(1, .decode, 10_000, 11_000))
    statistics.spans(span(0, 11_000, 11_600, barrier: 10, step: 2, repaired: true))
    statistics.tokenStep(step(2, .decode, 11_000, 12_000))
    return statistics
  }

  @Test func sumsTheMainThreadOncePerExecution() throws {
    let table = OperatorTable(twoSteps(), phases: Summary.phases)
    #expect(table.wallTime == 2_000)
    #expect(table.rows.map(\.op) == ["MUL_MAT", "SOFT_MAX"])
    let product = try #require(table.rows.first)
    #expect(product.type == "q4_1")
    #expect(product.totals.count == 2)
    #expect(product.totals.total == 1_000)
    #expect(product.totals.mean == 500)
    #expect(product.totals.barrier == 60)
    #expect(product.totals.allThreads == 1_440)
    #expect((product.totals.minimum, product.totals.maximum) == (400, 600))
    #expect((product.median, product.percentile95) == (400, 600))
    #expect(product.share == 0.5)
    #expect(product.totals.repaired == 1)
    #expect(table.rows[1].type == "f32")
    #expect(table.rows[1].share == 0.05)
  }

  @Test func phasesSelect() {
    let warmup = OperatorTable(twoSteps(), phases: [.warmup])
    #expect(warmup.rows.map(\.totals.total) == [9_000])
    #expect(warmup.rows.first?.share == 0.9)
    let all = OperatorTable(twoSteps(), phases: Set(Phase.allCases))
    #expect(all.rows.first?.totals.count == 3)
    #expect(all.wallTime == 12_000)
    #expect(OperatorTable(twoSteps(), phases: [.prefill]).rows.isEmpty)
  }

  @Test func interleavedStepsKeepTheirPhases() {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    statistics.spans(
      span(3, 0, 10, step: 0), span(3, 5, 25, step: 1, thread: 200), span(3, 20, 50, step: 0),
      span(3, 30, 70, step: 1, thread: 200))
    statistics.tokenStep(step(1, .prefill, 0, 100))
    statistics.tokenStep(step(0, .decode, 0, 100))
    #expect(OperatorTable(statistics, phases: [.prefill]).rows.map(\.totals.total) == [60])
    #expect(OperatorTable(statistics, phases: [.decode]).rows.map(\.totals.total) == [40])
  }

  @Test func aStepOfAnyLengthIsFolded() {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    for i: UInt64 in 0..<100_000 { statistics.operatorSpan(span(3, i * 10, i * 10 + 7)) }
    statistics.tokenStep(step(0, .prefill, 0, 1_000_000))
    let rows = OperatorTable(statistics, phases: [.prefill]).rows
    #expect(rows.map(\.totals.count) == [100_000])
    #expect(rows.map(\.totals.total) == [700_000])
    #expect(rows.first?.median == 7)
    #expect(rows.first?.share == 0.7)
  }

  @Test func spansOutsideOfStepsAreOfUnknownPhase() {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    statistics.spans(span(3, 0, 30, step: -1), span(3, 40, 60, step: 7))
    statistics.graphRun(graph(0, step: nil, 0, 100))
    let rows = OperatorTable(statistics, phases: [.unknown]).rows
    #expect(rows.map(\.totals.total) == [50])
    #expect(rows.first?.share == 0.5)
    #expect(OperatorTable(statistics, phases: [.decode]).rows.isEmpty)
  }

  @Test func fusedOperatorsAreNamedAfterAll() {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    statistics.spans(span(1, 0, 30, last: 2), span(1, 40, 60, last: 2))
    statistics.tokenStep(step(0, .decode, 0, 100))
    let rows = OperatorTable(statistics, phases: [.decode]).rows
    #expect(rows.map(\.op) == ["RMS_NORM+MUL"])
    #expect(rows.map(\.totals.count) == [2])
    let nodes = NodeTable(statistics, phases: [.decode]).rows
    #expect(nodes.map(\.name) == ["attn_norm-0"])
  }

  @Test func nodesThatNobodyKnowsAreUnknown() {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    statistics.spans(
      span(-1, 0, 10), span(4, 10, 20), span(.max, 20, 30), span(0, 30, 40, structure: 99),
      span(3, 40, 50, last: .max), span(0, 60, 55))
    statistics.tokenStep(step(0, .decode, 0, 100))
    let rows = OperatorTable(statistics, phases: [.decode]).rows
    #expect(rows.map(\.op) == ["unknown", "SOFT_MAX", "MUL_MAT"])
    #expect(rows[0].type == nil)
    #expect(rows[0].totals.count == 4)
    // A span that ends before it starts lasted no time.
    #expect(rows[2].totals.total == 0)
  }

  @Test func nodesCarryWorkOfOneExecution() throws {
    // The product moves 100 bytes in the first structure and 300 in the second.
    var statistics = OperatorStatistics { structure in
      structure.nodes.map {
        $0.op == "MUL_MAT" ? OperatorWork(bytes: structure.number == 1 ? 100 : 300, flops: 512) : nil
      }
    }
    var second = structure1
    second.number = 2
    statistics.structure(structure1)
    statistics.structure(second)
    statistics.spans(
      span(0, 0, 10), span(0, 10, 20), span(0, 20, 30), span(0, 30, 60, structure: 2), span(3, 60, 65))
    statistics.tokenStep(step(0, .decode, 0, 100))
    let rows = NodeTable(statistics, phases: [.decode]).rows
    let product = try #require(rows.first)
    #expect((product.name, product.op, product.type) == ("up-0", "MUL_MAT", "q4_1"))
    #expect(product.shape == [16, 2, 1, 1])
    #expect(product.totals.count == 4)
    #expect(product.totals.total == 60)
    #expect(product.bytes == 150)
    #expect(product.flops == 512)
    #expect((product.layer, product.part) == (0, .ffn))
    #expect(rows[1].bytes == nil)
    #expect(OperatorTable(statistics, phases: [.decode]).rows.first?.bytes == 600)
  }

  @Test func threadsAreCountedOnTheirOwn() {
    let table = ThreadTable(twoSteps(), phases: Summary.phases, names: [ThreadID(100): "llama"])
    #expect(table.rows.map(\.thread) == [ThreadID(100), ThreadID(101)])
    #expect(table.rows.map(\.totals.operators) == [1_100, 440])
    #expect(table.rows.map(\.totals.barrier) == [60, 0])
    #expect(table.rows.map(\.totals.isMain) == [true, false])
    #expect(table.rows.map(\.name) == ["llama", nil])
    #expect(table.rows[0].barrierShare == 60.0 / 1_160)
  }
}
