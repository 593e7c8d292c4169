import Testing
import TraceModel

@testable import Statistics

/// How a hand-made run uses its experts.
@Suite struct ExpertStatisticsTests {
  /// Layers 0 and 1 of four experts, two a token; up and down of 400 bytes each: an expert has 200.
  private static func structure(_ number: UInt32 = 1, weights: UInt64 = 0x1000, experts: Int64 = 4)
    -> GraphStructure
  {
    var nodes: [Node] = []
    var constants: [Node] = []
    for layer in 0..<2 {
      for (index, matrix) in ["up", "down"].enumerated() {
        let address = weights + UInt64(layer * 16 + index)
        constants.append(
          node(
            address, "NONE", "blk.\(layer).ffn_\(matrix)_exps.weight", type: "q4_0",
            shape: [8, 8, experts, 1], layer: layer, executed: false, bytes: 100 &* experts))
        nodes.append(
          node(
            0x10 + UInt64(nodes.count), "MUL_MAT_ID", "ffn_moe_\(matrix)-\(layer)",
            sources: [address, 0x500, 0x600], layer: layer, part: .ffn))
      }
    }
    constants.append(node(0x600, "NONE", "ids", type: "i32", shape: [2, 1, 1, 1], executed: false))
    return GraphStructure(number: number, nodes: nodes, constants: constants, isComplete: true)
  }

  /// The node that reports the routing of a layer is its first product.
  private func activation(
    _ step: Int, _ layer: Int, _ experts: [Int32], token: Int = 0, structure: UInt32 = 1
  ) -> ExpertActivation {
    ExpertActivation(
      step: step, token: token, layer: layer, experts: experts, isComplete: true, structure: structure,
      node: Int32(layer * 2))
  }

  /// - Parameter layers: per layer the experts of each token.
  private func play(
    _ statistics: inout ExpertStatistics, _ number: Int, _ phase: Phase, _ layers: [[[Int32]]],
    structure: UInt32 = 1, micro: Int = 1
  ) {
    for _ in 0..<micro {
      for (layer, tokens) in layers.enumerated() {
        for (token, experts) in tokens.enumerated() {
          statistics.experts(activation(number, layer, experts, token: token, structure: structure))
        }
      }
      statistics.graphRun(graph(0, step: number, 0, 1, structure: structure))
    }
    statistics.tokenStep(step(number, phase, 0, 1, tokens: layers[0].count))
  }

  /// Warm-up of everything; a prefill of three tokens; two decode steps.
  private func run() -> ExpertStatistics {
    var run = ExpertStatistics()
    run.structure(Self.structure())
    play(&run, 0, .warmup, [[[0, 1, 2, 3]], [[0, 1, 2, 3]]])
    play(&run, 1, .prefill, [[[0, 1], [1, 0], [0, 2]], [[3, 2], [3, 2], [3, 2]]])
    play(&run, 2, .decode, [[[0, 1]], [[3, 0]]])
    play(&run, 3, .decode, [[[2, 0]], [[3, 2]]])
    return run
  }

