import TraceModel

/// Sums of work of an operator node, or of several.
struct WorkSum: Sendable, Equatable {
  var bytes: Int64 = 0
  var flops: Int64 = 0
}

/// What the work of operators differs from what their structure says, known from the run: how many keys and values a
/// step has seen, and which experts its tokens were routed to.
///
/// Memory: the varying nodes of the graphs of open steps, and one set of experts for each layer of them.
struct WorkStatistics: RunVisitor, Sendable {
  /// A node whose work varies.
  struct VaryingNode: Sendable {
    var slot: UInt32
    var layer: Int
    var work: VaryingWork
  }

  /// Sums over the graphs of one phase in which a node was looked at.
  struct Change: Sendable, Equatable {
    var sum = WorkSum()
    var graphs: Int64 = 0

    mutating func merge(_ other: Change) {
      sum.bytes &+= other.sum.bytes
      sum.flops &+= other.sum.flops
      graphs &+= other.graphs
    }
  }

  /// By the position of the phase in `Phase.allCases`, then by slot: dictionaries would take longer than all else that
  /// is done with a step.
  private var changes = [[Change]](repeating: [], count: Phase.allCases.count)
  /// By layer, of one step: tokens of the micro-batches before.
  private var before: [Int64] = []
  private var open: [Int: OpenStep] = [:]
  /// A trace may ask for more; such steps keep the work that the structure says.
  private static let nodeLimit = 1 << 16
  private static let openLimit = 64
  private static let expertLimit = 1 << 16
  private static let layerLimit = 10_000

  private struct OpenStep: Sendable {
    /// Of all graphs of the step, in order.
    var attention: [VaryingNode] = []
    var experts: [(slot: UInt32, bytes: Int64)] = []
    /// By layer, of the graph that runs.
    var routed: [Int: Routing] = [:]
  }

  private struct Routing: Sendable {
    var rows: Int64 = 0
    var isComplete = true
    var seen: [UInt64] = []
    var distinct: Int64 = 0

    mutating func add(_ activation: ExpertActivation) {
      rows &+= 1
      if !activation.isComplete { isComplete = false }
      for expert in activation.experts {
        guard expert >= 0, Int(expert) < WorkStatistics.expertLimit else {
          isComplete = false
          continue
        }
        let word = Int(expert) >> 6
        if word >= seen.count { seen.append(contentsOf: repeatElement(0, count: word + 1 - seen.count)) }
        let bit: UInt64 = 1 << UInt64(expert & 63)
        if seen[word] & bit == 0 {
          seen[word] |= bit
          distinct &+= 1
        }
      }
    }
  }

  mutating func experts(_ activation: ExpertActivation) {
    guard let layer = activation.layer, (0..<Self.layerLimit).contains(layer), isOpen(activation.step) else {
      return
    }
    open[activation.step, default: OpenStep()].routed[layer, default: Routing()].add(activation)
  }

  /// - Parameter nodes: the varying ones of the graph's structure.
  mutating func graph(ofStep step: Int, nodes: [VaryingNode]) {
    guard !nodes.isEmpty, isOpen(step) else { return }
    var known = open.removeValue(forKey: step) ?? OpenStep()
    defer { open[step] = known }
    guard known.attention.count < Self.nodeLimit, known.experts.count < Self.nodeLimit else { return }
    for node in nodes {
      switch node.work {
      case .attention: known.attention.append(node)
      case .experts(_, let assumed, let tokens, let each):
        guard let routing = known.routed[node.layer], routing.isComplete, routing.rows == tokens,
          routing.distinct <= assumed
        else { continue }
        let change = (routing.distinct &- assumed).multipliedReportingOverflow(by: each)
        if !change.overflow { known.experts.append((node.slot, change.partialValue)) }
      }
    }
    // A later graph of the step, another micro-batch, has a routing of its own.
    if !known.routed.isEmpty { for node in nodes { known.routed[node.layer] = nil } }
  }

  private func isOpen(_ step: Int) -> Bool { open[step] != nil || open.count < Self.openLimit }

  mutating func tokenStep(_ step: TokenStep) {
    guard let finished = open.removeValue(forKey: step.index) else { return }
    let phase = Phase.allCases.firstIndex(of: step.phase) ?? 0
    for (slot, bytes) in finished.experts { add(WorkSum(bytes: bytes, flops: 0), slot, phase) }
    // With several sequences in a step only the first one's position is known.
    guard let position = step.position.flatMap({ Int64($0) }), (0..<(1 << 40)).contains(position),
      step.phase != .decode || step.tokenCount == 1
    else { return }
    // Micro-batches pass each layer one after the other.
    for index in before.indices { before[index] = 0 }
    for node in finished.attention {
      guard case .attention(let rows, let tokens, let bytes, let flops) = node.work,
        (1..<(1 << 31)).contains(rows), (1..<(1 << 31)).contains(tokens),
        (0..<Self.layerLimit).contains(node.layer)
      else { continue }
      Self.grow(&before, to: node.layer, 0)
      let first = position &+ before[node.layer]
      before[node.layer] &+= tokens
      let seen = min(first &+ tokens, rows)
      // Each token sees those before it, and itself; none more than there is room for.
      let growing = max(min(tokens, rows &- first), 0)
      let pairs = growing &* max(first, 0) &+ growing &* (growing &+ 1) / 2 &+ (tokens &- growing) &* rows
      let less = (seen &- rows).multipliedReportingOverflow(by: bytes)
      let fewer = (pairs &- tokens &* rows).multipliedReportingOverflow(by: flops)
      guard !less.overflow, !fewer.overflow else { continue }
      add(WorkSum(bytes: less.partialValue, flops: fewer.partialValue), node.slot, phase)
    }
  }

  private mutating func add(_ sum: WorkSum, _ slot: UInt32, _ phase: Int) {
    Self.grow(&changes[phase], to: Int(slot), Change())
    changes[phase][Int(slot)].merge(Change(sum: sum, graphs: 1))
  }

  private static func grow<Element>(_ list: inout [Element], to index: Int, _ element: Element) {
    guard index >= list.count else { return }
    list.append(contentsOf: repeatElement(element, count: index + 1 - list.count))
  }

  /// Of the phases asked for, by slot.
  func changes(of selection: Set<Phase>) -> [UInt32: Change] {
    var result: [UInt32: Change] = [:]
    for (index, phase) in Phase.allCases.enumerated() where selection.contains(phase) {
      for (slot, change) in changes[index].enumerated() where change.graphs > 0 {
        result[UInt32(slot), default: Change()].merge(change)
      }
    }
    return result
  }
}

extension OperatorWork {
  /// The work of one execution on average, with what the run tells about it.
  func changed(by change: WorkStatistics.Change?) -> OperatorWork {
    guard let change, change.graphs > 0 else { return self }
    var result = self
    let bytes = change.sum.bytes / change.graphs
    result.bytes = self.bytes.map { max($0 &+ bytes, 0) }
    result.persistentBytes = persistentBytes.map { max($0 &+ bytes, 0) }
    result.flops = flops.map { max($0 &+ change.sum.flops / change.graphs, 0) }
    return result
  }
}
