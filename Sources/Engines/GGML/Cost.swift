import TraceModel

/// Work of the nodes of one structure, from shapes alone.
///
/// FLOPs are what the operator's definition asks for, not what an implementation happens to execute:
/// - MUL_MAT of a [K, M] and b [K, N]: `2·K` per element of the result.
/// - MUL_MAT_ID: the same; the result already holds only the experts that were used.
/// - OUT_PROD of a [M, K] and b [N, K]: `2·K` per element.
/// - FLASH_ATTN_EXT of q [D, N, H], k [D, L, ·], v [E, L, ·]: `2·N·L·H·(D + E)`; the soft-max is not counted. L is
///   what the cache's view has room for; `varying` tells how the masked part, which is skipped, is taken out.
/// - element-wise operators and scaling: 1 per element; gated units 2; ROPE 3; norms 4; SOFT_MAX 5.
/// - copies, gathers and scatters: 0.
/// Operators not listed have no FLOPs (nil).
///
/// Bytes are the least that must cross the memory bus when nothing is cached: every distinct source once plus
/// the result, without padding. GET_ROWS and ADD_ID read, and SET_ROWS writes, only the rows named by the ids;
/// MUL_MAT_ID reads `min(experts, used · tokens)` expert matrices, which is exact for one token and an
/// upper bound for more: `varying` is for who knows the routing. nil where a source was not recorded or a type is
/// unknown.
public struct NodeCosts {
  private let nodes: [UInt64: Node]
  /// Weights and caches, by address.
  private let persistent: Set<UInt64>

  public init(_ structure: GraphStructure) {
    var nodes: [UInt64: Node] = [:]
    nodes.reserveCapacity(structure.nodes.count + structure.constants.count)
    for node in structure.nodes + structure.constants { nodes[node.address] = node }
    self.nodes = nodes
    persistent = Set(structure.constants.lazy.filter(isWeight).map(\.address))
  }

  /// Cost of one execution of the node by all threads together.
  public func cost(of node: Node) -> OperatorWork {
    if !node.isExecuted { return OperatorWork(bytes: 0, flops: 0, persistentBytes: 0) }
    let sources = node.sources.map { $0.flatMap { nodes[$0] } }
    let bytes = bytes(node, sources)
    return OperatorWork(
      bytes: bytes?.all, flops: flops(node, sources), persistentBytes: bytes?.persistent,
      arithmetic: arithmetic(node, sources), varying: varying(node, sources))
  }

  private func flops(_ node: Node, _ sources: [Node?]) -> Int64? {
    let elements = node.elementCount
    func source(_ slot: Int) -> Node? { slot < sources.count ? sources[slot] : nil }
    switch node.op {
    case "MUL_MAT", "MUL_MAT_ID":
      guard let a = source(0), let inner = a.shape.first else { return nil }
      return product(2, inner, elements)
    case "OUT_PROD":
      guard let a = source(0), a.shape.count > 1 else { return nil }
      return product(2, a.shape[1], elements)
    case "FLASH_ATTN_EXT":
      guard let q = source(0), let k = source(1), let v = source(2), q.shape.count == 4, k.shape.count == 4,
        v.shape.count == 4
      else { return nil }
      let (width, overflow) = q.shape[0].addingReportingOverflow(v.shape[0])
      return overflow ? nil : product(2, width, q.shape[1], k.shape[1], q.shape[2], q.shape[3])
    case "SOFT_MAX": return product(5, elements)
    case "RMS_NORM", "NORM", "L2_NORM", "GROUP_NORM": return product(4, elements)
    case "ROPE": return product(3, elements)
    case _ where Self.gated.contains(node.op): return product(2, elements)
    case _ where Self.elementWise.contains(node.op): return elements
    case "SUM", "SUM_ROWS", "MEAN", "CUMSUM", "ARGMAX": return source(0)?.elementCount
    case _ where Self.moving.contains(node.op): return 0
    default: return nil
    }
  }

  /// Bytes moved, and those of them that are weights or caches.
  private struct Moved {
    var all: Int64 = 0
    var persistent: Int64 = 0

    /// False when the sum is too large.
    mutating func add(_ bytes: Int64, isPersistent: Bool) -> Bool {
      guard let sum = GGML.add(all, bytes) else { return false }
      all = sum
      if isPersistent { persistent += bytes }
      return true
    }
  }

  private func isPersistent(_ source: Node) -> Bool {
    persistent.contains(source.address) || source.viewSource.map(persistent.contains) ?? false
  }

  private func bytes(_ node: Node, _ sources: [Node?]) -> Moved? {
    for (slot, address) in node.sources.enumerated() where address != nil && sources[slot] == nil {
      return nil
    }
    guard let result = node.denseBytes else { return nil }
    var moved = Moved()
    var seen: Set<UInt64> = []
    /// Every distinct source once, whole.
    func read(_ slots: Range<Int>) -> Bool {
      for case let source? in sources[slots.clamped(to: sources.indices)]
      where seen.insert(source.address).inserted {
        guard let bytes = source.denseBytes, moved.add(bytes, isPersistent: isPersistent(source)) else {
          return false
        }
      }
      return true
    }
    /// So many rows of a source.
    func read(_ slot: Int, rows: Int64) -> Bool {
      guard slot < sources.count, let source = sources[slot], let row = source.rowBytes,
        let bytes = product(row, rows)
      else { return false }
      return moved.add(bytes, isPersistent: isPersistent(source))
    }
    func elements(_ slot: Int) -> Int64? { slot < sources.count ? sources[slot]?.elementCount : nil }
    switch node.op {
    case "GET_ROWS":
      guard let rows = elements(1), read(0, rows: rows), read(1..<2) else { return nil }
    case "ADD_ID":
      guard let rows = elements(2), read(0..<1), read(1, rows: rows), read(2..<3) else { return nil }
    case "SET_ROWS":
      guard let values = sources.first ?? nil, read(0..<2), sources.count > 1, let row = node.rowBytes,
        let written = product(row, values.rowCount), moved.add(written, isPersistent: false)
      else { return nil }
      return moved
    case "CPY":
      // The second source is the destination itself.
      guard read(0..<1) else { return nil }
    case "MUL_MAT_ID":
      guard case .experts(_, let assumed, _, let each)? = varying(node, sources), let experts = sources[0],
        let weights = product(each, assumed), moved.add(weights, isPersistent: isPersistent(experts)),
        read(1..<sources.count)
      else { return nil }
    default:
      guard read(0..<sources.count) else { return nil }
    }
    return moved.add(result, isPersistent: false) ? moved : nil
  }

