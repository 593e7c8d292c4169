/// A backend of the engine: who computes a graph.
public struct Backend: Sendable, Hashable {
  /// Its address in the target.
  public var address: UInt64
  /// 16 bytes that say which kind it is; all zero where they could not be read.
  public var guid: [UInt8]
  /// Its kind, such as `CPU` or `Vulkan`; nil where the GUID is not known.
  public var kind: String?

  public init(address: UInt64, guid: [UInt8], kind: String?) {
    self.address = address
    self.guid = guid
    self.kind = kind
  }
}

/// The encoding of a node for a device, or handing it over. When the device computes it, and for how long, is
/// not known from this.
public struct EnqueueSpan: Sendable {
  /// Such as `OpenCL`; `device 9` for a number that this version does not know.
  public var device: String
  /// Index of the token step, -1 outside of any.
  public var step: Int32
  /// Structure number, 0 where unknown.
  public var structure: UInt32
  /// Index in the structure's nodes, -1 where unknown.
  public var node: Int32
  public var thread: ThreadID
  public var range: TimeRange

  public init(
    device: String, step: Int32, structure: UInt32, node: Int32, thread: ThreadID, range: TimeRange
  ) {
    self.device = device
    self.step = step
    self.structure = structure
    self.node = node
    self.thread = thread
    self.range = range
  }
}
