import TraceModel

/// Work of the nodes of one structure, from shapes alone.
///
/// FLOPs are what the operator's definition asks for, not what an implementation happens to execute:
/// - MUL_MAT of a [K, M] and b [K, N]: `2·K` per element of the result.
/// - MUL_MAT_ID: the same; the result already holds only the experts that were used.
/// - OUT_PROD of a [M, K] and b [N, K]: `2·K` per element.
/// - FLASH_ATTN_EXT of q [D, N, H], k [D, L, ·], v [E, L, ·]: `2·N·L·H·(D + E)`; the soft-max is not counted.
/// - element-wise operators and scaling: 1 per element; gated units 2; ROPE 3; norms 4; SOFT_MAX 5.
/// - copies, gathers and scatters: 0.
/// Operators not listed have no FLOPs (nil).
///
/// Bytes are the least that must cross the memory bus when nothing is cached: every distinct source once plus
/// the result, without padding. GET_ROWS reads, and SET_ROWS writes, only the rows named by the ids;
/// MUL_MAT_ID reads `min(experts, used · tokens)` expert matrices, which is exact for one token and an
/// upper bound for more. nil where a source was not recorded or a type is unknown.
public struct NodeCosts {
  public struct Cost: Sendable, Hashable {
    public var flops: Int64?
    public var bytes: Int64?
  }

  private let nodes: [UInt64: Node]

  public init(_ structure: GraphStructure) {
    var nodes: [UInt64: Node] = [:]
    nodes.reserveCapacity(structure.nodes.count + structure.constants.count)
    for node in structure.nodes + structure.constants { nodes[node.address] = node }
    self.nodes = nodes
  }

  /// Cost of one execution of the node by all threads together.
  public func cost(of node: Node) -> Cost {
    if !node.isExecuted { return Cost(flops: 0, bytes: 0) }
    let sources = node.sources.map { $0.flatMap { nodes[$0] } }
    return Cost(flops: flops(node, sources), bytes: bytes(node, sources))
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

  private func bytes(_ node: Node, _ sources: [Node?]) -> Int64? {
    for (slot, address) in node.sources.enumerated() where address != nil && sources[slot] == nil {
      return nil
    }
    guard let result = node.denseBytes else { return nil }
    func read(_ slots: Range<Int>) -> Int64? {
      var seen: Set<UInt64> = []
      var total: Int64 = 0
      for case let source? in sources[slots.clamped(to: sources.indices)]
      where seen.insert(source.address).inserted {
        guard let bytes = source.denseBytes, let sum = add(total, bytes) else { return nil }
        total = sum
      }
      return total
    }
    switch node.op {
    case "GET_ROWS":
      guard let table = sources.first ?? nil, sources.count > 1, let ids = sources[1],
        let row = table.rowBytes,
        let rows = product(row, ids.elementCount), let idBytes = ids.denseBytes
      else { return nil }
      return add(rows, idBytes, result)
    case "SET_ROWS":
      guard let values = sources.first ?? nil, sources.count > 1, let ids = sources[1],
        let row = node.rowBytes,
        let valueBytes = values.denseBytes, let idBytes = ids.denseBytes,
        let written = product(row, values.rowCount)
      else { return nil }
      return add(valueBytes, idBytes, written)
    case "CPY":
      // The second source is the destination itself.
      guard let values = sources.first ?? nil, let valueBytes = values.denseBytes else { return nil }
      return add(valueBytes, result)
    case "MUL_MAT_ID":
      guard let experts = sources.first ?? nil, sources.count > 2, let ids = sources[2],
        experts.shape.count == 4, experts.shape[2] > 0, let all = experts.denseBytes,
        let rest = read(1..<sources.count),
        let weights = product(all / experts.shape[2], min(experts.shape[2], ids.elementCount))
      else { return nil }
      return add(weights, rest, result)
    default:
      guard let all = read(0..<sources.count) else { return nil }
      return add(all, result)
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
