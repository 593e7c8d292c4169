import Testing
import TraceModel

@testable import GGML

@Suite struct NameTests {
  @Test(arguments: [
    ("blk.3.attn_q.weight", 3, ModelPart.attention), ("Qcur-3", 3, .attention), ("l_out-12", 12, .ffn),
    ("ffn_moe_topk-3", 3, .ffn), ("cache_k_l3", 3, .attention), ("cache_v_l11 (view)", 11, .attention),
    ("Kcur-0 (reshaped)", 0, .attention), ("cache_k_l0 (view) (permuted)", 0, .attention),
    ("cache_k_l7 (view) (copy of Kcur-7 (view))", 7, .attention), ("CPU#ffn_inp-4#0", 4, .ffn),
    ("kqv_out-2", 2, .attention), ("ffn_inp-1", 1, .ffn), ("v.blk.5.ffn_up.weight", 5, .ffn),
    ("attn_out-9", 9, .attention), ("blk.2.ffn_gate_exps.weight", 2, .ffn),
  ])
  func layers(name: String, layer: Int, part: ModelPart) {
    let facts = NameFacts(name)
    #expect(facts.layer == layer)
    #expect(facts.part == part)
  }

  @Test(arguments: [
    ("token_embd.weight", ModelPart.embedding), ("inp_embd", .embedding), ("embd", .embedding),
    ("result_norm", .head), ("result_output", .head), ("output.weight", .head), ("output_norm.weight", .head),
    ("attn_inp_kq_mask", .attention),
  ])
  func outsideOfLayers(name: String, part: ModelPart) {
    #expect(NameFacts(name).part == part)
    #expect(NameFacts(name).layer == nil)
  }

  @Test(arguments: ["", "node_123", "leaf_4", " (view)", "node_5 (view)", "something"])
  func namesThatTellNothing(name: String) {
    #expect(NameFacts(name).part == nil)
    #expect(NameFacts(name).layer == nil)
  }

  @Test(arguments: [
    "Qcur-", "Qcur-99999999999999999999", "blk..x", "blk.-1.x", "cache_k_lx", "-3-", "##", "a#b#",
  ])
  func hostileNames(name: String) {
    #expect(NameFacts(name).layer == nil)
  }
}

/// A tensor without bytes.
func tensor(
  _ address: UInt64, _ op: String, _ name: String, _ shape: [Int64] = [8, 1, 1, 1], type: String = "f32",
  sources: [UInt64?] = [], compute: Bool = true
) -> Tensor {
  var result = Tensor(missingAt: address)
  let facts = NameFacts(name)
  let info = TensorType.named(type)!
  result.node = Node(
    address: address, name: name, op: op, type: type, shape: shape, strides: [], sources: sources,
    viewSource: nil, data: nil, isExecuted: !Tensor.passiveOperators.contains(op),
    byteCount: info.denseBytes(elements: shape.reduce(1, *)), layer: facts.layer, part: facts.part ?? .other)
  result.hasComputeFlag = compute
  result.inheritsPart = facts.part == nil
  result.belongsToConsumer = facts.belongsToConsumer
  return result
}

func structure(_ nodes: [Tensor], constants: [Tensor] = []) -> GraphStructure {
  GraphStructure(number: 1, nodes: nodes, isComplete: true) { address in
    constants.first { $0.node.address == address }
  }
}

@Suite struct StructureTests {
  let weights = [
    tensor(100, "NONE", "blk.4.attn_output.weight", compute: false),
    tensor(101, "NONE", "inp_tokens", compute: false),
    tensor(102, "NONE", "token_embd.weight", compute: false),
  ]

  @Test func computeFlagDecidesWhereItExists() {
    let flagged = structure([tensor(1, "ADD", "a"), tensor(2, "ADD", "b", compute: false)])
    #expect(flagged.nodes.map(\.isExecuted) == [true, false])
    let older = structure([tensor(1, "ADD", "a", compute: false), tensor(2, "VIEW", "b", compute: false)])
    #expect(older.nodes.map(\.isExecuted) == [true, false])
  }

