import TraceModel

/// Nodes that do the same in each layer: an operator with the node's name without the layer, such as
/// `MUL_MAT` and
/// `ffn_gate`. A model has some thirty.
public struct NodeKind: Sendable, Hashable {
  /// `unknown` where the structure of the graph was not recorded.
  public var op: String
  /// Empty for nodes that the engine left unnamed.
  public var name: String

  public init(op: String, name: String) {
    self.op = op
    self.name = name
  }

  /// For people: `MUL_MAT ffn_gate`.
  public var title: String { name.isEmpty ? op : "\(op) \(name)" }
}

/// Finds the kind of an operator by its place in a structure.
struct NodeKinds {
  /// Kind 0 is that of operators whose node is not known.
  private(set) var kinds = [NodeKind(op: "unknown", name: "")]
  private var numbers: [NodeKind: UInt16] = [:]
  private var catalog = NodeCatalog(workModel: nil)
  private var kindOfSlot: [UInt16] = [0]

  /// A target has a few dozens; more of them share the last, so that the sums of a step stay small.
  static let limit = 96

  mutating func add(_ structure: GraphStructure) { catalog.add(structure) }

  mutating func kind(of span: OperatorSpan) -> Int {
    let slot = Int(catalog.slot(structure: span.structure, node: span.node, lastNode: span.lastNode))
    if slot >= kindOfSlot.count { addKinds(through: slot) }
    return Int(kindOfSlot[slot])
  }

  private mutating func addKinds(through slot: Int) {
    for entry in catalog.entries[kindOfSlot.count...slot] {
      let kind = NodeKind(op: entry.op, name: Self.stem(entry.name, layer: entry.layer))
      if let known = numbers[kind] {
        kindOfSlot.append(known)
        continue
      }
      if kinds.count == Self.limit { kinds.append(NodeKind(op: "(others)", name: "")) }
      let number = UInt16(min(kinds.count, Self.limit))
      if kinds.count < Self.limit {
        kinds.append(kind)
        numbers[kind] = number
      }
      kindOfSlot.append(number)
    }
  }

  /// A node's name without its layer and what ggml and its scheduler add; empty for `node_12`.
  static func stem(_ name: String, layer: Int?) -> String {
    var stem = Substring(name)
    let pieces = stem.split(separator: "#", omittingEmptySubsequences: false)
    if pieces.count == 3 { stem = pieces[1] }
    if let end = stem.firstIndex(of: "("), end > stem.startIndex, stem[stem.index(before: end)] == " " {
      stem = stem[..<stem.index(before: end)]
    }
    if let layer {
      if stem.hasSuffix("-\(layer)") {
        stem = stem.dropLast("-\(layer)".count)
      } else if stem.hasPrefix("blk.\(layer).") {
        stem = stem.dropFirst("blk.\(layer).".count)
      } else if stem.hasSuffix("_l\(layer)") {
        stem = stem.dropLast("_l\(layer)".count)
      }
    }
    for prefix in ["node_", "leaf_"] where stem.hasPrefix(prefix) {
      if stem.utf8.dropFirst(prefix.utf8.count).allSatisfy({ (48...57).contains($0) }) { return "" }
    }
    return String(stem.drop { $0 == " " })
  }
}
