/// Where the fields of a `ggml_tensor` lie in the bytes that a trace carries.
///
/// All offsets are bytes from the start of the tensor. Integers are little-endian, pointers 8 bytes.
public struct TensorLayout: Sendable, Hashable {
  public var tensorBytes: Int
  public var type: Int
  public var elements: Int
  public var strides: Int
  public var op: Int
  public var opParameters: Int
  /// nil where the build has no flags.
  public var flags: Int?
  public var sources: Int
  public var sourceCount: Int
  public var viewSource: Int
  public var viewOffset: Int
  public var data: Int
  public var name: Int
  public var nameBytes: Int

  /// The layout since November 2024, identical on x86_64 and aarch64.
  public static let current = TensorLayout(
    tensorBytes: 336, type: 0, elements: 16, strides: 48, op: 80, opParameters: 84, flags: 148,
    sources: 152, sourceCount: 10, viewSource: 232, viewOffset: 240, data: 248, name: 256, nameBytes: 64)

  public init(
    tensorBytes: Int, type: Int, elements: Int, strides: Int, op: Int, opParameters: Int, flags: Int?,
    sources: Int, sourceCount: Int, viewSource: Int, viewOffset: Int, data: Int, name: Int, nameBytes: Int
  ) {
    self.tensorBytes = tensorBytes
    self.type = type
    self.elements = elements
    self.strides = strides
    self.op = op
    self.opParameters = opParameters
    self.flags = flags
    self.sources = sources
    self.sourceCount = sourceCount
    self.viewSource = viewSource
    self.viewOffset = viewOffset
    self.data = data
    self.name = name
    self.nameBytes = nameBytes
  }

  /// The layout that a trace's metadata describes: the current one, changed by whatever offsets it names
  /// (`tensor_bytes`, `tensor_type`, `tensor_ne`, `tensor_nb`, `tensor_op`, `tensor_op_params`,
  /// `tensor_flags`, `tensor_src`, `tensor_src_count`, `tensor_view_src`, `tensor_view_offs`,
  /// `tensor_data`, `tensor_name`, `tensor_name_bytes`).
  ///
  /// Returns nil when a field would lie outside of the tensor: then nothing can be decoded.
  public init?(metadata: [String: Int]) {
    self = .current
    func take(_ key: String, _ field: inout Int) { if let value = metadata[key] { field = value } }
    take("tensor_bytes", &tensorBytes)
    take("tensor_type", &type)
    take("tensor_ne", &elements)
    take("tensor_nb", &strides)
    take("tensor_op", &op)
    take("tensor_op_params", &opParameters)
    if let value = metadata["tensor_flags"] { flags = value < 0 ? nil : value }
    take("tensor_src", &sources)
    take("tensor_src_count", &sourceCount)
    take("tensor_view_src", &viewSource)
    take("tensor_view_offs", &viewOffset)
    take("tensor_data", &data)
    take("tensor_name", &name)
    take("tensor_name_bytes", &nameBytes)
    guard isSound else { return nil }
  }

  /// True when every field lies inside of the tensor.
  public var isSound: Bool {
    guard (1...4096).contains(tensorBytes), (0...64).contains(sourceCount), (0...4096).contains(nameBytes)
    else { return false }
    func fits(_ offset: Int, _ size: Int) -> Bool { offset >= 0 && offset <= tensorBytes - size }
    return fits(type, 4) && fits(elements, 32) && fits(strides, 32) && fits(op, 4) && fits(opParameters, 4)
      && (flags.map { fits($0, 4) } ?? true) && fits(sources, sourceCount * 8) && fits(viewSource, 8)
      && fits(viewOffset, 8) && fits(data, 8) && fits(name, nameBytes)
  }
}
