import Testing
import TraceModel

@testable import Statistics

@Suite struct WorkTests {
  /// Attention over a cache with room for 256 rows of 10 bytes, for so many tokens; 7 FLOPs a pair.
  private func attention(_ tokens: Int64, slot: UInt32 = 1, layer: Int = 0) -> WorkStatistics.VaryingNode {
    WorkStatistics.VaryingNode(
      slot: slot, layer: layer,
      work: .attention(rows: 256, tokens: tokens, bytesPerRow: 10, flopsPerPair: 7))
  }

  private func step(_ index: Int, _ phase: Phase, position: Int?, tokens: Int) -> TokenStep {
    TokenStep(
      index: index, thread: ThreadID(1), range: range(0, 10), phase: phase, tokenCount: tokens,
      position: position, context: 1, graphCount: 1, operatorCount: 1, coverage: 1, isComplete: true)
  }

  private func change(
    _ statistics: WorkStatistics, _ phase: Phase, slot: UInt32 = 1
  ) -> WorkStatistics.Change? { statistics.changes(of: [phase])[slot] }

  @Test func aDecodeStepReadsAsMuchOfTheCacheAsIsFilled() {
    var statistics = WorkStatistics()
    statistics.graph(ofStep: 0, nodes: [attention(1)])
    statistics.tokenStep(step(0, .decode, position: 40, tokens: 1))
    // 41 rows instead of 256, and as many pairs.
    #expect(
      change(statistics, .decode)
        == WorkStatistics.Change(sum: WorkSum(bytes: -2150, flops: -1505), graphs: 1))
    #expect(change(statistics, .prefill) == nil)
    let work = OperatorWork(bytes: 3000, flops: 1792, persistentBytes: 2560)
      .changed(by: change(statistics, .decode))
    #expect((work.bytes, work.flops, work.persistentBytes) == (850, 287, 410))
  }

  @Test func aPromptSeesItselfGrow() {
    var statistics = WorkStatistics()
    statistics.graph(ofStep: 0, nodes: [attention(4)])
    statistics.tokenStep(step(0, .prefill, position: 0, tokens: 4))
    // 4 rows; 1 + 2 + 3 + 4 pairs instead of 4 times 256.
    #expect(change(statistics, .prefill)?.sum == WorkSum(bytes: -2520, flops: 7 * (10 - 1024)))
  }

  @Test func microBatchesFollowEachOtherInEachLayer() {
    var statistics = WorkStatistics()
    for _ in 0..<2 {
      statistics.graph(ofStep: 0, nodes: [attention(2), attention(2, slot: 2, layer: 1)])
    }
    statistics.tokenStep(step(0, .prefill, position: 0, tokens: 4))
    let both = WorkStatistics.Change(
      sum: WorkSum(bytes: -10 * (254 + 252), flops: 7 * (3 + 7 - 1024)), graphs: 2)
    #expect(change(statistics, .prefill) == both)
    #expect(change(statistics, .prefill, slot: 2) == both)
  }

  @Test func aCacheNeverHoldsMoreThanThereIsRoomFor() {
    var statistics = WorkStatistics()
    // A window that slides: at position 1,000 all of its rows are filled.
    statistics.graph(ofStep: 0, nodes: [attention(3)])
    statistics.tokenStep(step(0, .prefill, position: 1000, tokens: 3))
    #expect(change(statistics, .prefill)?.sum == WorkSum())
  }

  @Test func withoutAPositionTheStructureCounts() {
    var statistics = WorkStatistics()
    statistics.graph(ofStep: 0, nodes: [attention(1)])
    statistics.tokenStep(step(0, .decode, position: nil, tokens: 1))
    // Several sequences: the position is that of one of them.
    statistics.graph(ofStep: 1, nodes: [attention(4)])
    statistics.tokenStep(step(1, .decode, position: 9, tokens: 4))
    #expect(statistics.changes(of: Set(Phase.allCases)).isEmpty)
  }

  private func experts(tokens: Int64) -> WorkStatistics.VaryingNode {
    WorkStatistics.VaryingNode(
      slot: 3, layer: 5,
      work: .experts(all: 32, assumed: min(32, 4 * tokens), tokens: tokens, bytesPerExpert: 100))
  }

  private func routing(_ step: Int, _ token: Int, _ ids: [Int32], complete: Bool = true) -> ExpertActivation {
    ExpertActivation(step: step, token: token, layer: 5, experts: ids, isComplete: complete)
  }

  @Test func expertsThatTokensShareAreReadOnce() {
    var statistics = WorkStatistics()
    statistics.experts(routing(0, 0, [1, 2, 3, 31]))
    statistics.experts(routing(0, 1, [1, 2, 4, 31]))
    statistics.graph(ofStep: 0, nodes: [experts(tokens: 2)])
    // The next micro-batch has a routing of its own.
    statistics.experts(routing(0, 2, [0, 1, 2, 3]))
    statistics.graph(ofStep: 0, nodes: [experts(tokens: 1)])
    statistics.tokenStep(step(0, .prefill, position: 0, tokens: 3))
    // 5 instead of 8, then 4 as assumed.
    #expect(
      change(statistics, .prefill, slot: 3)
        == WorkStatistics.Change(sum: WorkSum(bytes: -300, flops: 0), graphs: 2))
  }

  @Test func aRoutingThatIsNotWholeTellsNothing() {
    var statistics = WorkStatistics()
    // A row is missing; a row was cut; ids that no model has.
    statistics.experts(routing(0, 0, [1, 2, 3, 4]))
    statistics.graph(ofStep: 0, nodes: [experts(tokens: 2)])
    statistics.experts(routing(0, 0, [1, 2], complete: false))
    statistics.graph(ofStep: 0, nodes: [experts(tokens: 1)])
    statistics.experts(routing(0, 0, [-1, .max, 2, 3]))
    statistics.graph(ofStep: 0, nodes: [experts(tokens: 1)])
    statistics.tokenStep(step(0, .prefill, position: 0, tokens: 4))
    #expect(change(statistics, .prefill, slot: 3) == nil)
  }

  @Test func hostileNumbersDoNotTrap() {
    var statistics = WorkStatistics()
    for rows in [0, -1, Int64.max, Int64.min] {
      for tokens in [0, -1, Int64.max, Int64.min] {
        let node = WorkStatistics.VaryingNode(
          slot: 1, layer: 0,
          work: .attention(rows: rows, tokens: tokens, bytesPerRow: .max, flopsPerPair: .max))
        statistics.graph(ofStep: 0, nodes: [node])
      }
    }
    let huge = WorkStatistics.VaryingNode(
      slot: 1, layer: 0,
      work: .attention(rows: 1 << 30, tokens: 1 << 30, bytesPerRow: .max, flopsPerPair: .max))
    statistics.graph(ofStep: 0, nodes: [huge])
    statistics.tokenStep(step(0, .prefill, position: .max, tokens: 1))
    statistics.graph(ofStep: 1, nodes: [huge])
    statistics.tokenStep(step(1, .prefill, position: 1 << 39, tokens: 1))
    let work = OperatorWork(bytes: .max, flops: .min).changed(
      by: WorkStatistics.Change(sum: WorkSum(bytes: .max, flops: .min), graphs: 1))
    #expect(work.bytes == 0)
  }

  @Test func stepsWithoutAnEndTakeNoMemoryForEver() {
    var statistics = WorkStatistics()
    for step in 0..<100_000 { statistics.experts(routing(step, 0, [1])) }
    statistics.graph(ofStep: 99_999, nodes: [attention(1)])
    statistics.tokenStep(step(99_999, .decode, position: 0, tokens: 1))
    #expect(statistics.changes(of: [.decode]).isEmpty)
  }
}

