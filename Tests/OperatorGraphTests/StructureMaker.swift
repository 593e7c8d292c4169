import OperatorGraph
import TraceModel

/// Makes structures by hand: tensors refer to each other by name, which must be unique.
struct StructureMaker {
  private(set) var structure = GraphStructure(number: 1, nodes: [], constants: [], isComplete: true)
  private var tensors: [String: Node] = [:]
  private var nextAddress: UInt64 = 0x7f00_0000_1000
  private var nextData: UInt64 = 0x10_0000

  func address(_ name: String) -> UInt64 { tensors[name]!.address }
  func data(_ name: String) -> UInt64 { tensors[name]!.data! }
  /// Index in the structure's nodes.
  func index(_ name: String) -> Int { structure.nodes.firstIndex { $0.name == name }! }

  mutating func constant(_ name: String, _ shape: [Int64] = [8, 8], type: String = "f32", layer: Int? = nil) {
    structure.constants.append(tensor(name, "NONE", [], shape, type: type, layer: layer))
  }

  /// An executed node with memory of its own, or with that of `into`.
  mutating func op(
    _ op: String, _ name: String, _ sources: [String?], _ shape: [Int64] = [8, 8], into: String? = nil,
    layer: Int? = nil, part: ModelPart = .other
  ) {
    let node = tensor(name, op, sources, shape, view: into, isExecuted: true, layer: layer, part: part)
    structure.nodes.append(node)
  }

  /// A node that only looks at another one, at an offset in bytes.
  mutating func view(
    _ op: String = "VIEW", _ name: String, of source: String, _ shape: [Int64] = [8, 8],
    strides: [UInt64]? = nil,
    offset: UInt64 = 0, layer: Int? = nil
  ) {
    var node = tensor(name, op, [source], shape, view: source, layer: layer)
    if let strides { node.strides = strides }
    node.data = node.data.map { $0 + offset }
    tensors[name] = node
    structure.nodes.append(node)
  }

  /// Changes a node afterwards, to make what no engine would.
  mutating func change(_ name: String, _ body: (inout Node) -> Void) {
    let index = index(name)
    body(&structure.nodes[index])
    tensors[name] = structure.nodes[index]
  }

  /// The same, for changes that look up other tensors.
  mutating func relink(_ name: String, _ body: (inout Node, StructureMaker) -> Void) {
    let before = self
    change(name) { body(&$0, before) }
  }

  private mutating func tensor(
    _ name: String, _ op: String, _ sources: [String?], _ shape: [Int64], type: String = "f32",
    view: String? = nil, isExecuted: Bool = false, layer: Int?, part: ModelPart = .other
  ) -> Node {
    var strides: [UInt64] = []
    var step: UInt64 = 4
    for extent in shape {
      strides.append(step)
      step *= UInt64(extent)
    }
    // As ggml does, a view of a view refers to the tensor at the bottom.
    let viewed = view.map { tensors[$0]! }
    let node = Node(
      address: nextAddress, name: name, op: op, type: type, shape: shape, strides: strides,
      sources: sources.map { $0.map { tensors[$0]!.address } },
      viewSource: viewed?.viewSource ?? viewed?.address,
      data: viewed?.data ?? nextData, isExecuted: isExecuted, byteCount: Int64(step), layer: layer, part: part
    )
    nextAddress += 0x150
    if viewed == nil { nextData += (step + 31) / 32 * 32 }
    precondition(tensors.updateValue(node, forKey: name) == nil, "\(name) twice")
    return node
  }
}

extension StructureMaker {
  /// A dense transformer as llama.cpp builds it with flash attention: the views and
  /// permutes around the KV cache included.
  static func llama(layers: Int = 2) -> StructureMaker {
    let width: Int64 = 1024
    let hidden: Int64 = 2816
    let head: Int64 = 64
    let heads: Int64 = 16
    let kvHeads: Int64 = 4
    let kvWidth = head * kvHeads
    let context: Int64 = 512
    var maker = StructureMaker()
    maker.constant("token_embd.weight", [width, 32000], type: "q4_1")
    maker.constant("inp_tokens", [1], type: "i32")
    maker.constant("inp_pos", [1], type: "i32")
    maker.constant("k_idxs", [1], type: "i64")
    maker.constant("v_idxs", [1], type: "i64")
    maker.constant("kq_mask", [context, 1], type: "f16")
    maker.constant("output_norm.weight", [width])
    maker.constant("output.weight", [width, 32000], type: "q6_K")
    maker.op("GET_ROWS", "embd", ["token_embd.weight", "inp_tokens"], [width, 1], part: .embedding)
    var input = "embd"
    for layer in 0..<layers {
      input = maker.addLayer(
        layer, input, width: width, hidden: hidden, head: head, heads: heads, kvHeads: kvHeads,
        kvWidth: kvWidth,
        context: context)
    }
    maker.op("RMS_NORM", "norm", [input], [width, 1], part: .head)
    maker.op("MUL", "result_norm", ["norm", "output_norm.weight"], [width, 1], part: .head)
    maker.op("MUL_MAT", "result_output", ["output.weight", "result_norm"], [32000, 1], part: .head)
    return maker
  }

