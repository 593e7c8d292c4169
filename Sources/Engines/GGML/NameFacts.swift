import TraceModel

/// What llama.cpp's naming tells about a tensor.
///
/// Weights are `blk.3.attn_q.weight`, activations `Qcur-3`, caches `cache_k_l3`; ggml appends ` (view)`,
/// ` (reshaped)`, ` (permuted)`, ` (copy of …)` and the scheduler wraps copies as `CPU#Qcur-3#0`.
struct NameFacts {
  var layer: Int?
  /// nil where the name does not tell.
  var part: ModelPart?
  /// Names that several parts share and that the consumer makes clear, such as `norm-3`.
  var belongsToConsumer = false

  init(_ name: String) {
    var base = Substring(name).utf8[...]
    // The scheduler's copies: backend#name#copy.
    let pieces = base.split(separator: UInt8(ascii: "#"), omittingEmptySubsequences: false)
    if pieces.count == 3 { base = pieces[1] }
    if let suffix = base.indices.first(where: { base[$0...].starts(with: " (".utf8) }) {
      base = base[..<suffix]
    }
    if let (block, rest) = Self.block(base) {
      layer = block
      base = rest
    } else if let dash = base.lastIndex(of: UInt8(ascii: "-")),
      let number = Self.number(base[base.index(after: dash)...])
    {
      layer = number
      base = base[..<dash]
    } else if base.starts(with: "cache_".utf8), let mark = base.lastIndex(of: UInt8(ascii: "l")),
      let number = Self.number(base[base.index(after: mark)...])
    {
      layer = number
    }
    let stem = String(decoding: base, as: UTF8.self)
    if Self.isUnnamed(stem) { return }
    if Self.shared.contains(stem) {
      belongsToConsumer = true
      return
    }
    part = Self.part(of: stem, inLayer: layer != nil)
  }

  private static let shared: Set<String> = ["norm", "norm_w", "norm_b"]

  /// `blk.3.rest` at the start or behind a dot (`v.blk.3.…`).
  private static func block(_ name: Substring.UTF8View) -> (Int, Substring.UTF8View)? {
    var start = name.startIndex
    while start < name.endIndex {
      let tail = name[start...]
      if tail.starts(with: "blk.".utf8) {
        let digits = tail.dropFirst(4)
        guard let dot = digits.firstIndex(of: UInt8(ascii: ".")), let number = number(digits[..<dot]) else {
          return nil
        }
        return (number, digits[digits.index(after: dot)...])
      }
      guard let dot = tail.firstIndex(of: UInt8(ascii: ".")) else { return nil }
      start = tail.index(after: dot)
    }
    return nil
  }

  /// A layer number: at most four digits and nothing else.
  private static func number(_ digits: Substring.UTF8View) -> Int? {
    guard (1...4).contains(digits.count), digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 * 10 + Int($1 - 48) }
  }

  private static func isUnnamed(_ stem: String) -> Bool {
    if stem.isEmpty { return true }
    for prefix in ["node_", "leaf_"] where stem.hasPrefix(prefix) {
      return stem.utf8.dropFirst(prefix.utf8.count).allSatisfy { (48...57).contains($0) }
    }
    return false
  }

  private static func part(of stem: String, inLayer: Bool) -> ModelPart? {
    var stem = stem
    if stem.hasPrefix("mtp_") { stem.removeFirst(4) }
    func starts(_ prefixes: [String]) -> Bool { prefixes.contains { stem.hasPrefix($0) } }
    if starts(ffn) { return .ffn }
    if starts(attention) || attentionNames.contains(stem) { return .attention }
    if !inLayer {
      if starts(head) { return .head }
      if starts(embedding) || embeddingNames.contains(stem) { return .embedding }
    }
    return nil
  }

  // Stems of llama.cpp's graph callbacks and of GGUF tensor names, by prefix.
  private static let ffn = [
    "ffn", "l_out", "post_ffw", "exp_probs", "shared_expert", "moe_",
  ]
  private static let attention = [
    "attn", "Qcur", "Kcur", "Vcur", "kq", "cache_", "post_attention", "wqkv", "wq", "wk", "wv", "kv_",
    "q_", "k_", "v_", "qkv", "sa_out", "inp_pos", "KQ_", "inp_kq", "inp_KQ", "self_", "rope_", "indexer_",
    "kda_", "mla_", "linear_attn", "qr", "inp_attn",
  ]
  private static let attentionNames: Set<String> = ["q", "k", "v", "kv"]
  private static let head = ["result_", "output", "final_output", "lm_head", "cls"]
  private static let embedding = [
    "inp_embd", "inp_tokens", "inp_scaled", "token_embd", "token_types", "position_embd", "pos_embd", "embd",
    "model.input_embed", "model.embed", "inp_norm", "per_layer_token",
  ]
  private static let embeddingNames: Set<String> = ["inpL", "inp_embd"]
}
