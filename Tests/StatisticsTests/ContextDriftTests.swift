import Testing
import TraceModel

@testable import Statistics

@Suite struct ContextDriftTests {
  private func run(_ positions: Range<Int>, _ change: (inout TokenRun.Step) -> Void = { _ in }) -> TokenRun {
    var run = TokenRun()
    run.steps(positions) { step in
      let position = step.position ?? 0
      step.cells = position / 256 * 256 + 256
      step.attention = UInt64(500 + position + 3 * step.cells)
      change(&step)
    }
    return run
  }

  @Test func attentionCarriesTheSlopeInStairs() throws {
    let drift = try #require(run(20..<1_020).explainer().drifts.first)
    #expect(drift.phase == .decode && drift.steps == 1_000 && drift.positions == 20...1_019)
    // Two layers.
    #expect((drift.fit.perPosition - 2).magnitude < 0.05 && (drift.fit.perCell - 6).magnitude < 0.1)
    #expect(drift.carriers.map(\.name) == ["FLASH_ATTN_EXT"])
    #expect((drift.carriers[0].growth - (2 * 999 + 6 * 768)).magnitude < 60)
    #expect(drift.levels.map(\.cells) == [256, 512, 768, 1_024])
    #expect(drift.levels.map(\.positions) == [20...255, 256...511, 512...767, 768...1_019])
    #expect(drift.levels.map(\.steps) == [236, 256, 256, 252])
    // Setup, graph and finish: 150 + 2 × 1,000 + 2,000 + 2 × (500 + 137.5 + 3 × 256).
    #expect(drift.levels[0].median == 150 + 4_000 + 2 * 500 + 275 + 6 * 256)
    #expect(drift.stair == 1_536)
    #expect(drift.growth! > 0.5)
  }

  @Test func aFlatRunHasNoGrowth() throws {
    var flat = TokenRun()
    flat.steps(20..<200)
    let drift = try #require(flat.explainer().drifts.first)
    #expect(drift.growth == 0 && drift.carriers.isEmpty && drift.levels.isEmpty && drift.stair == nil)
  }

  @Test func preemptionIsNoGrowth() throws {
    let disturbed = run(20..<600) { step in
      if step.position ?? 0 > 300 { step.taken = [.init(time: 50_000, by: "stress", op: 1)] }
    }
    let calm = run(20..<600)
    #expect(disturbed.explainer().drifts.first?.fit == calm.explainer().drifts.first?.fit)
  }

  @Test func tooFewStepsOrPositionsTellNothing() {
    #expect(run(20..<40).explainer().drifts.isEmpty)
    var same = TokenRun()
    for _ in 0..<100 { same.add(.init(position: 7)) }
    #expect(same.explainer().drifts.isEmpty)
    var unknown = TokenRun()
    for _ in 0..<100 { unknown.add(.init(position: nil)) }
    #expect(unknown.explainer().drifts.isEmpty)
  }
}
