import OperatorGraph
import Testing
import TraceModel

@Suite struct FoldedGraphTests {
  private func fold(_ maker: StructureMaker, _ times: [String: Int64] = [:], graph: Int64? = nil) throws
    -> FoldedGraph
  {
    try #require(FoldedGraph(maker.graph, maker.measured(times, graph: graph)))
  }

  private func vertex(_ folded: FoldedGraph, _ name: String, _ op: String? = nil) throws -> FoldedVertex {
    try #require(folded.vertices.first { $0.name == name && (op == nil || $0.op == op) })
  }

  /// `from kind to, distance, layers` of the edges between operators.
  private func edges(_ folded: FoldedGraph, of names: Set<String>) -> Set<String> {
    Set(
      folded.edges.compactMap { edge in
        let (from, to) = (folded.vertices[edge.from], folded.vertices[edge.to])
        guard from.kind == .executed, names.contains(from.name), names.contains(to.name) else { return nil }
        return "\(from.name) \(edge.kind.rawValue) \(to.name), \(edge.distance), \(edge.layers)"
      })
  }

  @Test func oneLayerForAllAndWhatIsOutside() throws {
    let maker = StructureMaker.llama(layers: 4)
    let folded = try fold(maker)
    #expect(folded.layers == [0, 1, 2, 3])
    let operators = folded.vertices.filter { $0.kind == .executed }
    // embd, a layer of 17 operators (two of them fused pairs), result_norm, result_output.
    #expect(operators.map(\.name).first == "embd")
    #expect(operators.map(\.name).suffix(2) == ["result_norm", "result_output"])
    let layer = operators.filter { !$0.layers.isEmpty }
    #expect(layer.count == 17)
    #expect(
      layer.allSatisfy { $0.layers == [0, 1, 2, 3] && $0.members.count == 4 && $0.variants.count == 1 })
    #expect(layer.map(\.order) == Array(1...17))
    #expect(layer[0].op == "RMS_NORM+MUL" && layer[0].weights == ["blk.N.attn_norm.weight"])
    #expect(operators.map(\.order).suffix(2) == [70, 71])
    #expect(folded.differences.isEmpty)
    #expect(folded.criticalPath == nil)
    let weights = folded.vertices.filter { $0.kind == .constant(.weight) && !$0.layers.isEmpty }
    #expect(weights.count == 9)
    #expect(weights.allSatisfy { $0.members.count == 4 && $0.order == nil })
    let caches = folded.vertices.filter { $0.kind == .constant(.cache) }
    #expect(Set(caches.map(\.name)) == ["cache_k_lN", "cache_v_lN"])
  }

  @Test func edgesWithinALayerToTheNextAndOutside() throws {
    let folded = try fold(StructureMaker.llama(layers: 3))
    let found = edges(folded, of: ["embd", "attn_norm-N", "Vcur-N", "ffn_inp-N", "l_out-N", "result_norm"])
    #expect(
      found == [
        "embd data attn_norm-N, 0, [0]", "embd data ffn_inp-N, 0, [0]",
        "attn_norm-N data Vcur-N, 0, [0, 1, 2]", "ffn_inp-N data l_out-N, 0, [0, 1, 2]",
        "l_out-N data attn_norm-N, 1, [1, 2]", "l_out-N data ffn_inp-N, 1, [1, 2]",
        "l_out-N data result_norm, 0, [2]",
      ])
  }

  @Test func figuresAreOverAllLayersAndSteps() throws {
    let maker = StructureMaker.llama(layers: 2)
    var measurement = maker.measured([:], graph: 100)
    // Two steps: 10 and 30 in layer 0, 20 and 60 in layer 1.
    for (layer, times) in [(0, (10, 30)), (1, (20, 60))] as [(Int, (Int64, Int64))] {
      measurement.operators[maker.index("Vcur-\(layer)")] = OperatorFigures(
        times.0, times.1, bytes: 80, flops: 240)
    }
    measurement.stepCount = 2
    let folded = try #require(FoldedGraph(maker.graph, measurement))
    let vertex = try vertex(folded, "Vcur-N")
    let figures = try #require(vertex.figures)
    #expect(figures.calls == 4)
    #expect(figures.time == 120)
    // The second of four by size, and the last.
    #expect(figures.times.quantile(0.5) == 20)
    #expect(figures.times.quantile(0.95) == 60)
    // 120 ns in two steps.
    #expect(vertex.timePerGraph == 60)
    #expect(figures.perCall(figures.bytes) == 40)
    // 160 bytes in 120 ns.
    #expect(try #require(figures.bandwidth) / 1e9 == 160.0 / 120)
    #expect(try #require(figures.flopRate) / 1e9 == 4)
    #expect(folded.stepCount == 2)
    #expect(folded.graphTime == 100)
    #expect(try self.vertex(folded, "Kcur-N").figures == nil)
  }

  @Test func criticalPathRunsThroughLayers() throws {
    let maker = StructureMaker.llama(layers: 2)
    // In layer 0 the way over V is the longest, in layer 1 that over K.
    let folded = try fold(
      maker,
      [
        "embd": 1, "Vcur-0": 50, "Kcur-0": 10, "Vcur-1": 10, "Kcur-1": 50, "__fattn__-0": 5, "__fattn__-1": 5,
        "result_output": 7,
      ])
    let path = try #require(folded.criticalPath)
    #expect(path.length == 1 + 50 + 5 + 50 + 5 + 7)
    #expect(try vertex(folded, "Vcur-N").criticalLayers == [0])
    #expect(try vertex(folded, "Kcur-N").criticalLayers == [1])
    #expect(try vertex(folded, "__fattn__-N").criticalLayers == [0, 1])
    #expect(try vertex(folded, "embd").criticalMembers.count == 1)
    let critical = folded.edges.filter(\.isCritical).map { folded.vertices[$0.to].name }
    #expect(critical.contains("Vcur-N") && critical.contains("Kcur-N") && !critical.contains("Qcur-N"))
  }

  @Test func typesOfWeightsDiffer() throws {
    var structure = StructureMaker.llama(layers: 5).structure
    for index in structure.constants.indices
    where ["blk.0.attn_v.weight", "blk.3.attn_v.weight", "blk.3.ffn_down.weight", "blk.0.ffn_down.weight"]
      .contains(structure.constants[index].name)
    {
      structure.constants[index].type = "q6_K"
    }
    let graph = OperatorGraph(structure, form: .collapsed)
    let times = Dictionary(
      uniqueKeysWithValues: structure.nodes.indices.map {
        ($0, Int64(structure.nodes[$0].layer == 3 ? 7 : 4))
      })
    let folded = try #require(FoldedGraph(graph, structure.measured(times)))
    let vertex = try vertex(folded, "Vcur-N")
    #expect(vertex.variants.map(\.weightTypes) == [["q4_1"], ["q6_K"]])
    #expect(vertex.variants.map(\.layers) == [[1, 2, 4], [0, 3]])
    #expect(vertex.variants.map { $0.figures?.time } == [12, 11])
    #expect(
      folded.differences.map(\.text) == [
        "q6_K instead of q4_1 weights in layers 0, 3: Vcur-N (MUL_MAT), ffn_out-N (MUL_MAT)"
      ])
    #expect(folded.differences[0].kind == .weights)
    #expect(folded.differences[0].layers == [0, 3])
    #expect(folded.differences[0].vertices.map { folded.vertices[$0].name } == ["Vcur-N", "ffn_out-N"])
    #expect(folded.dot().contains("q6_K in layers 0, 3: p50 4 ns"))
  }

  @Test func operatorsThatOnlySomeLayersHave() throws {
    var maker = StructureMaker()
    maker.op("GET_ROWS", "embd", [])
    var last = "embd"
    for layer in 0..<4 {
      maker.op("RMS_NORM", "norm-\(layer)", [last], layer: layer)
      last = "norm-\(layer)"
      if layer < 2 {
        maker.op("SILU", "gate-\(layer)", [last], layer: layer)
        last = "gate-\(layer)"
      }
      maker.op("ADD", "out-\(layer)", [last], layer: layer)
      last = "out-\(layer)"
    }
    let folded = try fold(maker)
    #expect(folded.vertices.map(\.name) == ["embd", "norm-N", "gate-N", "out-N"])
    #expect(folded.differences.map(\.text) == ["only in layers 0, 1: gate-N (SILU)"])
    #expect(
      edges(folded, of: ["norm-N", "gate-N", "out-N"]) == [
        "norm-N data gate-N, 0, [0, 1]", "gate-N data out-N, 0, [0, 1]", "norm-N data out-N, 0, [2, 3]",
        "out-N data norm-N, 1, [1, 2, 3]",
      ])
  }

  @Test func anotherShapeInTheLastLayer() throws {
    var maker = StructureMaker.llama(layers: 3)
    maker.change("ffn_out-2") { $0.shape = [1024, 1] }
    maker.change("ffn_out-0") { $0.shape = [1024, 14] }
    maker.change("ffn_out-1") { $0.shape = [1024, 14] }
    let folded = try fold(maker)
    #expect(folded.differences.map(\.kind) == [.shape])
    #expect(
      folded.differences[0].text
        == "other types or shapes in layer 2: ffn_out-N f32 1024×1 instead of f32 1024×14; l_out-N reads "
        + "f32 1024×1 instead of f32 1024×14")
  }
}