  /// Products with quantised weights are sums of products of bytes: what they are multiplied with is quantised, too.
  private func arithmetic(_ node: Node, _ sources: [Node?]) -> Calibration.Work {
    let slot: Int
    switch node.op {
    case "MUL_MAT", "MUL_MAT_ID": slot = 0
    case "FLASH_ATTN_EXT": slot = 1
    default: return .f32
    }
    guard slot < sources.count, let type = sources[slot]?.type else { return .f32 }
    if type == "f16" { return .f16 }
    return TensorType.named(type).map { $0.blockElements > 1 } ?? false ? .int8 : .f32
  }

  private func varying(_ node: Node, _ sources: [Node?]) -> VaryingWork? {
    switch node.op {
    case "MUL_MAT_ID":
      guard sources.count > 2, let experts = sources[0], let ids = sources[2], experts.shape.count == 4,
        ids.shape.count == 4, experts.shape[2] > 0, let all = experts.denseBytes
      else { return nil }
      return .experts(
        all: experts.shape[2], assumed: min(experts.shape[2], ids.elementCount), tokens: ids.shape[1],
        bytesPerExpert: all / experts.shape[2])
    case "FLASH_ATTN_EXT":
      // Sequences in streams of their own have positions that nobody told.
      guard sources.count > 3, sources[3] != nil, let q = sources[0], let k = sources[1], let v = sources[2],
        q.shape.count == 4, k.shape.count == 4, v.shape.count == 4, q.shape[3] == 1, k.shape[1] > 0,
        let keys = k.denseBytes, let values = v.denseBytes, let moved = add(keys, values),
        let width = add(q.shape[0], v.shape[0]), let pair = product(2, width, q.shape[2])
      else { return nil }
      return .attention(
        rows: k.shape[1], tokens: q.shape[1], bytesPerRow: moved / k.shape[1], flopsPerPair: pair)
    default: return nil
    }
  }

  private static let gated: Set<String> = [
    "REGLU", "GEGLU", "SWIGLU", "SWIGLU_OAI", "GEGLU_ERF", "GEGLU_QUICK",
  ]
  private static let elementWise: Set<String> = [
    "ADD", "ADD_ID", "ADD1", "ACC", "SUB", "MUL", "DIV", "SQR", "SQRT", "LOG", "SIN", "COS", "SCALE", "CLAMP",
    "DIAG_MASK_INF", "DIAG_MASK_ZERO", "LEAKY_RELU", "ABS", "SGN", "NEG", "STEP", "TANH", "ELU", "RELU",
    "SIGMOID", "GELU", "GELU_QUICK", "GELU_ERF", "SILU", "HARDSWISH", "HARDSIGMOID", "EXP", "EXPM1",
    "SOFTPLUS",
    "XIELU", "FLOOR", "CEIL", "ROUND", "TRUNC",
  ]
  private static let moving: Set<String> = [
    "DUP", "CPY", "CONT", "GET_ROWS", "SET_ROWS", "SET", "CONCAT", "REPEAT", "PAD", "ROLL", "FILL", "ARANGE",
  ]
}

/// Work of one node; for many nodes of a structure `NodeCosts` looks sources up faster.
public func cost(of node: Node, in structure: GraphStructure) -> (flops: Int64?, bytes: Int64?) {
  let cost = NodeCosts(structure).cost(of: node)
  return (cost.flops, cost.bytes)
}

extension Node {
  /// Product of the shape; saturates at `Int64.max`.
  public var elementCount: Int64 {
    shape.reduce(1) { partial, length in
      let (product, overflow) = partial.multipliedReportingOverflow(by: length)
      return overflow ? .max : product
    }
  }

  /// Bytes of the elements without padding between rows, nil for an unknown type.
  var denseBytes: Int64? { TensorType.named(type)?.denseBytes(elements: elementCount) }

  var rowBytes: Int64? { TensorType.named(type)?.denseBytes(elements: shape.first ?? 0) }

  var rowCount: Int64 { shape.first.map { $0 > 0 ? elementCount / $0 : 0 } ?? 0 }
}

private func product(_ factors: Int64...) -> Int64? {
  var result: Int64 = 1
  for factor in factors {
    let (next, overflow) = result.multipliedReportingOverflow(by: factor)
    if overflow { return nil }
    result = next
  }
  return result
}

private func add(_ terms: Int64...) -> Int64? {
  var result: Int64 = 0
  for term in terms {
    let (next, overflow) = result.addingReportingOverflow(term)
    if overflow { return nil }
    result = next
  }
  return result
}
