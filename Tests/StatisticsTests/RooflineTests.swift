import Testing
import TraceModel

@testable import Statistics

/// One decode step of 1,000 µs with one operator; what it moves and computes is given.
private struct Case {
  var bytes: Int64? = 1_000_000
  var flops: Int64? = 1000
  var arithmetic = Calibration.Work.f32
  /// Of the step's 1,000 µs.
  var operatorTime: UInt64 = 1_000_000
  var barrier: UInt64 = 0
  var calibration: Calibration? = Machine.calibration
  var probeCost: ProbeCost?
  var coverage: Double? = 1
  var counters: [CounterColumn] = []
  var values: SIMD8<UInt64> = [0, 0, 0, 0, 0, 0, 0, 0]
  var vulkan: UInt64 = 0
  var phase = Phase.decode

  var roofline: PhaseRoofline? {
    let work = OperatorWork(
      bytes: bytes, flops: flops, persistentBytes: bytes, arithmetic: arithmetic)
    var run = RunStatistics(workModel: { $0.nodes.map { _ in bytes == nil ? nil : work } })
    run.structure(structure1)
    if operatorTime > 0 {
      run.operatorSpan(span(0, 0, operatorTime, barrier: barrier))
    }
    run.graphRun(graph(0, step: 0, 0, operatorTime + barrier, threads: 1))
    if vulkan > 0 {
      run.graphRun(
        GraphRun(
          index: 1, step: 0, thread: ThreadID(100), range: range(0, vulkan), structure: nil,
          backend: "Vulkan",
          nodeCount: 1, threadCount: 0, isComplete: true, isCPUGraph: false))
    }
    var only = step(0, phase, 0, 1_000_000, operators: 1, coverage: coverage)
    if !counters.isEmpty {
      only.counters = CounterDelta(values: values, known: 0xff, mayIncludeOtherTasks: false)
    }
    run.tokenStep(only)
    var facts = RecordingFacts()
    facts.machine.calibration = calibration
    facts.machine.probeCost = probeCost
    facts.machine.counters = counters
    facts.machine.traffic = CountedTraffic(counters, architecture: "aarch64")
    return Summary(run, facts: facts).rooflines.first
  }
}

private enum Machine {
  /// Reads 2 GB/s and computes 10 GFLOP/s, or 40 GOP/s of bytes, with one thread.
  static let calibration = StatisticsTests.calibration(ceiling([0], memory: 2, f32: 10, int8: 40))
}

