import TraceModel

/// What a graph executes, alike for the same graph of another layer.
struct GraphContents: Hashable, Sendable {
  /// The first operators with the names of their nodes.
  var operators: String
  /// Executed nodes.
  var count: Int

  private static let shown = 4
  private static let longest = 120

  init(_ structure: GraphStructure) {
    let executed = structure.nodes.lazy.filter(\.isExecuted)
    count = executed.count
    let names = executed.prefix(Self.shown).map { node in
      let name = Self.name(node)
      return name.isEmpty ? node.op : "\(node.op) \(name)"
    }
    let text = names.joined(separator: ", ") + (count > Self.shown ? ", …" : "")
    operators = String(text.prefix(Self.longest))
  }

  /// `Kcur-*` for `Kcur-3`, `cache_k_l* (view)` for `cache_k_l3 (view)`.
  private static func name(_ node: Node) -> String {
    guard let layer = node.layer else { return node.name }
    let digits = String(layer)
    var name = ""
    var number = ""
    for character in node.name {
      if character.isASCII, character.isNumber {
        number.append(character)
        continue
      }
      name += (number == digits ? "*" : number) + String(character)
      number = ""
    }
    return name + (number == digits ? "*" : number)
  }
}
