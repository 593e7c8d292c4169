/// What one execution of an operator has to move and to compute, by all threads together.
public struct OperatorWork: Sendable, Hashable {
  /// Bytes of all tensors read and written; nil where unknown.
  public var bytes: Int64?
  /// Floating-point operations; nil where unknown.
  public var flops: Int64?
  /// Of the bytes, those of weights and caches, which stay from graph to graph; nil where unknown.
  public var persistentBytes: Int64?
  /// The arithmetic of the FLOPs: `.f32`, `.f16` or `.int8`.
  public var arithmetic: Calibration.Work
  /// What depends on more than the structure; nil where nothing does.
  public var varying: VaryingWork?

  public init(
    bytes: Int64?, flops: Int64?, persistentBytes: Int64? = nil, arithmetic: Calibration.Work = .f32,
    varying: VaryingWork? = nil
  ) {
    self.bytes = bytes
    self.flops = flops
    self.persistentBytes = persistentBytes
    self.arithmetic = arithmetic
    self.varying = varying
  }
}

/// How the work of an operator differs from what its structure says.
public enum VaryingWork: Sendable, Hashable {
  /// The structure has room for `rows` keys and values, in steps of 256 or so; those that the mask hides are not
  /// touched. The `tokens` of the graph see those before them and themselves.
  case attention(rows: Int64, tokens: Int64, bytesPerRow: Int64, flopsPerPair: Int64)
  /// Of `all` matrices of experts `assumed` are read at most; the routing of the `tokens` tells how many really.
  case experts(all: Int64, assumed: Int64, tokens: Int64, bytesPerExpert: Int64)
}