@Suite struct RooflineTests {
  @Test func memoryBound() throws {
    // 1 MB in 1 ms is 1 GB/s: half of what the machine reads. 1.5 MB: three quarters.
    let roofline = try #require(Case(bytes: 1_500_000).roofline)
    #expect(roofline.verdict.bound == .memory)
    #expect(
      roofline.verdict.evidence
        == "It moves 1.50 MB a token at 1.50 GB/s, 75 % of the 2.00 GB/s that this machine reads with 1 thread; its"
        + " arithmetic is 0.0 % of the peak. Measured several times they differed by 20 %.")
    #expect(roofline.whole.memoryShare == 0.75)
    #expect(roofline.whole.intensity == 1000 / 1.5e6)
    let point = try #require(roofline.operators.first)
    #expect(point.performance.bound == .memory)
    #expect(point.performance.bytesPerSecond == 1.5e9)
    #expect(roofline.nodes.map(\.name) == ["up-0"])
  }

  @Test func computeBound() throws {
    let roofline = try #require(Case(bytes: 1_500_000, flops: 8_000_000).roofline)
    #expect(roofline.whole.computeShare == 0.8)
    #expect(roofline.verdict.bound == .compute)
    #expect(roofline.verdict.evidence.contains("It computes 8.00 GFLOP/s, 80 % of what this machine does"))
    // Of bytes the same is a fifth of the peak, so memory it is.
    #expect(Case(bytes: 1_500_000, flops: 8_000_000, arithmetic: .int8).roofline?.verdict.bound == .memory)
  }

  @Test func byEliminationOnlyWhereNothingElseIsLeft() throws {
    let roofline = try #require(Case(bytes: 100_000, flops: 2_000_000).roofline)
    #expect(roofline.verdict.bound == .compute)
    #expect(roofline.verdict.evidence.contains("5.0 % of the memory's speed"))
    #expect(roofline.verdict.evidence.contains("20 % of their peak"))
    // A third of the time is somewhere else.
    let rest = try #require(Case(bytes: 100_000, flops: 2_000_000, operatorTime: 670_000).roofline)
    #expect(rest.verdict.bound == .unclear)
    #expect(rest.verdict.evidence.contains("33 % of the time is around operators"))
  }

  @Test func overheadBound() throws {
    let roofline = try #require(Case(operatorTime: 400_000, barrier: 300_000, calibration: nil).roofline)
    // This shows without ceilings.
    #expect(roofline.verdict.bound == .overhead)
    #expect(
      roofline.verdict.evidence
        == "60 % of the wall time is no work: 30 % in waits at barriers, 30 % around the graphs.")
    #expect(roofline.operators.first?.performance.bound == nil)
  }

  @Test func inBetweenCountersTell() throws {
    func verdict(_ instructions: UInt64) -> Verdict? {
      Case(
        bytes: 900_000, counters: [.init(index: 0, name: "cycles"), .init(index: 1, name: "instructions:u")],
        values: [1000, instructions, 0, 0, 0, 0, 0, 0]
      ).roofline?.verdict
    }
    let without = try #require(Case(bytes: 900_000).roofline?.verdict)
    #expect(without.bound == .unclear)
    #expect(without.headline == "cannot tell")
    #expect(without.evidence.contains("45 %") && without.evidence.contains("--pmc cycles,instructions"))
    #expect(verdict(2000)?.bound == .compute)
    #expect(verdict(400)?.bound == .memory)
    #expect(verdict(1000)?.bound == .unclear)
  }

  @Test func countedBytesStandBesideTheModelled() throws {
    let roofline = try #require(
      Case(
        bytes: 1_500_000, counters: [.init(index: 0, name: "raw:0x2a")],
        values: [25_000, 0, 0, 0, 0, 0, 0, 0]
      ).roofline)
    #expect(roofline.countedBytes == 1_600_000)
    #expect(roofline.verdict.evidence.contains("raw:0x2a counted 1.60 MB a token, 107 % of that."))
  }

  @Test func whyItCannotTell() {
    func reason(_ which: Case) -> String {
      let verdict = which.roofline?.verdict
      return verdict?.bound == .unclear ? verdict?.evidence ?? "" : "not unclear"
    }
    #expect(reason(Case(calibration: nil)).contains("was not measured: pi-record calibrate"))
    #expect(reason(Case(calibration: nil)).contains("1.00 GB/s"))
    #expect(reason(Case(bytes: nil)).contains("structure of the graphs was not recorded"))
    #expect(reason(Case(operatorTime: 0)) == "Operators were not recorded.")
    #expect(reason(Case(coverage: 0.5)) == "Only 50.0 % of the operators were seen.")
    #expect(reason(Case(vulkan: 500_000)).hasPrefix("50.0 % of the time is in graphs of other backends"))
    #expect(reason(Case(bytes: 3_000_000)).contains("more than memory gives"))
    let other = StatisticsTests.calibration(ceiling([0, 1], memory: 2))
    #expect(reason(Case(calibration: other)).contains("says nothing of the CPUs"))
  }

  @Test func weightsThatFitIntoTheCacheAreReadFromThere() throws {
    // 1,000 bytes of cache, 800 of weights; 1.6 GB/s of 2 from the cache.
    var fast = ceiling([0], memory: 0.0001, cache: 0.001)
    fast.cacheBytes = 1000
    let cached = try #require(Case(bytes: 800, calibration: StatisticsTests.calibration(fast)).roofline)
    #expect(cached.model.isCached)
    #expect(cached.whole.memoryShare == 0.8)
    #expect(cached.verdict.bound == .memory)
    #expect(cached.verdict.evidence.contains("reads from its last-level cache"))
    fast.cacheBytes = 700
    let beside = try #require(Case(bytes: 800, calibration: StatisticsTests.calibration(fast)).roofline)
    #expect(!beside.model.isCached)
    #expect(beside.verdict.evidence.contains("may be in the last-level cache"))
  }

  @Test func probesAreTakenOutOfRates() throws {
    let cost = ProbeCost(
      begin: .init(before: 30_000, after: 150_000), fused: .init(before: 0, after: 0),
      barrier: .init(before: 50_000, after: 20_000))
    let roofline = try #require(
      Case(bytes: 600_000, operatorTime: 800_000, barrier: 100_000, probeCost: cost).roofline)
    let performance = try #require(roofline.operators.first?.performance)
    #expect(performance.probeTime == 200_000)
    // 600 µs of the operator and 50 µs of the wait.
    #expect(performance.elapsed == 650_000)
    #expect(roofline.whole.elapsed == 750_000)
    #expect(roofline.whole.bytesPerSecond == 0.8e9)
    #expect(abs(roofline.shares.operators - 0.8) < 1e-9)
    // Where probes are most of a time, the rest is not enough to calculate with.
    let most = ProbeCost(
      begin: .init(before: 50_000, after: 600_000), fused: .init(before: 0, after: 0),
      barrier: .init(before: 100_000, after: 50_000))
    let little = Case(operatorTime: 800_000, barrier: 100_000, probeCost: most).roofline
    #expect(little?.operators.first?.performance.bytesPerSecond == nil)
    #expect(little?.operators.first?.performance.probeTime == 700_000)
  }

  @Test func columnsStandBehindAllOthers() throws {
    var run = RunStatistics(workModel: { $0.nodes.map { _ in OperatorWork(bytes: 500, flops: 100) } })
    run.structure(structure1)
    run.operatorSpan(span(0, 0, 1000))
    run.operatorCounters(
      CounterDelta(values: [7, 0, 0, 0, 0, 0, 0, 0], known: 1, mayIncludeOtherTasks: false),
      barrier: CounterDelta(), of: span(0, 0, 1000))
    run.graphRun(graph(0, step: 0, 0, 1000, threads: 1))
    run.tokenStep(step(0, .decode, 0, 1000))
    let counters = [CounterColumn(index: 0, name: "l3d_cache_refill")]
    var machine = RooflineModel.Machine()
    machine.calibration = Machine.calibration
    let model = RooflineModel(run.operators, graphs: run.graphUse, machine: machine, phases: [.decode])
    let table = OperatorTable(
      run.operators, phases: [.decode], counters: counters, roofline: model,
      traffic: CountedTraffic(counters, architecture: "aarch64"))
    let names = (OperatorTable.columns + table.extraColumns).map(\.name)
    #expect(
      names.suffix(13) == [
        "l3d_cache_refill", "counter_coverage", "counter_other_tasks", "bytes_per_s", "flops_per_s",
        "intensity",
        "imbalance", "probe_ns", "memory_share", "compute_share", "bound", "counted_bytes",
        "l3d_cache_refill_per_call",
      ])
    let cells = OperatorTable.cells(table.rows[0]) + table.extraCells(table.rows[0])
    #expect(cells.count == names.count)
    #expect(
      cells.suffix(10) == [
        .integer(500_000_000), .integer(100_000_000), .decimal(0.2), .missing, .missing, .missing,
        .decimal(0.01), .text("overhead"), .integer(448), .decimal(7),
      ])
    // Without a model of the machine the tables are as they were.
    #expect(OperatorTable(run.operators, phases: [.decode]).extraColumns.isEmpty)
  }

  @Test func theWholeRooflineAsATable() throws {
    let roofline = try #require(Case(bytes: 1_500_000).roofline)
    let table = RooflineTable([roofline], nodes: true)
    #expect(table.rows.map(\.scope) == [.phase, .op, .node])
    for row in table.rows { #expect(RooflineTable.cells(row).count == RooflineTable.columns.count) }
    #expect(table.rows[0].evidence == roofline.verdict.evidence)
    #expect(table.rows.map(\.performance.bound) == [.memory, .memory, .memory])
    #expect(table.rows.map(\.name) == [nil, nil, "up-0"])
    #expect(RooflineTable([roofline], nodes: false).rows.count == 2)
    // What is not known is empty.
    let unknown = try #require(Case(bytes: nil, calibration: nil).roofline)
    #expect(RooflineTable.cells(RooflineTable([unknown], nodes: false).rows[0])[7] == .missing)
  }
}
