import Testing
import TraceModel

@testable import Statistics

/// Token steps that are split over backends.
@Suite struct BackendStatisticsTests {
  private func run(
    _ index: Int, step: Int?, _ start: UInt64, _ end: UInt64, _ backend: String, structure: UInt32? = nil,
    nodes: Int = 9
  ) -> GraphRun {
    GraphRun(
      index: index, step: step, thread: ThreadID(100), range: range(start, end), structure: structure,
      backend: backend, nodeCount: nodes, threadCount: 1, isComplete: true, isCPUGraph: backend == "CPU")
  }

  private func copies(_ number: UInt32, layer: Int) -> GraphStructure {
    GraphStructure(
      number: number,
      nodes: [
        node(1, "VIEW", "cache_k_l\(layer) (view)", layer: layer, executed: false),
        node(2, "SET_ROWS", "cache_k_l\(layer) (view)", layer: layer),
        node(3, "ROPE", "", layer: layer), node(4, "CPY", "k1-\(layer)1", layer: layer),
      ], constants: [], isComplete: true)
  }

  /// CPU 0-10, Vulkan 12-20, CPU 50-55, Vulkan 56-60, CPU 90-94, Vulkan 96-99; the islands are of layers 1 and 2.
  private func split(steps: Int, phase: Phase = .decode) -> BackendStatistics {
    var statistics = BackendStatistics()
    statistics.structure(copies(7, layer: 1))
    statistics.structure(copies(8, layer: 2))
    for number in 0..<steps {
      let base = UInt64(number) * 1_000
      // As they end; sorted by start all the same.
      statistics.graphRun(run(1, step: number, base + 12, base + 20, "Vulkan", nodes: 30 + number))
      statistics.graphRun(run(0, step: number, base, base + 10, "CPU"))
      statistics.graphRun(run(2, step: number, base + 50, base + 55, "CPU", structure: 7))
      statistics.graphRun(run(3, step: number, base + 56, base + 60, "Vulkan"))
      statistics.graphRun(run(4, step: number, base + 90, base + 94, "CPU", structure: 8))
      statistics.graphRun(run(5, step: number, base + 96, base + 99, "Vulkan"))
      statistics.tokenStep(step(number, phase, base, base + 100))
    }
    return statistics
  }

  @Test func splitsByPlace() {
    let statistics = split(steps: 2)
    #expect(statistics.isMixed && statistics.leftOut == 0)
    #expect(statistics.backends.map(\.total) == [38, 30])
    #expect(statistics.splits.map(\.place) == [0, 1, 2, 3, 4, 5])
    #expect(statistics.splits.map(\.backend) == ["CPU", "Vulkan", "CPU", "Vulkan", "CPU", "Vulkan"])
    #expect(statistics.splits.map(\.total) == [20, 16, 10, 8, 8, 6])
    #expect(statistics.splits.map(\.before) == [nil, 4, 60, 2, 60, 4])
    #expect(statistics.splits[1].nodes == 30...31)
    let count = statistics.splitCounts[0]
    #expect((count.phase, count.steps, count.least, count.most, count.mean) == (.decode, 2, 6, 6, 6))
    let cells = SplitTable(statistics, phases: [.decode]).rows.map(SplitTable.cells)
    #expect(cells.allSatisfy { $0.count == SplitTable.columns.count })
    #expect(cells[0][6] == .missing && cells[2][7] == .integer(30))
    #expect(SplitTable(statistics, phases: [.prefill]).rows.isEmpty)
  }

