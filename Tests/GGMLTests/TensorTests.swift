import Testing
import TraceModel

@testable import GGML

/// A `ggml_tensor` as it lay in memory, with what the bytes are.
let queryTensor: [UInt8] = bytes(
  """
  00 00 00 00  00 00 00 00                          # 0 type: f32
  10 20 30 40  50 7f 00 00                          # 8 buffer
  40 02 00 00  00 00 00 00                          # 16 ne[0] = 576
  05 00 00 00  00 00 00 00                          # 24 ne[1] = 5
  01 00 00 00  00 00 00 00  01 00 00 00  00 00 00 00
  04 00 00 00  00 00 00 00                          # 48 nb[0] = 4
  00 09 00 00  00 00 00 00                          # 56 nb[1] = 2304
  00 2d 00 00  00 00 00 00  00 2d 00 00  00 00 00 00
  1d 00 00 00                                       # 80 op = 29
  00*64                                             # 84 op_params
  10 00 00 00                                       # 148 flags: compute
  00 10 00 00  00 70 00 00                          # 152 src[0]
  00 00 00 00  00 00 00 00                          # 160 src[1]: none
  00 20 00 00  00 70 00 00                          # 168 src[2]
  00*56                                             # 176 src[3...9]
  00*8 00*8                                         # 232 view_src, view_offs
  00 30 00 00  00 60 00 00                          # 248 data
  51 63 75 72  2d 33  00*58                         # 256 name: Qcur-3
  00*8 00*8                                         # 320 extra, padding
  """)

/// Bytes from hexadecimal text; `00*n` repeats, `#` begins a comment.
func bytes(_ text: String) -> [UInt8] {
  text.split(separator: "\n").flatMap { line -> [UInt8] in
    line.prefix { $0 != "#" }.split(separator: " ").flatMap { word -> [UInt8] in
      let parts = word.split(separator: "*")
      return Array(repeating: UInt8(parts[0], radix: 16)!, count: parts.count == 2 ? Int(parts[1])! : 1)
    }
  }
}

func decode(
  _ bytes: [UInt8], names: OperatorNames = OperatorNames(), layout: TensorLayout = .current
) -> Tensor? {
  bytes.withUnsafeBytes { Tensor(address: 0x7000_0000_4000, bytes: $0, layout: layout, names: names) }
}

@Suite struct TensorTests {
  let names: OperatorNames = {
    var operators = (0..<29).map { "X\($0)" }
    operators[0] = "NONE"
    operators.append("MUL_MAT")
    operators += ["UNARY", "GLU", "VIEW"]
    return OperatorNames(operators: operators, unary: ["ABS", "SILU"], glu: ["REGLU", "GEGLU", "SWIGLU"])
  }()

  @Test func everyField() throws {
    #expect(queryTensor.count == 336)
    let node = try #require(decode(queryTensor, names: names)).node
    #expect(node.address == 0x7000_0000_4000)
    #expect(node.name == "Qcur-3")
    #expect(node.op == "MUL_MAT")
    #expect(node.type == "f32")
    #expect(node.shape == [576, 5, 1, 1])
    #expect(node.strides == [4, 2304, 11520, 11520])
    #expect(node.sources == [0x7000_0000_1000, nil, 0x7000_0000_2000])
    #expect(node.viewSource == nil)
    #expect(node.data == 0x6000_0000_3000)
    #expect(node.isExecuted)
    #expect(node.byteCount == 576 * 5 * 4)
    #expect(node.layer == 3)
    #expect(node.part == .attention)
    #expect(decode(queryTensor)?.hasComputeFlag == true)
  }

  @Test func namesComeFromTheTrace() throws {
    #expect(decode(queryTensor)?.node.op == "OP_29")
    var tensor = queryTensor
    tensor[80] = 30
    tensor[84] = 1
    #expect(decode(tensor, names: names)?.node.op == "SILU")
    tensor[84] = 9
    #expect(decode(tensor, names: names)?.node.op == "UNARY_9")
    tensor[80] = 31
    tensor[84] = 2
    #expect(decode(tensor, names: names)?.node.op == "SWIGLU")
    tensor.replaceSubrange(84..<88, with: [0xff, 0xff, 0xff, 0xff])
    #expect(decode(tensor, names: names)?.node.op == "GLU_-1")
    tensor[80] = 0
    #expect(decode(tensor)?.node.op == "NONE")
    #expect(decode(tensor)?.node.isExecuted == false)
  }

