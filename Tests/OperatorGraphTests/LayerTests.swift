import Testing
import TraceModel

@testable import OperatorGraph

/// What tells layers apart: names, unnamed tensors, and times that stand out.
@Suite struct LayerTests {
  @Test(
    arguments: [
      ("Qcur-3", 3, "Qcur-N"), ("blk.3.attn_q.weight", 3, "blk.N.attn_q.weight"),
      ("cache_k_l13 (view)", 13, "cache_k_lN (view)"),
      ("Kcur-3 (copy of Qcur-3)", 3, "Kcur-N (copy of Qcur-N)"),
      // Only a whole number, and only where a layer's stands.
      ("Qcur-31", 3, "Qcur-31"), ("Qcur-13", 3, "Qcur-13"), ("ffn_3-2", 2, "ffn_3-N"), ("q3_-3", 3, "q3_-N"),
      ("3", 3, "3"), ("node_24", 24, ""), ("leaf_7 (view)", 0, ""), ("node_24x", nil, "node_24x"),
      ("node_", nil, "node_"), ("", 1, ""), ("result_norm", nil, "result_norm"),
    ] as [(String, Int?, String)])
  func namesWithoutTheLayersNumber(_ name: String, _ layer: Int?, _ wanted: String) {
    var maker = StructureMaker()
    maker.op("ADD", name, [])
    #expect(maker.structure.nodes[0].name(inLayer: layer) == wanted)
  }

  @Test func unnamedOperatorsAreMatchedByWeightAndOrder() throws {
    var maker = StructureMaker()
    for layer in 0..<3 {
      maker.constant("blk.\(layer).attn_output.weight", layer: layer)
      maker.op("MUL_MAT", "node_\(layer)0", ["blk.\(layer).attn_output.weight"], layer: layer)
      maker.op("ADD", "node_\(layer)1", ["node_\(layer)0"], layer: layer)
      maker.op("ADD", "node_\(layer)2", ["node_\(layer)1"], layer: layer)
    }
    let folded = try #require(FoldedGraph(maker.graph, maker.measured([:])))
    #expect(folded.vertices.map(\.op) == ["MUL_MAT", "ADD", "ADD", "NONE"])
    #expect(folded.vertices.prefix(3).allSatisfy { $0.layers == [0, 1, 2] })
    #expect(folded.vertices[0].title == "MUL_MAT of blk.N.attn_output.weight")
    #expect(folded.vertices[1].title == "ADD of MUL_MAT")
  }

  /// llama.cpp's last layer reads only the tokens that need logits out of the layer before.
  @Test func unnamedOperatorBelongsWhereItsResultIsUsed() {
    var maker = StructureMaker()
    maker.op("ADD", "l_out-0", [], layer: 0)
    maker.op("MUL_MAT", "attn_out-1", ["l_out-0"], layer: 1)
    maker.op("GET_ROWS", "node_8", ["l_out-0"], layer: 0)
    maker.op("ADD", "ffn_inp-1", ["attn_out-1", "node_8"], layer: 1)
    // Used in two layers: stays.
    maker.op("CONT", "node_9", ["l_out-0"], layer: 0)
    maker.op("ADD", "a-1", ["node_9"], layer: 1)
    maker.op("ADD", "b-2", ["node_9"], layer: 2)
    #expect(maker.graph.drawnLayers() == [0, 1, 1, 1, 0, 1, 2])
  }