@Suite struct BalanceTests {
  @Test func theSlowestThreadBesideTheMean() throws {
    var statistics = OperatorStatistics()
    statistics.structure(structure1)
    for (index, phase) in [Phase.prefill, .decode].enumerated() {
      let start = UInt64(index) * 1000
      let scale: UInt64 = phase == .prefill ? 10 : 1
      // Node 0: 30 and 10; node 3: 20 and 20, and the threads are an operator apart.
      var spans = [
        span(0, start, start + 30 * scale, step: Int32(index)),
        span(0, start, start + 10 * scale, step: Int32(index), thread: 101, main: false),
        span(3, start + 400, start + 420, step: Int32(index)),
        span(3, start + 400, start + 420, step: Int32(index), thread: 101, main: false),
      ]
      for place in spans.indices { spans[place].graph = Int32(index) }
      for span in spans { statistics.operatorSpan(span) }
      statistics.tokenStep(step(index, phase, start, start + 500))
    }
    func imbalance(_ phase: Phase) -> [Double?] {
      let model = RooflineModel(
        statistics, graphs: GraphUse(), machine: RooflineModel.Machine(), phases: [phase])
      let rows = NodeTable(statistics, phases: [phase], roofline: model).rows
      return rows.sorted { $0.op < $1.op }.map { $0.performance?.imbalance }
    }
    // The first span of all was taken before there was a second thread, so the first execution is not known.
    #expect(imbalance(.prefill) == [nil, 1])
    #expect(imbalance(.decode) == [1.5, 1])
  }

  @Test func oneThreadSharesWithNobody() {
    var balance = ThreadBalance()
    balance.add(span(0, 0, 10), slot: 1, duration: 10)
    balance.endStep(0, phase: 0)
    #expect(balance.sums(of: [.prefill]).isEmpty)
  }
}
