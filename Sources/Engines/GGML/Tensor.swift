import TraceModel

/// Operator names of one build of ggml, read by the recorder from the target's own library: ggml renumbers
/// its operators several times a year, so a number means nothing without them.
public struct OperatorNames: Sendable, Hashable {
  public var operators: [String]
  public var unary: [String]
  public var glu: [String]

  /// An empty table leaves numbers: `OP_29`, `UNARY_9`, `GLU_1`.
  public init(operators: [String] = [], unary: [String] = [], glu: [String] = []) {
    self.operators = operators
    self.unary = unary
    self.glu = glu
  }

  /// The operator's name; for UNARY and GLU the sub-operator's, which is the first operator parameter.
  ///
  /// Number 0 is `NONE` in every ggml, with a table or without.
  public func name(op: UInt32, firstParameter: Int32) -> String {
    guard let name = Self.entry(operators, Int64(op)) else { return op == 0 ? "NONE" : "OP_\(op)" }
    switch name {
    case "UNARY": return Self.entry(unary, Int64(firstParameter)) ?? "UNARY_\(firstParameter)"
    case "GLU": return Self.entry(glu, Int64(firstParameter)) ?? "GLU_\(firstParameter)"
    default: return name
    }
  }

  private static func entry(_ table: [String], _ index: Int64) -> String? {
    index >= 0 && index < Int64(table.count) && !table[Int(index)].isEmpty ? table[Int(index)] : nil
  }
}

/// A `ggml_tensor`, decoded from the bytes that the recorder copied.
public struct Tensor: Sendable, Hashable {
  /// What no other tensor tells about it. `isExecuted` leaves out the compute flag, `layer` and `part` come
  /// from the name alone: `GraphStructure.init(decoding:)` completes them.
  public var node: Node
  /// True where ggml set `GGML_TENSOR_FLAG_COMPUTE`. Builds of before 2026 never do.
  public var hasComputeFlag: Bool
  /// True when the name says nothing about the part of the model (`node_123`, `norm-3`, none).
  var inheritsPart: Bool
  /// True for a name such as `norm-3`, which belongs to what consumes it.
  var belongsToConsumer: Bool

  static let computeFlag: UInt32 = 0x10

  /// Operators that compute nothing: their result is other memory, seen differently.
  public static let passiveOperators: Set<String> = ["NONE", "VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE"]

  /// Decodes the bytes of the tensor at `address`. Returns nil when there are fewer than the layout asks for.
  public init?(
    address: UInt64, bytes: UnsafeRawBufferPointer, layout: TensorLayout, names: OperatorNames
  ) {
    guard layout.isSound, bytes.count >= layout.tensorBytes else { return nil }
    func u32(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    func u64(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    let typeNumber = u32(layout.type)
    let type = TensorType.number(typeNumber)
    var shape = (0..<4).map { Int64(bitPattern: u64(layout.elements + $0 * 8)) }
    let strides = (0..<4).map { u64(layout.strides + $0 * 8) }
    let isEmpty = shape.contains { $0 <= 0 }
    for i in shape.indices where shape[i] < 0 { shape[i] = 0 }
    let op = names.name(op: u32(layout.op), firstParameter: Int32(bitPattern: u32(layout.opParameters)))
    var sources = (0..<layout.sourceCount).map { slot -> UInt64? in
      let source = u64(layout.sources + slot * 8)
      return source == 0 ? nil : source
    }
    while let last = sources.last, last == nil { sources.removeLast() }
    let viewSource = u64(layout.viewSource)
    let data = u64(layout.data)
    let nameField = UnsafeRawBufferPointer(rebasing: bytes[layout.name..<(layout.name + layout.nameBytes)])
    let nameEnd = nameField.firstIndex(of: 0) ?? nameField.endIndex
    let name = String(decoding: nameField[..<nameEnd], as: UTF8.self)
    let facts = NameFacts(name)
    node = Node(
      address: address, name: name, op: op, type: type?.name ?? "TYPE_\(typeNumber)", shape: shape,
      strides: strides, sources: sources, viewSource: viewSource == 0 ? nil : viewSource,
      data: data == 0 ? nil : data, isExecuted: !isEmpty && !Self.passiveOperators.contains(op),
      byteCount: type?.byteCount(shape: shape, strides: strides) ?? 0, layer: facts.layer,
      part: facts.part ?? .other)
    hasComputeFlag = layout.flags.map { u32($0) & Self.computeFlag != 0 } ?? false
    inheritsPart = facts.part == nil
    belongsToConsumer = facts.belongsToConsumer
  }

  /// Stands for a tensor of which no bytes were recorded, so that the nodes around it keep their places.
  public init(missingAt address: UInt64) {
    node = Node(
      address: address, name: "", op: "UNKNOWN", type: "unknown", shape: [], strides: [], sources: [],
      viewSource: nil, data: nil, isExecuted: false, byteCount: 0, layer: nil, part: .other)
    hasComputeFlag = false
    inheritsPart = true
    belongsToConsumer = false
  }
}
