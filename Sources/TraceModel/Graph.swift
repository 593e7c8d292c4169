/// A ggml tensor in a graph: something computed, a view, or a constant.
public struct Node: Sendable, Hashable {
  /// Where the tensor lives in the target; the identity of a node within one structure.
  public var address: UInt64
  /// The tensor's own name, such as `Qcur-3`; empty where ggml gave none.
  public var name: String
  /// Operator as the target names it, such as `MUL_MAT`; for UNARY and GLU the
  /// sub-operator (`SILU`, `SWIGLU`). `NONE` for a constant.
  public var op: String
  /// Element type as ggml names it, such as `f32` or `q4_1`.
  public var type: String
  /// Elements per dimension, innermost first (`ne`).
  public var shape: [Int64]
  /// Bytes per step per dimension, innermost first (`nb`).
  public var strides: [UInt64]
  /// The sources in ggml's order, with nil for the gaps (a `src` slot left empty),
  /// trailing gaps cut. Values are addresses of other nodes of the structure.
  public var sources: [UInt64?]
  /// The tensor whose memory this one views or writes into.
  public var viewSource: UInt64?
  /// Where its data lives; nil where unallocated. Shows in-place writes.
  public var data: UInt64?
  /// False for NONE, VIEW, RESHAPE, PERMUTE, TRANSPOSE, for empty tensors, and for
  /// nodes that ggml marks as not to be computed: they never become operators.
  public var isExecuted: Bool
  /// Bytes of the tensor's elements, quantisation blocks counted right.
  public var byteCount: Int64
  /// Layer number from the name (`blk.3.…`, `Qcur-3`, `l_out-3`), nil outside of layers.
  public var layer: Int?
  /// What part of the transformer the node belongs to.
  public var part: ModelPart

  public init(
    address: UInt64, name: String, op: String, type: String, shape: [Int64], strides: [UInt64],
    sources: [UInt64?], viewSource: UInt64?, data: UInt64?, isExecuted: Bool, byteCount: Int64, layer: Int?,
    part: ModelPart
  ) {
    self.address = address
    self.name = name
    self.op = op
    self.type = type
    self.shape = shape
    self.strides = strides
    self.sources = sources
    self.viewSource = viewSource
    self.data = data
    self.isExecuted = isExecuted
    self.byteCount = byteCount
    self.layer = layer
    self.part = part
  }
}

extension Node {
  /// True for names that ggml gives to tensors without one, by their place in the graph.
  public var isNumbered: Bool {
    if name.isEmpty { return true }
    // A view of one is `node_24 (view)`.
    let stem = name.utf8.prefix { $0 != UInt8(ascii: " ") }
    return ["node_", "leaf_"].contains { prefix in
      stem.starts(with: prefix.utf8) && stem.count > prefix.utf8.count
        && stem.dropFirst(prefix.utf8.count).allSatisfy { (48...57).contains($0) }
    }
  }
}

/// The layer kinds of `summary`.
public enum ModelPart: String, Sendable, Hashable, CaseIterable {
  case embedding, attention, ffn, head, other
}

/// One version of a graph's structure, as walked by the recorder.
public struct GraphStructure: Sendable {
  /// The structure number of the trace, from 1.
  public var number: UInt32
  /// Nodes in execution order, views included.
  public var nodes: [Node]
  /// Weights, inputs and caches: tensors that nodes refer to and no node computes.
  public var constants: [Node]
  /// False when records of the walk were lost, memory was unreadable or nodes were cut off.
  public var isComplete: Bool

  public init(number: UInt32, nodes: [Node], constants: [Node], isComplete: Bool) {
    self.number = number
    self.nodes = nodes
    self.constants = constants
    self.isComplete = isComplete
  }
}
