import Testing
import TraceModel

@testable import Statistics

@Suite struct SummaryTests {
  /// One prefill of 1,000 ns and one decode step of 500 ns:
  /// setup 100, graph overhead 20, operator 700 and wait 80, finish 90: 10 without a name;
  /// decode: operator 300, wait 200, all of it; then 50 of sampling.
  private func run(structure: Bool = true) -> RunStatistics {
    var run = RunStatistics()
    if structure { run.structure(structure1) }
    run.gap(gap(.setup, step: 0, 0, 100))
    run.spans(span(0, 110, 810, barrier: 80, step: 0))
    run.gap(gap(.graphOverhead, step: 0, 100, 110))
    run.gap(gap(.graphOverhead, step: 0, 890, 900))
    run.graphRun(graph(0, step: 0, 100, 900))
    run.gap(gap(.finish, step: 0, 900, 990))
    run.tokenStep(step(0, .prefill, 0, 1_000, tokens: 10, coverage: 0.5))
    run.spans(
      span(3, 1_000, 1_300, barrier: 200, step: 1), span(3, 1_000, 1_490, step: 1, thread: 101, main: false))
    run.graphRun(graph(1, step: 1, 1_000, 1_500))
    run.tokenStep(step(1, .decode, 1_000, 1_500))
    run.gap(gap(.sampling, step: 1, 1_500, 1_550))
    return run
  }

  @Test func everyNanosecondHasAName() throws {
    let summary = Summary(run(), facts: RecordingFacts())
    #expect(summary.phaseTimes.map(\.phase) == [.prefill, .decode])
    let prefill = summary.phaseTimes[0]
    #expect((prefill.wall, prefill.tokens) == (1_000, 10))
    #expect(prefill.time.accounted == 990)
    #expect(prefill.unaccounted == 10)
    #expect(prefill.accounted == 0.99)
    #expect(prefill.worstAccounted?.step == 0)
    #expect(summary.phaseTimes[1].accounted == 1)
    #expect(summary.phaseTimes[1].time.sampling == 50)
    #expect(summary.wallTime == 1_500)
  }

  @Test func sharesPerPhaseAndPart() throws {
    let summary = Summary(run(), facts: RecordingFacts())
    #expect(summary.operators.map(\.row.op) == ["MUL_MAT", "SOFT_MAX"])
    #expect(summary.operators[0].prefillShare == 0.7)
    #expect(summary.operators[0].decodeShare == 0)
    #expect(summary.operators[1].decodeShare == 0.6)
    #expect(summary.parts.map(\.part) == [.ffn, .attention])
    #expect(summary.parts.map(\.total) == [700, 300])
    #expect(summary.parts.map(\.share) == [700.0 / 1_500, 300.0 / 1_500])
    #expect(summary.coverage.mean == 0.75)
    #expect(summary.coverage.worst?.step == 0)
  }

  @Test func graphsStandForOperatorsAtALowerLevel() {
    var statistics = StepStatistics()
    statistics.gap(gap(.setup, step: 0, 0, 100))
    // The CPU's graph inside of the backend's.
    statistics.graphRun(graph(0, step: 0, 110, 880))
    statistics.graphRun(graph(1, step: 0, 100, 900))
    statistics.gap(gap(.finish, step: 0, 900, 1_000))
    statistics.tokenStep(step(0, .decode, 0, 1_000, operators: 0, coverage: nil))
    #expect(statistics.time(ofStep: 0).graphs == 800)
    #expect(statistics.time(ofStep: 0).accounted == 1_000)
    let cells = TokenTable.cells(TokenTable(statistics).rows[0])
    #expect(cells.count == TokenTable.columns.count)
    // Operators were not recorded: empty, not 0.
    #expect(cells[6] == .missing)
    #expect(cells[7] == .missing)
    #expect(cells[5] == .integer(1))
    #expect(cells[3] == .integer(1_000))
  }