  @Test func whatIsNotExecuted() {
    var view = queryTensor
    view[80] = 32
    #expect(decode(view, names: names)?.node.isExecuted == false)
    var empty = queryTensor
    empty[24] = 0
    #expect(decode(empty, names: names)?.node.isExecuted == false)
    #expect(decode(empty, names: names)?.node.byteCount == 0)
  }

  @Test func tooFewBytesAndWrongLayouts() {
    #expect(decode(Array(queryTensor.dropLast())) == nil)
    #expect(decode([]) == nil)
    #expect(TensorLayout(metadata: ["tensor_bytes": 300]) == nil)
    #expect(TensorLayout(metadata: ["tensor_src": -8]) == nil)
    #expect(TensorLayout(metadata: ["tensor_src_count": Int.max]) == nil)
    #expect(TensorLayout(metadata: ["tensor_flags": -1])?.flags == .some(nil))
    #expect(TensorLayout(metadata: ["tensor_bytes": 336, "cgraph_nodes": 16]) == .current)
    // A layout with the fields elsewhere.
    var moved = TensorLayout.current
    moved.tensorBytes = 344
    moved.name = 264
    #expect(TensorLayout(metadata: ["tensor_bytes": 344, "tensor_name": 264]) == moved)
    let shifted = queryTensor[..<256] + bytes("00*8") + queryTensor[256...]
    #expect(decode(Array(shifted), layout: moved)?.node.name == "Qcur-3")
  }

  @Test func garbageNeverTraps() {
    var state: UInt64 = 88_172_645_463_325_252
    for _ in 0..<2000 {
      let tensor = (0..<336).map { _ -> UInt8 in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state >> 20)
      }
      let decoded = decode(tensor, names: names)
      #expect((decoded?.node.byteCount ?? -1) >= 0)
      if let decoded {
        let structure = GraphStructure(number: 1, nodes: [decoded, decoded], isComplete: true) { _ in decoded
        }
        _ = NodeCosts(structure).cost(of: decoded.node)
      }
    }
  }
}

@Suite struct TensorTypeTests {
  /// Bytes of 1024 elements in one row, as ggml computes them.
  @Test(arguments: [
    (0, "f32", 4096), (1, "f16", 2048), (2, "q4_0", 576), (3, "q4_1", 640), (6, "q5_0", 704),
    (7, "q5_1", 768),
    (8, "q8_0", 1088), (10, "q2_K", 336), (11, "q3_K", 440), (12, "q4_K", 576), (13, "q5_K", 704),
    (14, "q6_K", 840), (16, "iq2_xxs", 264), (20, "iq4_nl", 576), (23, "iq4_xs", 544), (26, "i32", 4096),
    (30, "bf16", 2048), (34, "tq1_0", 216), (39, "mxfp4", 544), (40, "nvfp4", 576), (41, "q1_0", 144),
  ])
  func sizes(number: Int, name: String, size: Int) throws {
    let type = try #require(TensorType.number(UInt32(number)))
    #expect(type.name == name)
    #expect(TensorType.named(name) == type)
    #expect(type.denseBytes(elements: 1024) == Int64(size))
    let row = UInt64(size)
    let strides = [UInt64(type.blockBytes), row, row, row]
    #expect(type.byteCount(shape: [1024, 1, 1, 1], strides: strides) == Int64(size))
    #expect(type.byteCount(shape: [1024, 3, 1, 1], strides: strides) == Int64(size) * 3)
  }

  @Test func removedAndUnknownTypes() {
    for number: UInt32 in [4, 5, 31, 32, 33, 36, 37, 38, 43, 4_000_000_000] {
      #expect(TensorType.number(number) == nil)
    }
  }

  @Test func extentOfAPermutedView() {
    // A key cache seen as [64, 256, 3] with heads 128 bytes apart inside of rows of 384.
    let type = TensorType.named("f16")
    let extent = type?.byteCount(shape: [64, 256, 3, 1], strides: [2, 384, 128, 98304])
    #expect(extent == 98304)
  }

  @Test func hugeSizesSaturate() {
    let type = TensorType.named("f32")
    #expect(type?.byteCount(shape: [.max, .max, 1, 1], strides: [4, .max, 1, 1]) == .max)
    #expect(type?.denseBytes(elements: .max) == .max)
  }
}