  @Test func unnamedNodesInherit() {
    let result = structure(
      [
        tensor(1, "GET_ROWS", "node_0", sources: [102, 101]),
        tensor(2, "RMS_NORM", "norm-4", sources: [1]),
        tensor(3, "MUL", "attn_norm-4", sources: [2]),
        tensor(4, "FLASH_ATTN_EXT", "node_3", sources: [3]),
        tensor(5, "MUL_MAT", "", sources: [100, 4]),
        tensor(6, "RMS_NORM", "norm-4", sources: [5]),
        tensor(7, "MUL", "ffn_norm-4", sources: [6]),
        tensor(8, "ADD", "node_7", sources: [999]),
        tensor(9, "RMS_NORM", "norm", sources: [8]),
        tensor(10, "MUL", "result_norm", sources: [9]),
      ], constants: weights)
    #expect(
      result.nodes.map(\.part) == [
        .embedding, .attention, .attention, .attention, .attention, .ffn, .ffn, .ffn, .head, .head,
      ])
    #expect(result.nodes.map(\.layer) == [nil, 4, 4, 4, 4, 4, 4, 4, nil, nil])
    #expect(result.constants.map(\.name) == ["token_embd.weight", "inp_tokens", "blk.4.attn_output.weight"])
    // One source was not recorded.
    #expect(!result.isComplete)
  }

  @Test func nothingNamedAndCycles() {
    let result = structure([
      tensor(1, "ADD", "", sources: [2]), tensor(2, "ADD", "", sources: [1]),
      tensor(2, "ADD", "", sources: [2]),
    ])
    #expect(result.nodes.map(\.part) == [.other, .other, .other])
    #expect(result.isComplete)
  }

  @Test func fusedOperatorNames() {
    let graph = structure([tensor(1, "RMS_NORM", "a"), tensor(2, "VIEW", "b"), tensor(3, "MUL", "c")])
    #expect(operatorName(graph, node: 0, lastNode: 2) == "RMS_NORM+MUL")
    #expect(operatorName(graph, node: 0, lastNode: 0) == "RMS_NORM")
    #expect(operatorName(graph, node: -1, lastNode: -1) == "unknown")
    #expect(operatorName(graph, node: 9, lastNode: 9) == "unknown")
    #expect(operatorName(graph, node: 0, lastNode: 9) == "RMS_NORM")
    #expect(operatorName(nil, node: 0, lastNode: 0) == "unknown")
  }
}

@Suite struct CostTests {
  private func cost(_ node: Tensor, _ constants: [Tensor]) -> (flops: Int64?, bytes: Int64?) {
    let graph = structure([node], constants: constants)
    return GGML.cost(of: graph.nodes[0], in: graph)
  }

  @Test func matrixProduct() {
    let a = tensor(10, "NONE", "", [256, 64, 1, 1], type: "q4_0")
    let b = tensor(11, "NONE", "", [256, 5, 1, 1])
    let result = cost(tensor(1, "MUL_MAT", "", [64, 5, 1, 1], sources: [10, 11]), [a, b])
    #expect(result.flops == 163_840)  // 2 · 256 · 64 · 5
    let read: Int64 = 256 * 64 / 32 * 18 + 256 * 5 * 4
    #expect(result.bytes == read + 64 * 5 * 4)
  }

  @Test func onlyActiveExperts() {
    let experts = tensor(10, "NONE", "", [256, 64, 32, 1], type: "f16")
    let b = tensor(11, "NONE", "", [256, 1, 1, 1])
    let ids = tensor(12, "NONE", "", [4, 1, 1, 1], type: "i32")
    let result = cost(tensor(1, "MUL_MAT_ID", "", [64, 4, 1, 1], sources: [10, 11, 12]), [experts, b, ids])
    #expect(result.flops == 131_072)  // 2 · 256 · 64 · 4
    let weights: Int64 = 256 * 64 * 2 * 4
    let rest: Int64 = 256 * 4 + 4 * 4 + 64 * 4 * 4
    #expect(result.bytes == weights + rest)
  }

  @Test func flashAttention() {
    let q = tensor(10, "NONE", "", [64, 5, 9, 1])
    let k = tensor(11, "NONE", "", [64, 256, 3, 1], type: "f16")
    let v = tensor(12, "NONE", "", [32, 256, 3, 1], type: "f16")
    let node = tensor(1, "FLASH_ATTN_EXT", "", [32, 9, 5, 1], sources: [10, 11, 12])
    let result = cost(node, [q, k, v])
    #expect(result.flops == 2_211_840)  // 2 · 5 · 256 · 9 · (64 + 32)
    let queries: Int64 = 64 * 5 * 9 * 4
    let keysAndValues: Int64 = (64 + 32) * 256 * 3 * 2
    let written: Int64 = 32 * 9 * 5 * 4
    #expect(result.bytes == queries + keysAndValues + written)
  }

  @Test func elementWiseGatherScatter() {
    let a = tensor(10, "NONE", "", [100, 1, 1, 1])
    let table = tensor(11, "NONE", "", [100, 32000, 1, 1], type: "f16")
    let ids = tensor(12, "NONE", "", [3, 1, 1, 1], type: "i32")
    let twice = cost(tensor(1, "ADD", "", [100, 1, 1, 1], sources: [10, 10]), [a])
    #expect(twice.flops == 100)
    #expect(twice.bytes == 800)
    let gather = cost(tensor(1, "GET_ROWS", "", [100, 3, 1, 1], sources: [11, 12]), [table, ids])
    #expect(gather.flops == 0)
    #expect(gather.bytes == 1812)  // 3 rows of 200, the ids, the result
    let scatter = cost(
      tensor(1, "SET_ROWS", "", [100, 32000, 1, 1], type: "f16", sources: [10, 12]), [a, ids])
    #expect(scatter.flops == 0)
    #expect(scatter.bytes == 612)  // the values, the ids, one row of 200
    #expect(cost(tensor(1, "SOMETHING", "", sources: [10]), [a]).flops == nil)
    #expect(cost(tensor(1, "ADD", "", sources: [77]), []).bytes == nil)
    let view = cost(tensor(1, "VIEW", "", sources: [10]), [a])
    #expect(view.flops == 0 && view.bytes == 0)
  }
}