  @Test func timesThatStandOut() throws {
    let maker = StructureMaker.llama(layers: 6)
    var times: [String: Int64] = [:]
    for layer in 0..<6 {
      times["ffn_up-\(layer)"] = layer == 4 ? 30_000 : 10_000 + Int64(layer) * 10
      // More than a fifth, but less than a microsecond.
      times["l_out-\(layer)"] = layer == 4 ? 1900 : 1000
      // More than a microsecond, but less than a fifth.
      times["ffn_out-\(layer)"] = layer == 4 ? 115_000 : 100_000
      // All over the place: none of them is far from the others.
      times["Qcur-\(layer)"] = Int64(layer + 1) * 10_000
    }
    let folded = try #require(FoldedGraph(maker.graph, maker.measured(times)))
    let found = folded.vertices.filter { !$0.outliers.isEmpty }
    #expect(found.map(\.name) == ["ffn_up-N"])
    // Of 10.00, 10.01, 10.02, 10.03, 10.05 and 30 µs the lower middle one.
    #expect(found.first?.outliers == [LayerOutlier(layer: 4, time: 30_000, typical: 10_020)])
    #expect(
      folded.differences.map(\.text) == ["ffn_up-N (MUL_MAT): 30.00 µs in layer 4 (others 10.02 µs)"])
  }

  @Test func fourLayersAreTooFewToStandOut() throws {
    let maker = StructureMaker.llama(layers: 4)
    let times = Dictionary(
      uniqueKeysWithValues: (0..<4).map { ("ffn_up-\($0)", $0 == 2 ? Int64(90_000) : 10_000) })
    let folded = try #require(FoldedGraph(maker.graph, maker.measured(times)))
    #expect(folded.differences.isEmpty)
  }

  @Test func graphWithoutLayersIsNotFolded() {
    var maker = StructureMaker()
    maker.constant("blk.0.w.weight", layer: 0)
    maker.op("ADD", "a", ["blk.0.w.weight"])
    #expect(FoldedGraph(maker.graph, maker.measured([:])) == nil)
    let empty = GraphStructure(number: 1, nodes: [], constants: [], isComplete: true)
    #expect(FoldedGraph(OperatorGraph(empty, form: .collapsed), empty.measured([:])) == nil)
  }

  @Test func layersInWords() {
    #expect(layersText([7]) == "layer 7")
    #expect(layersText([0, 1, 3, 9, 10, 11]) == "layers 0, 1, 3, 9–11")
    #expect(layersText(Array(0..<30)) == "layers 0–29")
    #expect(
      layersText((0..<40).map { $0 * 2 }) == "layers 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22 and 28 more")
  }

  @Test func alignmentOfSequences() {
    func keys(_ text: String) -> [LayerAlignment.Key] {
      text.map { LayerAlignment.Key(op: String($0), name: "", weights: []) }
    }
    var alignment = LayerAlignment()
    #expect(alignment.add(keys("abcab")) == [0, 1, 2, 3, 4])
    #expect(alignment.add(keys("abcab")) == [0, 1, 2, 3, 4])
    // x is new, between c and the second a.
    #expect(alignment.add(keys("abcxab")) == [0, 1, 2, 5, 3, 4])
    #expect(alignment.add(keys("bcb")) == [1, 2, 4])
    #expect(alignment.order == [0, 1, 2, 5, 3, 4])
  }

  /// Layers that are longer than any model's, and all different.
  @Test(.timeLimit(.minutes(1))) func hostileLayersAreBounded() throws {
    var structure = GraphStructure(number: 1, nodes: [], constants: [], isComplete: true)
    for index in 0..<10_000 {
      structure.nodes.append(
        Node(
          address: UInt64(index + 1) * 16, name: "n\(index % 977)-\(index / 100)", op: "OP\(index % 7)",
          type: "f32", shape: [Int64(index % 3)], strides: [4],
          sources: (1...3).map { index >= $0 * 500 ? UInt64(index - $0 * 500 + 1) * 16 : nil },
          viewSource: nil, data: nil, isExecuted: true, byteCount: 32, layer: index / 100, part: .other))
    }
    let graph = OperatorGraph(structure, form: .collapsed)
    let folded = try #require(
      FoldedGraph(graph, structure.measured(Dictionary(uniqueKeysWithValues: (0..<10_000).map { ($0, 9) }))))
    #expect(folded.layers.count == 100)
    #expect(folded.vertices.reduce(0) { $0 + $1.members.count } == 10_000)
    #expect(!folded.dot().isEmpty)
    #expect(!folded.json().isEmpty)
    #expect(!graph.dot().isEmpty)
  }
}