  @Test func transfersByDirection() {
    let statistics = split(steps: 2)
    #expect(statistics.transfers.map(\.from) == ["Vulkan", "CPU"])
    #expect(statistics.transfers.map(\.count) == [4, 6])
    #expect(statistics.transfers.map(\.time) == [120, 2 * (2 + 1 + 2)])
    let cells = TransferTable(statistics, phases: [.decode]).rows.map(TransferTable.cells)
    #expect(
      cells[0] == [.text("decode"), .text("Vulkan"), .text("CPU"), .integer(4), .integer(120), .integer(30)])
  }

  /// The first graph of a step is no island: it is between nothing.
  @Test func islandsAreNamed() {
    let islands = split(steps: 2).islands
    // Whatever number is the layer's; views are not executed.
    #expect(
      islands.map(\.operators) == [
        "SET_ROWS cache_k_l* (view), ROPE, CPY k*-11", "SET_ROWS cache_k_l* (view), ROPE, CPY k1-21",
      ])
    #expect(islands.map(\.operatorCount) == [3, 3])
    #expect(islands.map(\.total) == [10, 8] && islands.map(\.around) == [2 * 31, 2 * 32])
  }

  /// The same graph of several layers is one kind.
  @Test func islandsOfLayersAreOneKind() {
    var statistics = BackendStatistics()
    for layer in 0..<4 {
      statistics.structure(
        GraphStructure(
          number: UInt32(layer + 1), nodes: [node(2, "SET_ROWS", "cache_k_l\(layer)", layer: layer)],
          constants: [], isComplete: true))
    }
    for layer in 0..<4 {
      let base = UInt64(layer * 100)
      statistics.graphRun(run(0, step: 0, base, base + 10, "Vulkan"))
      statistics.graphRun(run(1, step: 0, base + 40, base + 44, "CPU", structure: UInt32(layer + 1)))
    }
    statistics.graphRun(run(9, step: 0, 400, 410, "CUDA"))
    statistics.tokenStep(step(0, .prefill, 0, 500))
    let islands = statistics.islands
    #expect(islands.map(\.operators) == ["SET_ROWS cache_k_l*", "SET_ROWS cache_k_l*"])
    // The last one lies before another backend.
    #expect(islands.map(\.behind) == ["Vulkan", "CUDA"] && islands.map(\.count) == [3, 1])
    #expect(islands[0].total == 12 && islands[0].around == 3 * (30 + 56))
    let cells = IslandTable(statistics, phases: [.prefill]).rows.map(IslandTable.cells)
    #expect(cells[0].count == IslandTable.columns.count && cells[0][7] == .integer(4))
  }

  @Test func anIslandWithoutStructureHasNoOperators() {
    var statistics = BackendStatistics()
    for (index, backend) in ["Vulkan", "CPU", "Vulkan"].enumerated() {
      let start = UInt64(index * 10)
      statistics.graphRun(run(index, step: 0, start, start + 5, backend))
    }
    statistics.tokenStep(step(0, .decode, 0, 50))
    #expect(statistics.islands.map(\.operators) == [nil] && statistics.islands.map(\.around) == [10])
  }

  @Test func absurdRunsAreBounded() {
    var statistics = BackendStatistics()
    for index in 0..<6_000 {
      // Overlapping, ending before they begin, of ever new backends.
      statistics.graphRun(
        run(index, step: 0, UInt64(index), UInt64(index % 7), index % 2 == 0 ? "CPU" : "backend \(index)"))
    }
    statistics.tokenStep(step(0, .decode, 0, 10))
    #expect(statistics.leftOut > 0 && statistics.splits.count <= 4_096)
    #expect(statistics.backends.count <= 65 && statistics.transfers.count <= 256)
    #expect(statistics.splits.allSatisfy { $0.total >= 0 && ($0.before ?? 0) >= 0 })
    for step in 1..<200 { statistics.graphRun(run(0, step: step, 0, 1, "CPU")) }
    #expect(statistics.splitCounts.map(\.steps) == [1])
    #expect(BackendStatistics().splits.isEmpty && !BackendStatistics().isMixed)
  }

  // MARK: Nodes side by side

  private func operators(scale: UInt64, type: String) -> OperatorStatistics {
    var statistics = OperatorStatistics()
    var structure = structure1
    structure.constants[0].type = type
    statistics.structure(structure)
    statistics.operatorSpan(span(0, 0, 100 * scale))
    statistics.operatorSpan(span(0, 500, 500 + 300 * scale))
    if scale == 1 { statistics.operatorSpan(span(3, 900, 950)) }
    statistics.tokenStep(step(0, .decode, 0, 1_000))
    return statistics
  }

  @Test func nodesSideBySide() {
    let table = NodeComparisonTable(
      operators(scale: 1, type: "q4_1"), beside: operators(scale: 3, type: "q8_0"), phases: [.decode])
    #expect(table.rows.map(\.name) == ["up-0", "kq-1"])
    #expect(table.rows[0].first?.mean == 200 && table.rows[0].second?.mean == 600)
    #expect(table.rows[0].ratio == 3)
    // In one only: no ratio.
    #expect(table.rows[1].second == nil && table.rows[1].ratio == nil)
    let cells = table.rows.map(NodeComparisonTable.cells)
    #expect(cells.allSatisfy { $0.count == NodeComparisonTable.columns.count })
    #expect(Array(cells[0][6...9]) == [.text("q4_1"), .text("q8_0"), .text("cpu"), .text("cpu")])
    #expect(cells[1][15] == .missing && cells[1][16] == .missing)
  }

  /// Time to hand a node to a device is not the device's: shown, not divided.
  @Test func enqueuedNodesHaveNoRatio() {
    var device = OperatorStatistics()
    device.structure(structure1)
    device.enqueueSpan(
      EnqueueSpan(
        device: "OpenCL", step: 0, structure: 1, node: 0, thread: ThreadID(100), range: range(0, 9)))
    device.tokenStep(step(0, .decode, 0, 100))
    let table = NodeComparisonTable(operators(scale: 1, type: "q4_1"), beside: device, phases: [.decode])
    #expect(table.rows[0].second?.isEnqueue == true && table.rows[0].second?.mean == 9)
    #expect(table.rows[0].ratio == nil)
    #expect(NodeComparisonTable.cells(table.rows[0])[9] == .text("enqueue"))
  }
}
