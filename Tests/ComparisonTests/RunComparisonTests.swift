import Comparison
import Testing

@Suite struct RunComparisonTests {
  private func row(
    _ phase: PhaseComparison?, _ scope: PhaseComparison.Row.Scope, _ name: String, op: String? = nil
  )
    -> PhaseComparison.Row?
  {
    phase?.rows.first { $0.scope == scope && $0.name == name && (op == nil || $0.op == op) }
  }

  @Test func everythingAddsUpToTheNanosecond() throws {
    var slower = MadeRun(nodes: base, noise: 400, seed: 2)
    slower.nodes[3].time += 333
    let comparison = RunComparison([MadeRun(nodes: base, noise: 400).compared()], [slower.compared()])
    let phase = try #require(decode(comparison))
    for path in [\PhaseComparison.Row.first, \.second, \.change] {
      func sum(_ scopes: PhaseComparison.Row.Scope...) -> Int64 {
        phase.rows.filter { scopes.contains($0.scope) }.reduce(0) { $0 + $1[keyPath: path] }
      }
      #expect(sum(.part, .op) == phase.total[keyPath: path])
      #expect(sum(.node) == sum(.op))
      #expect(sum(.layer) == sum(.op))
    }
  }

  @Test func partsAreWhatWasRecorded() throws {
    let phase = try #require(
      decode(RunComparison([MadeRun(nodes: base).compared()], [MadeRun(nodes: base).compared()])))
    #expect(row(phase, .part, "setup")?.first == 500)
    #expect(row(phase, .part, "barrier")?.first == 49)
    #expect(row(phase, .part, "sampling")?.first == 90)
    #expect(row(phase, .part, "outside the engine")?.first == 40)
    #expect(row(phase, .part, "unnamed")?.first == 11)
    #expect(row(phase, .op, "MUL_MAT")?.first == 13000)
    #expect(phase.total.first == 500 + 13600 + 49 + 11 + 90 + 40)
    #expect(phase.total.change == 0)
  }

  @Test func nodesAreAlignedByNameNotByPosition() throws {
    var moved = MadeRun(nodes: base.reversed())
    // The number of an unnamed node is its position.
    moved.nodes[2].name = "node_2"
    let phase = try #require(decode(RunComparison([MadeRun(nodes: base).compared()], [moved.compared()])))
    #expect(phase.rows.allSatisfy { $0.presence == .both && $0.change == 0 })
    #expect(phase.rows.count { $0.scope == .node } == base.count)
  }

  @Test func nodesOfOneSideAreAddedOrRemoved() throws {
    var other = MadeRun(nodes: base)
    other.nodes[2] = ("Qrope-0", "ROPE", 1500)
    let phase = try #require(decode(RunComparison([MadeRun(nodes: base).compared()], [other.compared()])))
    #expect(row(phase, .node, "Qcur-0")?.presence == .removed)
    #expect(row(phase, .node, "Qcur-0")?.change == -2000)
    #expect(row(phase, .node, "Qrope-0")?.presence == .added)
    #expect(row(phase, .op, "ROPE")?.presence == .added)
    #expect(row(phase, .op, "MUL_MAT")?.presence == .both)
  }

  @Test func fusionIsOneCulpritAndNamed() throws {
    var fused = MadeRun(nodes: base)
    fused.fused = (0, 1)
    let comparison = RunComparison([fused.compared()], [MadeRun(nodes: base).compared()])
    let phase = try #require(decode(comparison))
    #expect(row(phase, .node, "attn_norm-0", op: "RMS_NORM+MUL")?.presence == .removed)
    #expect(comparison.differences.map(\.kind) == [.fusion])
    #expect(phase.culprits.first?.name == "RMS_NORM+MUL of A run as RMS_NORM and MUL in B")
    // 300 fused, 300 + 200 apart: 200 more; the rest is a barrier more.
    #expect(phase.culprits.first?.change == 200)
  }

  @Test func aSeededRegressionIsFoundByName() throws {
    var slower = MadeRun(nodes: base, noise: 300, seed: 9)
    // Of 14.29 µs a step and the noise: 5 %.
    slower.nodes[3].time += 355
    slower.nodes[5].time += 355
    let comparison = RunComparison([MadeRun(nodes: base, noise: 300).compared()], [slower.compared()])
    let phase = try #require(decode(comparison))
    let change = try #require(phase.relativeChange)
    #expect(abs(change - 710.0 / 15340) < 0.005)
    #expect(phase.relativeInterval?.isClear == true)
    #expect(phase.culprits.first?.name == "MUL_MAT in ffn_out")
    #expect(comparison.headline.hasPrefix("decode got 4."))
    #expect(comparison.headline.contains("slower"))
    #expect(comparison.headline.contains("MUL_MAT in ffn_out explains"))
    #expect(phase.isSlower(byMoreThan: 0.03))
    #expect(!phase.isSlower(byMoreThan: 0.05))
  }

  @Test func oneSlowLayerIsNamed() throws {
    var slower = MadeRun(nodes: base)
    slower.nodes[5].time += 700
    let phase = try #require(decode(RunComparison([MadeRun(nodes: base).compared()], [slower.compared()])))
    #expect(phase.culprits.map(\.name) == ["MUL_MAT in ffn_out of layer 1"])
    #expect(phase.culprits.first?.share == 1)
  }

  @Test func timeOutsideOfOperatorsIsNamed() throws {
    var slower = MadeRun(nodes: base)
    slower.outside += 3000
    let phase = try #require(decode(RunComparison([MadeRun(nodes: base).compared()], [slower.compared()])))
    #expect(phase.culprits.map(\.name) == ["outside the engine"])
  }

  @Test func disturbedStepsDoNotCount() throws {
    // A tenth of the steps takes ten times as long in one of the runs.
    let calm = MadeRun(nodes: base, noise: 100)
    var disturbed = calm
    disturbed.disturbance = 140_000
    let phase = try #require(decode(RunComparison([calm.compared()], [disturbed.compared()])))
    let change = try #require(phase.relativeChange)
    #expect(abs(change) < 0.005)
  }

  @Test func fewStepsHaveNoInterval() throws {
    let run = MadeRun(nodes: base, steps: 7)
    let comparison = RunComparison([run.compared()], [run.compared()])
    #expect(decode(comparison)?.relativeInterval == nil)
    #expect(decode(comparison)?.isSlower(byMoreThan: 0) == false)
    #expect(comparison.headline.contains("too few steps"))
  }

  @Test func positionsThatOnlyOneHasAreLeftOut() throws {
    let phase = try #require(
      decode(
        RunComparison(
          [MadeRun(nodes: base, firstPosition: 10).compared()],
          [MadeRun(nodes: base, firstPosition: 60).compared()])))
    #expect(phase.positions == 60...209)
    #expect(phase.leftOut == (50, 50))
    #expect(phase.steps == (150, 150))
  }

  @Test func positionsApartAreNotCompared() {
    let comparison = RunComparison(
      [MadeRun(nodes: base, firstPosition: 10).compared()],
      [MadeRun(nodes: base, firstPosition: 5000).compared()])
    #expect(comparison.phases.isEmpty)
    #expect(comparison.notCompared.map(\.phase) == [.decode])
  }

  @Test func samplesAreBounded() {
    let run = MadeRun(nodes: base, steps: 9000)
    let phase = decode(RunComparison([run.compared()], [run.compared()]))
    #expect((phase?.steps.first ?? 0) <= 2000)
    #expect((phase?.steps.first ?? 0) >= 1000)
    #expect(phase?.total.first == 14290)
  }
}
