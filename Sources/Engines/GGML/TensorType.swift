/// An element type of ggml. The numbers are those of GGUF files and therefore never change; types
/// that ggml removed keep their number unused.
public struct TensorType: Sendable, Hashable {
  /// As ggml names it, such as `f32` or `q4_1`.
  public var name: String
  /// Elements in a quantisation block; 1 for plain types.
  public var blockElements: Int64
  public var blockBytes: Int64

  /// The type with ggml's number, nil where this version does not know it.
  public static func number(_ number: UInt32) -> TensorType? {
    number < UInt32(table.count) ? table[Int(number)] : nil
  }

  /// The type with ggml's name, nil where this version does not know it.
  public static func named(_ name: String) -> TensorType? { byName[name] }

  private static let byName: [String: TensorType] = {
    var result: [String: TensorType] = [:]
    for case let type? in table { result[type.name] = type }
    return result
  }()

  private static let table: [TensorType?] = {
    func type(_ name: String, _ elements: Int64, _ bytes: Int64) -> TensorType {
      TensorType(name: name, blockElements: elements, blockBytes: bytes)
    }
    return [
      type("f32", 1, 4), type("f16", 1, 2), type("q4_0", 32, 18), type("q4_1", 32, 20),
      nil, nil, type("q5_0", 32, 22), type("q5_1", 32, 24),
      type("q8_0", 32, 34), type("q8_1", 32, 36), type("q2_K", 256, 84), type("q3_K", 256, 110),
      type("q4_K", 256, 144), type("q5_K", 256, 176), type("q6_K", 256, 210), type("q8_K", 256, 292),
      type("iq2_xxs", 256, 66), type("iq2_xs", 256, 74), type("iq3_xxs", 256, 98), type("iq1_s", 256, 50),
      type("iq4_nl", 32, 18), type("iq3_s", 256, 110), type("iq2_s", 256, 82), type("iq4_xs", 256, 136),
      type("i8", 1, 1), type("i16", 1, 2), type("i32", 1, 4), type("i64", 1, 8),
      type("f64", 1, 8), type("iq1_m", 256, 56), type("bf16", 1, 2), nil,
      nil, nil, type("tq1_0", 256, 54), type("tq2_0", 256, 66),
      nil, nil, nil, type("mxfp4", 32, 17),
      type("nvfp4", 64, 36), type("q1_0", 128, 18), type("q2_0", 64, 18),
    ]
  }()

  /// Bytes that the elements of a tensor span, as `ggml_nbytes` counts them: from the first element to
  /// the last, through the strides. 0 for an empty tensor; saturates at `Int64.max`.
  public func byteCount(shape: [Int64], strides: [UInt64]) -> Int64 {
    guard shape.count == strides.count, shape.allSatisfy({ $0 > 0 }) else { return 0 }
    var total: Int64
    var first: Int
    if blockElements == 1 {
      total = blockBytes
      first = 0
    } else {
      guard let product = multiply(shape[0], strides[0]) else { return .max }
      total = product / blockElements
      first = 1
    }
    while first < shape.count {
      guard let step = multiply(shape[first] - 1, strides[first]) else { return .max }
      let (sum, overflow) = total.addingReportingOverflow(step)
      if overflow { return .max }
      total = sum
      first += 1
    }
    return total
  }

  /// Bytes of that many elements without padding; saturates at `Int64.max`.
  public func denseBytes(elements: Int64) -> Int64 {
    let blocks = elements / blockElements + (elements % blockElements == 0 ? 0 : 1)
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: blockBytes)
    return overflow ? .max : bytes
  }

  private func multiply(_ a: Int64, _ b: UInt64) -> Int64? {
    guard let b = Int64(exactly: b) else { return nil }
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : product
  }
}