  @Test func findingsNeedEvidence() {
    var facts = RecordingFacts()
    facts.cpuCount = 2
    facts.duration = 100_000_000_000
    facts.recorderTime = 1_000_000_000
    // Of 1,280 ns in graphs the main thread waits 280: 21.9 %; the other numbers are small.
    #expect(Summary(run(), facts: facts).findings.map(\.name) == ["barriers"])
    // Thread 101 never waits: it is the one that the main thread waits for.
    #expect(Summary(run(), facts: facts).findings[0].advice.hasPrefix("Thread 101 waits least (0.0 %)"))
    facts.cpuCount = 1
    facts.recorderTime = 6_000_000_000
    // 5.3 % of the 1,500 ns of token steps on two threads.
    facts.probeTime = 160
    facts.lostRecords = 3
    #expect(
      Summary(run(), facts: facts).findings.map(\.name)
        == ["more-threads-than-cpus", "barriers", "probe-cost", "recorder-cost", "losses"])
  }

  @Test func aTraceWithoutAnythingHasASummary() {
    let summary = Summary(RunStatistics(), facts: RecordingFacts())
    #expect(summary.phaseTimes.isEmpty && summary.operators.isEmpty && summary.findings.isEmpty)
    #expect(summary.coverage.mean == nil)
    #expect(!summary.hasGraphs)
  }

  @Test func modelShapeFromTensors() throws {
    let model = ModelShape(
      GraphStructure(
        number: 1,
        nodes: [
          node(1, "GET_ROWS", "inp_embd", shape: [64, 3, 1, 1], sources: [50, 51], part: .embedding),
          node(2, "ROPE", "Qcur-0", shape: [16, 4, 3, 1], layer: 0, part: .attention),
          node(3, "ROPE", "Kcur-0", shape: [16, 2, 3, 1], layer: 0, part: .attention),
          node(
            4, "MUL_MAT_ID", "ffn_moe_up-5", shape: [96, 2, 3, 1], sources: [52, 1, 53], layer: 5, part: .ffn),
          node(5, "MUL_MAT", "result_output", shape: [1000, 1, 1, 1], sources: [50, 4], part: .head),
        ],
        constants: [
          node(
            50, "NONE", "token_embd.weight", type: "q8_0", shape: [64, 1000, 1, 1], executed: false,
            bytes: 68_000),
          node(
            52, "NONE", "blk.5.ffn_up_exps.weight", type: "q4_0", shape: [64, 96, 8, 1], executed: false,
            bytes: 27_648),
          node(53, "NONE", "ids", type: "i32", shape: [2, 3, 1, 1], executed: false),
          node(54, "NONE", "cache_k_l0", type: "f16", shape: [32, 256, 1, 1], executed: false),
        ], isComplete: true))
    #expect(model.layers == 6)
    #expect(model.embeddingSize == 64)
    #expect(model.vocabularySize == 1000)
    #expect(model.feedForwardSize == 96)
    #expect((model.heads, model.keyValueHeads, model.headSize) == (4, 2, 16))
    #expect((model.experts, model.expertsUsed) == (8, 2))
    #expect(model.cacheType == "f16")
    #expect(model.weightBytes.map(\.type) == ["q8_0", "q4_0"])
    #expect(model.weightBytes.map(\.bytes) == [68_000, 27_648])
    #expect(model.hints.contains("head shares the embedding weights"))
    #expect(model.hints.contains("grouped-query attention"))
  }

  @Test func aDraftIsAModelOfItsOwn() {
    var run = RunStatistics()
    run.structure(structure1)
    let small = GraphStructure(
      number: 2, nodes: [node(1, "MUL_MAT", "up-0", layer: 0)], constants: [], isComplete: true)
    run.structure(small)
    run.graphRun(graph(0, step: 0, 0, 1, structure: 1))
    run.tokenStep(step(0, .prefill, 0, 1, context: 0xa))
    run.graphRun(graph(1, step: 1, 1, 2, structure: 2))
    run.tokenStep(step(1, .draft, 1, 2, context: 0xb))
    run.graphRun(graph(2, step: 2, 2, 3, structure: 1))
    run.tokenStep(step(2, .decode, 2, 3, context: 0xa))
    #expect(run.models.models.map(\.layers) == [2, 1])
  }

  @Test func expertRowsComeSlotBySlot() {
    var seen: [[Cell]] = []
    var rows = ExpertRows { seen.append($0) }
    rows.experts(ExpertActivation(step: 3, token: 1, layer: 7, experts: [5, 0], isComplete: true))
    rows.experts(ExpertActivation(step: 4, token: 0, layer: nil, experts: [9], isComplete: false))
    #expect(
      seen == [
        [.integer(3), .integer(1), .integer(7), .integer(0), .integer(5)],
        [.integer(3), .integer(1), .integer(7), .integer(1), .integer(0)],
        [.integer(4), .integer(0), .missing, .integer(0), .integer(9)],
      ])
    #expect((rows.count, rows.cutActivations) == (3, 1))
  }
}
