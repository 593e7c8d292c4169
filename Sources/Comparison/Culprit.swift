import TraceModel

/// What made a part of a change, named as exactly as the part allows: a node, the same node of all layers, an
/// operator, or time outside of operators.
public struct Culprit: Sendable, Equatable {
  public var name: String
  /// Of the change of the step; above 1 where something else became faster meanwhile.
  public var share: Double
  /// Nanoseconds a step.
  public var change: Int64

  /// A narrower name is taken where it has at least this share of the wider one's change.
  private static let narrowing = 0.8
  /// Named until they explain this much of the change.
  private static let enough = 0.8
  private static let most = 3
  /// What explains less is not worth a name.
  private static let least = 0.1

  static func find(_ phase: PhaseComparison) -> [Culprit] {
    let total = phase.total.change
    guard total != 0 else { return [] }
    func share(_ change: Int64) -> Double { Double(change) / Double(total) }
    let nodes = phase.rows.filter { $0.scope == .node }
    let fused = Fusion.find(phase)
    let groups = Dictionary(grouping: nodes) { node in
      fused.first { $0.contains(node) }?.text ?? node.op ?? ""
    }
    var found = groups.map { name, nodes in
      (name: name, nodes: nodes, change: nodes.reduce(0) { $0 &+ $1.change })
    }
    for part in phase.rows where part.scope == .part { found.append((part.name, [], part.change)) }
    found.sort { (share($1.change), $0.name) < (share($0.change), $1.name) }

    var result: [Culprit] = []
    var explained = 0.0
    for one in found where explained < enough && result.count < most && share(one.change) >= least {
      explained += share(one.change)
      let isFusion = fused.contains { $0.text == one.name }
      let name = isFusion || one.nodes.isEmpty ? one.name : narrowed(one.name, one.nodes, one.change)
      result.append(Culprit(name: name, share: share(one.change), change: one.change))
    }
    return result
  }

  private static func narrowed(_ op: String, _ nodes: [PhaseComparison.Row], _ change: Int64) -> String {
    func carries(_ part: Int64) -> Bool { Double(part) / Double(change) >= narrowing }
    let stems = Dictionary(grouping: nodes) { NodeKey(name: $0.name, op: op, layer: $0.layer).stem }
    let sums = stems.mapValues { $0.reduce(0) { $0 &+ $1.change } }
    guard stems.count > 1 || nodes.count == 1,
      let stem = sums.filter({ !$0.key.isEmpty && carries($0.value) }).keys.sorted().first,
      let own = stems[stem]
    else { return op }
    guard own.count > 1, let node = own.first(where: { carries($0.change) }), let layer = node.layer else {
      return "\(op) in \(stem)"
    }
    return "\(op) in \(stem) of layer \(layer)"
  }
}

/// An operator that one side runs fused and the other does not.
struct Fusion: Sendable, Equatable {
  /// `RMS_NORM+MUL`.
  var op: String
  var parts: [String]
  var isFusedInFirst: Bool

  /// What each side runs.
  var first: String { isFusedInFirst ? op : parts.joined(separator: " and ") }
  var second: String { isFusedInFirst ? parts.joined(separator: " and ") : op }
  var text: String { "\(first) of A run as \(second) in B" }

  /// Fused operators of which only one side has nodes, where the other has nodes of its own of each part.
  static func find(_ phase: PhaseComparison) -> [Fusion] {
    let nodes = phase.rows.filter { $0.scope == .node && $0.presence != .both }
    var own: [PhaseComparison.Row.Presence: Set<String>] = [:]
    for node in nodes { own[node.presence, default: []].insert(node.op ?? "") }
    return Set(nodes.compactMap(\.op)).filter { $0.contains("+") }.sorted().compactMap { op in
      let parts = op.split(separator: "+").map(String.init)
      for (side, other) in [
        (PhaseComparison.Row.Presence.removed, PhaseComparison.Row.Presence.added), (.added, .removed),
      ]
      where own[side, default: []].contains(op) && own[other, default: []].isSuperset(of: parts) {
        return Fusion(op: op, parts: parts, isFusedInFirst: side == .removed)
      }
      return nil
    }
  }

  func contains(_ node: PhaseComparison.Row) -> Bool {
    switch node.presence {
    case .both: false
    case .removed: isFusedInFirst ? node.op == op : parts.contains(node.op ?? "")
    case .added: isFusedInFirst ? parts.contains(node.op ?? "") : node.op == op
    }
  }
}
