import TraceModel

extension GraphStructure {
  /// Builds a structure from decoded tensors.
  ///
  /// - Parameters:
  ///   - nodes: the graph's nodes in execution order.
  ///   - tensor: the tensor recorded for an address, nil where there is none.
  ///   - isComplete: what the recorder's counters say; sources of nodes that are missing make it false too.
  public init(
    number: UInt32, nodes tensors: [Tensor], isComplete: Bool, tensor: (UInt64) -> Tensor?
  ) {
    var nodes = tensors.map(\.node)
    // The flag came in 2026. Where no node has it, the build predates it and computes all of them.
    if tensors.contains(where: \.hasComputeFlag) {
      for i in nodes.indices where !tensors[i].hasComputeFlag { nodes[i].isExecuted = false }
    }
    var indexOf: [UInt64: Int] = [:]
    indexOf.reserveCapacity(nodes.count)
    for (i, node) in nodes.enumerated() where indexOf[node.address] == nil { indexOf[node.address] = i }

    var constants: [Node] = []
    var constantAt: [UInt64: Int] = [:]
    var missing = false
    for i in nodes.indices {
      for address in nodes[i].sources.compactMap({ $0 }) + (nodes[i].viewSource.map { [$0] } ?? [])
      where indexOf[address] == nil && constantAt[address] == nil {
        guard let found = tensor(address) else {
          missing = true
          continue
        }
        constantAt[address] = constants.count
        var constant = found.node
        constant.isExecuted = false
        constants.append(constant)
      }
    }
    inheritParts(
      &nodes, tensors: tensors, indexOf: indexOf, constant: { constantAt[$0].map { constants[$0] } })
    self.init(number: number, nodes: nodes, constants: constants, isComplete: isComplete && !missing)
  }
}

/// Gives nodes whose name tells nothing the layer and the part of what surrounds them: of the weight that they
/// read, else of their consumer (a bare `norm`) or of their sources, else of the node before.
private func inheritParts(
  _ nodes: inout [Node], tensors: [Tensor], indexOf: [UInt64: Int], constant: (UInt64) -> Node?
) {
  var known = tensors.map { !$0.inheritsPart }
  var firstConsumer = [Int](repeating: -1, count: nodes.count)
  for (i, node) in nodes.enumerated() {
    for case let source? in node.sources {
      if let producer = indexOf[source], producer < i, firstConsumer[producer] < 0 {
        firstConsumer[producer] = i
      }
    }
  }
  for i in nodes.indices where !known[i] {
    for case let source? in nodes[i].sources {
      guard let weight = constant(source), isWeight(weight) else { continue }
      if nodes[i].layer == nil { nodes[i].layer = weight.layer }
      if weight.part != .other {
        nodes[i].part = weight.part
        known[i] = true
      }
    }
  }
  // Backwards, so that a chain of unnamed nodes before a named consumer is filled in one pass.
  for i in nodes.indices.reversed() where !known[i] && tensors[i].belongsToConsumer {
    let consumer = firstConsumer[i]
    guard consumer >= 0, known[consumer] else { continue }
    nodes[i].part = nodes[consumer].part
    if nodes[i].layer == nil { nodes[i].layer = nodes[consumer].layer }
    known[i] = true
  }
  guard known.contains(true) else { return }
  for i in nodes.indices where !known[i] {
    var origin = nodes[i].sources.lazy.compactMap { $0.flatMap { indexOf[$0] } }.first { $0 < i && known[$0] }
    if origin == nil, i > 0, known[i - 1] { origin = i - 1 }
    if let origin {
      nodes[i].part = nodes[origin].part
      if nodes[i].layer == nil { nodes[i].layer = nodes[origin].layer }
      known[i] = true
    } else if let next = nodes.indices[i...].first(where: { known[$0] }) {
      // Only the unnamed nodes before the first named one come here, so this stays linear.
      nodes[i].part = nodes[next].part
      if nodes[i].layer == nil { nodes[i].layer = nodes[next].layer }
      known[i] = true
    }
  }
}

/// A parameter or a cache, whose name says where it is used; an input may be used anywhere.
func isWeight(_ constant: Node) -> Bool {
  constant.layer != nil || constant.name.hasSuffix(".weight") || constant.name.hasSuffix(".bias")
}

/// The name under which the work of an operator span is shown: the node's operator, and for a fused operator
/// those of all executed nodes from `node` to `lastNode`, such as `RMS_NORM+MUL`. `unknown` where the span
/// is not linked to a node of the structure.
public func operatorName(_ structure: GraphStructure?, node: Int32, lastNode: Int32) -> String {
  guard let structure, node >= 0, node < structure.nodes.count else { return "unknown" }
  let first = structure.nodes[Int(node)].op
  guard lastNode > node, lastNode < structure.nodes.count else { return first }
  return structure.nodes[Int(node)...Int(lastNode)].lazy.filter(\.isExecuted).map(\.op)
    .joined(separator: "+")
}