  @Test func histogram() throws {
    let statistics = run()
    let use = try #require(statistics.uses.first)
    #expect(statistics.uses.count == 1 && statistics.warmupSteps == 1 && statistics.remarks.isEmpty)
    #expect((use.steps, use.expertCount, use.expertBytes, use.allBytes) == (3, 8, 200, 1_600))
    #expect(use.layers.map(\.layer.number) == [0, 1])
    let first = use.layers[0]
    #expect(first.layer.used == 2)
    #expect(first.experts.map(\.tokens) == [5, 3, 2, 0])
    #expect(first.experts.map(\.prefillTokens) == [3, 2, 1, 0])
    #expect(first.experts.map(\.generatedTokens) == [2, 1, 1, 0])
    // However many tokens: the prefill reads each once.
    #expect(first.experts.map(\.uses) == [3, 2, 2, 0])
    #expect(first.experts.map(\.steps) == [1...3, 1...2, 1...3, nil])
    #expect((first.routings, first.tokens) == (5, 10))
    // Expert 2: steps 1 and 3; in between in its layer 0, 1 and then, in step 3 before it, 0 again.
    #expect((first.experts[2].stepDistances, first.experts[2].expertDistances) == (2, 3))
    let cells = ExpertHistogramTable(statistics.uses).rows.map(ExpertHistogramTable.cells)
    #expect(cells.count == 8 && cells.allSatisfy { $0.count == ExpertHistogramTable.columns.count })
    #expect(
      cells[2] == [
        .integer(0), .integer(2), .integer(2), .decimal(0.2), .integer(1), .integer(1), .integer(2),
        .integer(1), .integer(3), .decimal(2), .decimal(3),
      ])
    // Never used: no steps and no distance.
    #expect(Array(cells[3][7...]) == [.missing, .missing, .missing, .missing])
  }

  /// Layer by layer, in a layer by number: 0 1 2 | 2' 3' ; 0 1 | 0' 3' ; 0 2 | 2' 3'.
  @Test func cachesOfAllLayersAndOfEach() throws {
    let use = try #require(run().uses.first)
    #expect((use.cache.uses, use.cache.firstUses) == (13, 6))
    // Distances by hand: 0: 5; 1: 5; 3': 4 (3' 0 1 0'); 0: 4 (0 1 0' 3'); 2: 6 (2 2' 0 1 0' 3', of which 0 came again);
    // 2': 6 (2' 3' 0' 1 0 2); 3': 4 (3' 0 2 2').
    let rates = use.cache.lruHitRates(upTo: 8).map { ($0 * 13).rounded() }
    #expect(rates == [0, 0, 0, 0, 3, 5, 7, 7, 7])
    #expect(use.cache.lruExperts(forHitRate: 0.5) == 6 && use.lruBytes(forHitRate: 0.5) == 1_200)
    // Within layer 1 (2 3 0 3 2 3): 3: 2, then 2: 3, 3: 2.
    #expect(use.layers[1].cache.lruHitRates(upTo: 4).map { ($0 * 6).rounded() } == [0, 0, 2, 3, 3])
    #expect(use.layerCaches.uses == 13)
    let table = ExpertCacheTable([use])
    #expect(table.rows.count == 9 + 5 + 2 * 5)
    #expect(table.rows.allSatisfy { ($0.optimal ?? 0) >= $0.lru })
    #expect(table.rows[6].bytes == 1_200 && table.rows.last?.bytes == 800)
    #expect(table.rows.filter { $0.kind == .perLayer }.map(\.bytes) == [0, 400, 800, 1_200, 1_600])
    #expect(ExpertCacheTable([use], isShort: true).rows.allSatisfy { $0.kind != .layer && $0.experts > 0 })
  }

  @Test func balance() throws {
    let balance = try #require(run().uses.first.flatMap { ExpertBalance($0.layers[0]) })
    // 5 3 2 0: the mean is 2.5. Gini: 2 * (1*0 + 2*2 + 3*3 + 4*5) / (4 * 10) - 5/4.
    #expect((balance.neverUsed, balance.busiest, balance.maxOverMean) == (1, 0, 2))
    #expect(abs(balance.gini - 0.4) < 1e-12)
    #expect(balance.expertsOfFourFifths == 2)
    // Five tokens miss one of four experts with probability 1/32 each.
    #expect(balance.neverUsedAtRandom == 0.125)
    let cells = ExpertLayerTable(run().uses).rows.map(ExpertLayerTable.cells)
    #expect(cells.count == 2 && cells.allSatisfy { $0.count == ExpertLayerTable.columns.count })
    #expect(
      Array(cells[0][..<10]) == [
        .integer(0), .integer(4), .integer(2), .integer(5), .integer(1), .decimal(0.125), .decimal(2),
        .decimal(balance.gini), .integer(0), .decimal(0.5),
      ])
  }

  /// Micro-batches read the weights again; token rows of one graph do not.
  @Test func eachGraphReadsOnce() throws {
    var run = ExpertStatistics()
    run.structure(Self.structure())
    play(&run, 0, .prefill, [[[0, 1], [0, 1]], [[2, 3], [2, 3]]], micro: 2)
    let use = try #require(run.uses.first)
    #expect((use.cache.uses, use.cache.firstUses, use.steps) == (8, 4, 1))
    #expect(use.reuse.buckets.map(\.distances) == [0...0, nil])
    #expect(use.reuse.buckets.map(\.uses) == [4, 4])
  }

  @Test func windowsBecomeLonger() throws {
    var run = ExpertStatistics()
    run.structure(Self.structure())
    for number in 0..<200 {
      play(&run, number, .decode, [[[Int32(number / 100), 3]], [[0, 1]]])
    }
    let use = try #require(run.uses.first)
    // 64 windows of one step, of two, then of four.
    #expect(use.windows.count == 50 && use.windows.map(\.steps.count) == Array(repeating: 4, count: 50))
    #expect(use.windows[0].steps == 0...3 && use.windows[49].steps == 196...199)
    #expect(use.windows[24].tokens == [[4, 0, 0, 4], [4, 4, 0, 0]])
    #expect(use.windows[25].tokens == [[0, 4, 0, 4], [4, 4, 0, 0]])
    let rows = ExpertWindowTable([use]).rows
    #expect(rows.count == 50 * 4 && rows.allSatisfy { $0.tokens == 4 })
    #expect(ExpertWindowTable.cells(rows[0]).count == ExpertWindowTable.columns.count)
  }

  /// 60 decode steps; layer 0 turns its experts every second step, layer 1 never.
  private func timed(far: UInt64, near: UInt64, faults: Bool) throws -> ExpertUse {
    let columns = faults ? [CounterColumn(index: 0, name: "major-faults")] : []
    var run = ExpertStatistics(counters: columns)
    run.structure(Self.structure())
    for number in 0..<64 {
      let experts: [Int32] = number / 2 % 2 == 0 ? [0, 1] : [2, 3]
      for (node, layer) in [(0, 0), (1, 0), (2, 1), (3, 1)] {
        let isFar = layer == 0 && number % 2 == 0
        let start = UInt64(number * 10_000)
        let work = span(
          Int32(node), start, start + (isFar ? far : near) + UInt64(number % 3), step: Int32(number))
        run.operatorSpan(work)
        if faults {
          run.operatorCounters(
            CounterDelta(
              values: [isFar ? 2 : 0, 0, 0, 0, 0, 0, 0, 0], known: 1, mayIncludeOtherTasks: false),
            barrier: CounterDelta(), of: work)
        }
        // Another thread's time is not counted again, its faults are.
        let other = span(
          Int32(node), start, start + 5_000, step: Int32(number), thread: 101, main: false)
        run.operatorSpan(other)
        if faults {
          run.operatorCounters(
            CounterDelta(values: [1, 0, 0, 0, 0, 0, 0, 0], known: 1, mayIncludeOtherTasks: false),
            barrier: CounterDelta(), of: other)
        }
      }
      play(&run, number, .decode, [[experts], [[0, 1]]])
    }
    return try #require(run.uses.first)
  }

  @Test func timeGoesWithDistance() throws {
    let use = try timed(far: 900, near: 300, faults: true)
    // The uses of the first step, and layer 0's of the third: everything else was used 1 or 3 steps before.
    #expect(use.reuse.buckets.map(\.distances) == [1...1, 2...3, nil])
    // Layer 1: 63 steps, layer 0 every second: 32. The far ones: 31 less the first of experts 2 and 3.
    #expect(use.reuse.buckets.map(\.samples) == [63 + 32, 30, 3])
    #expect(use.reuse.buckets[1].meanTime.map { (1_800...1_804).contains($0) } == true)
    #expect(use.reuse.buckets[0].meanTime.map { (600...604).contains($0) } == true)
    let relation = use.reuse.timeByDistance
    #expect(relation.verdict == .seen && relation.samples == 125)
    #expect((relation.coefficient ?? 0) > 0.99)
    // Two products: one fault each of the other thread, and two of the main thread when far.
    #expect(use.reuse.buckets.map(\.meanMajorFaults) == [2, 6, Double(6 + 6 + 2) / 3])
    #expect(use.reuse.majorFaultsByDistance.verdict == .seen)
    #expect(use.reuse.timeByMajorFaults.verdict == .seen)
    #expect(use.reuse.nextStepShare.map { abs($0 - 190.0 / 250) < 1e-9 } == true)
    let cells = ExpertReuseTable([use]).rows.map(ExpertReuseTable.cells)
    #expect(cells.map { $0[0] } == [.text("1"), .text("2-3"), .text("first use")])
    #expect(cells[1][5] == .integer(30) && cells[2][1] == .missing)
  }

  @Test func noRelationIsNotInvented() throws {
    let use = try timed(far: 300, near: 300, faults: false)
    #expect(use.reuse.timeByDistance.verdict == .notSeen)
    #expect(use.reuse.majorFaults == nil && use.reuse.buckets.allSatisfy { $0.meanMajorFaults == nil })
    #expect(use.reuse.majorFaultsByDistance.verdict == .tooFewSamples)
    #expect(try #require(run().uses.first).reuse.timeByDistance.coefficient == nil)
  }

  /// A layer of its own level: what differs between layers is no relation.
  @Test func correlationIsWithinGroups() {
    var groups = [Correlation.Moments(), Correlation.Moments()]
    for sample in 0..<50 {
      groups[0].add(Double(sample % 2), Double(10 + sample / 2 % 2))
      groups[1].add(Double(10 + sample % 2), Double(1_000 + sample / 2 % 2))
    }
    #expect(Correlation(groups).verdict == .notSeen)
    #expect(Correlation([groups[0]]).samples == 50)
    var constant = Correlation.Moments()
    for sample in 0..<50 { constant.add(1, Double(sample)) }
    #expect(Correlation([constant]).verdict == .nothingVaries)
    var exact = Correlation.Moments()
    for sample in 0..<50 { exact.add(Double(sample), Double(-3 * sample)) }
    #expect(Correlation([exact]).coefficient.map { abs($0 + 1) < 1e-12 } == true)
    #expect(Correlation([exact]).verdict == .seen)
  }

  @Test func twoModelsAreTwo() throws {
    var run = ExpertStatistics()
    run.structure(Self.structure(1))
    run.structure(Self.structure(2, weights: 0x2000))
    // The first one's weights in another graph.
    run.structure(Self.structure(3))
    play(&run, 0, .decode, [[[0, 1]], [[0, 1]]], structure: 1)
    play(&run, 1, .draft, [[[2, 3]], [[2, 3]]], structure: 2)
    play(&run, 2, .decode, [[[0, 1]], [[0, 1]]], structure: 3)
    #expect(run.uses.map(\.model) == [0, 1])
    #expect(run.uses.map(\.steps) == [2, 1])
    #expect(run.uses.map { $0.cache.firstUses } == [4, 4])
    #expect(run.uses.map(\.expertBytes) == [200, 200])
    #expect(ExpertCacheTable(run.uses).extraColumns.map(\.name) == ["model"])
  }

  // MARK: Traces that make no sense

  @Test func impossibleExpertsAndUnknownLayers() throws {
    var run = ExpertStatistics()
    run.structure(Self.structure())
    run.experts(activation(0, 0, [-1, 4, .max, .min, 1]))
    run.experts(activation(0, 0, [0, 1], structure: 77))
    run.experts(
      ExpertActivation(step: 0, token: 0, layer: nil, experts: [0, 1], isComplete: true))
    run.experts(activation(-5, 0, [0, 1]))
    run.experts(
      ExpertActivation(
        step: 0, token: 0, layer: 0, experts: [0], isComplete: true, structure: 1, node: .max))
    run.tokenStep(step(0, .decode, 0, 1))
    #expect((run.impossible, run.unplaced) == (4, 4))
    #expect(run.remarks.count == 2)
    let use = try #require(run.uses.first)
    #expect(use.layers.count == 1 && use.layers[0].experts.map(\.tokens) == [0, 1, 0, 0])
  }

  @Test func absurdNumbersOfExpertsAreRefused() {
    var run = ExpertStatistics()
    run.structure(Self.structure(1, experts: .max))
    run.structure(Self.structure(2, weights: 0x2000, experts: 0))
    run.structure(Self.structure(3, weights: 0x3000, experts: -7))
    run.experts(activation(0, 0, [0, 1]))
    run.tokenStep(step(0, .decode, 0, 1))
    #expect(run.uses.isEmpty && run.refused == 4 && run.unplaced == 1)
  }

  /// Weights that are others in every graph, steps that never end, and a step that does not stop.
  @Test func memoryIsBounded() {
    var run = ExpertStatistics()
    for number in 1...400 {
      run.structure(Self.structure(UInt32(number), weights: UInt64(number) << 16, experts: 3_000))
    }
    #expect(run.refused > 0)
    for number in 0..<1_000 {
      run.experts(activation(number, 0, [0, 1]))
      run.operatorSpan(span(0, 0, 10, step: Int32(number)))
    }
    for token in 0..<140_000 {
      run.experts(activation(5_000, token % 2, [Int32(token % 3_000)], token: token))
    }
    #expect(run.uses.map(\.model) == [0])
    #expect(run.uses[0].cache.uses > 100_000)
  }

  @Test func aRunWithoutExpertsHasNone() {
    var run = ExpertStatistics()
    run.structure(structure1)
    run.operatorSpan(span(0, 0, 10))
    run.tokenStep(step(0, .decode, 0, 1))
    #expect(run.uses.isEmpty && run.remarks.isEmpty)
    #expect(ExpertCacheTable([]).rows.isEmpty && ExpertLayerTable([]).rows.isEmpty)
  }
}