  /// The RMS_NORM and MUL pairs that ggml's CPU backend fuses.
  var fusedNorms: [FusedOperator] {
    structure.nodes.indices.dropLast().filter {
      structure.nodes[$0].op == "RMS_NORM" && structure.nodes[$0 + 1].op == "MUL"
    }.map { FusedOperator(node: $0, lastNode: $0 + 1) }
  }

  private mutating func addLayer(
    _ layer: Int, _ input: String, width: Int64, hidden: Int64, head: Int64, heads: Int64, kvHeads: Int64,
    kvWidth: Int64, context: Int64
  ) -> String {
    func weight(_ name: String) -> String { "blk.\(layer).\(name).weight" }
    func named(_ name: String) -> String { "\(name)-\(layer)" }
    for (name, shape) in [
      ("attn_norm", [width]), ("attn_q", [width, head * heads]), ("attn_k", [width, kvWidth]),
      ("attn_v", [width, kvWidth]), ("attn_output", [width, width]), ("ffn_norm", [width]),
      ("ffn_gate", [width, hidden]), ("ffn_up", [width, hidden]), ("ffn_down", [hidden, width]),
    ] {
      constant(weight(name), shape, type: shape.count == 1 ? "f32" : "q4_1", layer: layer)
    }
    constant("cache_k_l\(layer)", [kvWidth, context, 1], layer: layer)
    constant("cache_v_l\(layer)", [kvWidth, context, 1], layer: layer)

    func attention(_ name: String, _ op: String, _ sources: [String?], _ shape: [Int64], into: String? = nil)
    {
      self.op(op, name, sources, shape, into: into, layer: layer, part: .attention)
    }
    attention(named("norm"), "RMS_NORM", [input], [width, 1])
    attention(named("attn_norm"), "MUL", [named("norm"), weight("attn_norm")], [width, 1])
    for (name, kind, count) in [("Q", "attn_q", heads), ("V", "attn_v", kvHeads), ("K", "attn_k", kvHeads)] {
      let product = named("\(name)cur")
      attention(product, "MUL_MAT", [weight(kind), named("attn_norm")], [head * count, 1])
      view("RESHAPE", "\(product) (reshaped)", of: product, [head, count, 1], layer: layer)
      guard name != "V" else { continue }
      attention("\(product) (rope)", "ROPE", ["\(product) (reshaped)", "inp_pos"], [head, count, 1])
    }
    for (name, source) in [("k", named("Kcur") + " (rope)"), ("v", named("Vcur") + " (reshaped)")] {
      let cache = "cache_\(name)_l\(layer)"
      view("VIEW", "\(source) (view)", of: source, [kvWidth, 1], layer: layer)
      attention(
        "\(cache) (write)", "SET_ROWS", ["\(source) (view)", "\(name)_idxs", cache], [kvWidth, context],
        into: cache)
    }
    view("VIEW", named("q (view)"), of: named("Qcur") + " (rope)", [head, heads, 1, 1], layer: layer)
    view("PERMUTE", named("q (permuted)"), of: named("q (view)"), [head, 1, heads, 1], layer: layer)
    for name in ["k", "v"] {
      let cache = "cache_\(name)_l\(layer)"
      view("VIEW", "\(cache) (view)", of: cache, [head, kvHeads, 256, 1], layer: layer)
      view("PERMUTE", "\(cache) (permuted)", of: "\(cache) (view)", [head, 256, kvHeads, 1], layer: layer)
    }
    attention(
      named("__fattn__"), "FLASH_ATTN_EXT",
      [named("q (permuted)"), "cache_k_l\(layer) (permuted)", "cache_v_l\(layer) (permuted)", "kq_mask"],
      [head, heads, 1])
    view("RESHAPE", named("kqv_out"), of: named("__fattn__"), [width, 1], layer: layer)
    attention(named("attn_out"), "MUL_MAT", [weight("attn_output"), named("kqv_out")], [width, 1])

    func ffn(_ name: String, _ op: String, _ sources: [String?], _ shape: [Int64]) {
      self.op(op, named(name), sources, shape, layer: layer, part: .ffn)
    }
    ffn("ffn_inp", "ADD", [named("attn_out"), input], [width, 1])
    ffn("norm (ffn)", "RMS_NORM", [named("ffn_inp")], [width, 1])
    ffn("ffn_norm", "MUL", [named("norm (ffn)"), weight("ffn_norm")], [width, 1])
    ffn("ffn_gate", "MUL_MAT", [weight("ffn_gate"), named("ffn_norm")], [hidden, 1])
    ffn("ffn_up", "MUL_MAT", [weight("ffn_up"), named("ffn_norm")], [hidden, 1])
    ffn("ffn_swiglu", "SWIGLU", [named("ffn_gate"), named("ffn_up")], [hidden, 1])
    ffn("ffn_out", "MUL_MAT", [weight("ffn_down"), named("ffn_swiglu")], [width, 1])
    ffn("l_out", "ADD", [named("ffn_out"), named("ffn_inp")], [width, 1])
    return named("l_out")
  }
}
