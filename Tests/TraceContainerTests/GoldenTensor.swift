import CTraceRecords

/// A `ggml_tensor` of the golden trace, as its 336 bytes lie in memory on a 64-bit machine.
struct GoldenTensor {
  static let bytes = 336

  var address: UInt64
  var name: String
  /// ggml_type: 0 F32, 2 Q4_0, 26 I32.
  var type: UInt32
  /// Index in `op_names` of the trace's metadata.
  var op: UInt32
  /// Elements; -1 stands for the number of tokens.
  var shape: [Int64]
  var strides: [UInt64]
  var sources: [UInt64] = []

  /// As the records refer to it.
  var reference: UInt32 { UInt32(truncatingIfNeeded: address >> 4) }

  func encoded(tokens: Int) -> [UInt8] {
    var out = [UInt8](repeating: 0, count: Self.bytes)
    func put<T: FixedWidthInteger>(_ value: T, at offset: Int) {
      withUnsafeBytes(of: value.littleEndian) { out.replaceSubrange(offset..<offset + $0.count, with: $0) }
    }
    put(type, at: 0)
    for i in 0..<4 {
      put(shape[i] == -1 ? Int64(tokens) : shape[i], at: 16 + 8 * i)
      put(strides[i], at: 48 + 8 * i)
    }
    put(op, at: 80)
    for (i, source) in sources.enumerated() { put(source, at: 152 + 8 * i) }
    put(address &+ 0x1000_0000, at: 248)
    out.replaceSubrange(256..<256 + name.utf8.count, with: name.utf8)
    return out
  }

  static let input = GoldenTensor(
    address: 0x5581_3000_0000, name: "inp_embd", type: 0, op: 0, shape: [64, -1, 1, 1],
    strides: [4, 256, 512, 512])
  static let weights = GoldenTensor(
    address: 0x5581_4000_0010, name: "blk.0.ffn_up_exps.weight", type: 2, op: 0, shape: [64, 128, 8, 1],
    strides: [18, 36, 4608, 36864])
  static let routing = GoldenTensor(
    address: 0x5581_3000_0160, name: "ffn_moe_topk-0", type: 26, op: 0, shape: [3, -1, 1, 1],
    strides: [4, 32, 64, 64])
  static let norm = GoldenTensor(
    address: 0x5581_3000_02c0, name: "ffn_norm-0", type: 0, op: 25, shape: [64, -1, 1, 1],
    strides: [4, 256, 512, 512], sources: [input.address])
  static let routed = GoldenTensor(
    address: 0x5581_3000_0420, name: "ffn_moe_up-0", type: 0, op: 30, shape: [128, 3, -1, 1],
    strides: [4, 512, 1536, 3072], sources: [weights.address, norm.address, routing.address])
  /// RMS_NORM and MUL, which ggml computes as one.
  static let normed = GoldenTensor(
    address: 0x5581_3000_0580, name: "norm-1", type: 0, op: 25, shape: [128, 3, -1, 1],
    strides: [4, 512, 1536, 3072], sources: [routed.address])
  static let gain = GoldenTensor(
    address: 0x5581_4000_0170, name: "blk.1.attn_norm.weight", type: 0, op: 0, shape: [128, 1, 1, 1],
    strides: [4, 512, 512, 512])
  static let scaled = GoldenTensor(
    address: 0x5581_3000_06e0, name: "attn_norm-1", type: 0, op: 7, shape: [128, 3, -1, 1],
    strides: [4, 512, 1536, 3072], sources: [normed.address, gain.address])
}
