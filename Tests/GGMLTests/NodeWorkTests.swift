import Testing
import TraceModel

@testable import GGML

@Suite struct NodeWorkTests {
  private func work(of node: Tensor, _ constants: Tensor..., views: [Tensor] = []) -> OperatorWork {
    let all = constants + views
    let structure = GraphStructure(number: 1, nodes: views + [node], isComplete: true) { address in
      all.first { $0.node.address == address }
    }
    return NodeCosts(structure).cost(of: structure.nodes[views.count])
  }

  private func view(_ tensor: Tensor, of source: UInt64) -> Tensor {
    var result = tensor
    result.node.viewSource = source
    return result
  }

  /// 64 × 32 weights of q4_0, 18 bytes for 32: 1,152 bytes; a vector of 64; a result of 32.
  @Test func productsOfQuantisedWeights() {
    let product = tensor(0x10, "MUL_MAT", "Qcur-0", [32, 1, 1, 1], sources: [0x90, 0x91])
    let work = work(
      of: product, tensor(0x90, "NONE", "blk.0.attn_q.weight", [64, 32, 1, 1], type: "q4_0"),
      tensor(0x91, "NONE", "inp", [64, 1, 1, 1]))
    #expect(work.persistentBytes == 1152)
    #expect(work.bytes == 1536)
    #expect(work.flops == 4096)
    #expect(work.arithmetic == .int8)
    #expect(work.varying == nil)
  }

  @Test(arguments: [("f16", Calibration.Work.f16), ("f32", .f32), ("bf16", .f32), ("q6_K", .int8)])
  func arithmetic(type: String, expected: Calibration.Work) {
    let product = tensor(0x10, "MUL_MAT", "Qcur-0", [32, 1, 1, 1], sources: [0x90, 0x91])
    let weights = tensor(0x90, "NONE", "blk.0.attn_q.weight", [256, 32, 1, 1], type: type)
    #expect(work(of: product, weights, tensor(0x91, "NONE", "inp", [256, 1, 1, 1])).arithmetic == expected)
  }

  /// 8 experts of 64 × 16 weights in q8_0, 34 bytes for 32: 1,088 bytes each; 2 a token, 3 tokens.
  @Test func expertsAtMost() {
    func product(tokens: Int64) -> OperatorWork {
      let node = tensor(0x10, "MUL_MAT_ID", "ffn_moe_up-0", [16, 2, tokens, 1], sources: [0x90, 0x91, 0x92])
      return work(
        of: node, tensor(0x90, "NONE", "blk.0.ffn_up_exps.weight", [64, 16, 8, 1], type: "q8_0"),
        tensor(0x91, "NONE", "inp", [64, 1, tokens, 1]),
        tensor(0x92, "NONE", "ids", [2, tokens, 1, 1], type: "i32"))
    }
    #expect(product(tokens: 3).persistentBytes == 6528)
    #expect(
      product(tokens: 3).varying == .experts(all: 8, assumed: 6, tokens: 3, bytesPerExpert: 1088))
    #expect(product(tokens: 3).bytes == 7704)  // and 768 of input, 24 of ids, 384 of result
    // No more than there are.
    #expect(product(tokens: 100).persistentBytes == 8704)
    #expect(product(tokens: 3).flops == 12_288)  // 2 · 64 · 16 · 2 · 3
  }

  /// 8 heads of 32 for 5 tokens, over 4 heads of a cache with room for 256, in f16.
  @Test func attentionOverACache() {
    let query = tensor(0x20, "PERMUTE", "Qcur-0 (view) (permuted)", [32, 5, 8, 1], sources: [0x93])
    let keys = view(
      tensor(0x21, "PERMUTE", "cache_k_l0 (view) (permuted)", [32, 256, 4, 1], type: "f16", sources: [0x90]),
      of: 0x90)
    let values = view(
      tensor(0x22, "PERMUTE", "cache_v_l0 (view) (permuted)", [32, 256, 4, 1], type: "f16", sources: [0x91]),
      of: 0x91)
    func attention(mask: Bool) -> OperatorWork {
      work(
        of: tensor(
          0x30, "FLASH_ATTN_EXT", "node_5", [32, 8, 5, 1],
          sources: mask ? [0x20, 0x21, 0x22, 0x92] : [0x20, 0x21, 0x22]),
        tensor(0x90, "NONE", "cache_k_l0", [128, 256, 1, 1], type: "f16"),
        tensor(0x91, "NONE", "cache_v_l0", [128, 256, 1, 1], type: "f16"),
        tensor(0x92, "NONE", "attn_inp_kq_mask", [256, 5, 1, 1], type: "f16"),
        tensor(0x93, "NONE", "Qcur-0", [256, 5, 1, 1]), views: [query, keys, values])
    }
    let masked = attention(mask: true)
    #expect(masked.persistentBytes == 131_072)  // 2 · 256 · 4 · 32 · 2
    #expect(masked.flops == 1_310_720)  // 2 · 5 · 256 · 8 · (32 + 32)
    #expect(masked.arithmetic == .f16)
    // A row of keys and one of values: 4 heads of 32 in f16 each.
    #expect(
      masked.varying == .attention(rows: 256, tokens: 5, bytesPerRow: 512, flopsPerPair: 2 * 64 * 8))
    // Without a mask nothing is left out.
    #expect(attention(mask: false).varying == nil)
  }

  @Test func rowsThatAreNamed() {
    let table = tensor(0x90, "NONE", "token_embd.weight", [64, 1000, 1, 1], type: "q8_0")
    let ids = tensor(0x91, "NONE", "inp_tokens", [3, 1, 1, 1], type: "i32")
    let rows = work(of: tensor(0x10, "GET_ROWS", "embd", [64, 3, 1, 1], sources: [0x90, 0x91]), table, ids)
    #expect(rows.bytes == 984)  // 3 rows of 68, the ids, the result
    #expect(rows.persistentBytes == 204)
    // Biases of the experts that were used: 2 of 8 for one token.
    let biased = work(
      of: tensor(0x10, "ADD_ID", "ffn_moe_up_biased-0", [16, 2, 1, 1], sources: [0x92, 0x93, 0x94]),
      tensor(0x92, "NONE", "inp", [16, 2, 1, 1]),
      tensor(0x93, "NONE", "blk.0.ffn_up_exps.bias", [16, 8, 1, 1]),
      tensor(0x94, "NONE", "ids", [2, 1, 1, 1], type: "i32"))
    #expect(biased.bytes == 392)
    #expect(biased.persistentBytes == 128)
  }

  @Test func whatIsNotKnownIsNotNothing() {
    let product = tensor(0x10, "MUL_MAT", "Qcur-0", [32, 1, 1, 1], sources: [0x90, 0x91])
    let work = work(of: product, tensor(0x91, "NONE", "inp", [64, 1, 1, 1]))
    #expect((work.bytes, work.persistentBytes, work.flops) == (nil, nil, nil))
    let views = NodeCosts(
      GraphStructure(number: 1, nodes: [tensor(0x10, "VIEW", "v", [4, 1, 1, 1])], isComplete: true) { _ in nil
      })
    #expect(views.cost(of: tensor(0x10, "VIEW", "v").node).bytes == 0)
  }
}
