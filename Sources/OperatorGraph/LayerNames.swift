import TraceModel

extension Node {
  /// The name with `N` for the layer's number, so that the same tensor of all layers has the same; empty
  /// where the engine only numbered it (`node_24`).
  func name(inLayer layer: Int?) -> String {
    if isNumbered { return "" }
    guard let layer else { return name }
    let digits = Array(String(layer).utf8)
    var out: [UInt8] = []
    let bytes = Array(name.utf8)
    var index = 0
    while index < bytes.count {
      let end = index + digits.count
      // `Qcur-3`, `blk.3.attn_q.weight`, `cache_k_l3 (view)`; not the 3 of `q3_3` or of `-31`.
      if index > 0, [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "l")].contains(bytes[index - 1]),
        end <= bytes.count, bytes[index..<end].elementsEqual(digits),
        end == bytes.count || !(48...57).contains(bytes[end])
      {
        out.append(UInt8(ascii: "N"))
        index = end
      } else {
        out.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
