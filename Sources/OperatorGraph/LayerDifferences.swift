import Statistics
import TraceModel

extension LayerDifference {
  /// What differs between layers, most important first: operators that only some have, types of weights,
  /// shapes, times.
  static func all(of vertices: [FoldedVertex], layers: [Int]) -> [LayerDifference] {
    presence(vertices, layers) + weights(vertices) + shapes(vertices) + times(vertices)
  }

  private static func presence(_ vertices: [FoldedVertex], _ layers: [Int]) -> [LayerDifference] {
    grouped(
      vertices.indices.compactMap { index in
        let own = vertices[index].layers
        guard vertices[index].kind == .executed, !own.isEmpty, own.count < layers.count else { return nil }
        return (Group(layers: own, change: ""), index)
      }
    ).map { group, members in
      let text = "only in \(layersText(group.layers)): \(namesText(members, of: vertices))"
      return LayerDifference(kind: .presence, vertices: members, layers: group.layers, text: text)
    }
  }

  private static func weights(_ vertices: [FoldedVertex]) -> [LayerDifference] {
    var found: [(Group, Int)] = []
    for (index, vertex) in vertices.enumerated() where vertex.kind == .executed {
      for variant in vertex.variants.dropFirst() where variant.weightTypes != vertex.variants[0].weightTypes {
        let change = "\(typesText(variant)) instead of \(typesText(vertex.variants[0])) weights"
        found.append((Group(layers: variant.layers, change: change), index))
      }
    }
    return grouped(found).map { group, members in
      let text = "\(group.change) in \(layersText(group.layers)): \(namesText(members, of: vertices))"
      return LayerDifference(kind: .weights, vertices: members, layers: group.layers, text: text)
    }
  }

  private static func shapes(_ vertices: [FoldedVertex]) -> [LayerDifference] {
    var found: [(Group, Int)] = []
    var change: [Int: String] = [:]
    for (index, vertex) in vertices.enumerated() where vertex.kind == .executed {
      for variant in vertex.variants.dropFirst() where variant.weightTypes == vertex.variants[0].weightTypes {
        found.append((Group(layers: variant.layers, change: ""), index))
        change[index] = change[index] ?? changeText(variant, vertex.variants[0])
      }
    }
    return grouped(found).map { group, members in
      let names = members.prefix(3).map { "\(vertices[$0].title) \(change[$0] ?? "")" }
      let rest = members.count > 3 ? "; \(members.count - 3) more" : ""
      let text =
        "other types or shapes in \(layersText(group.layers)): \(names.joined(separator: "; "))\(rest)"
      return LayerDifference(kind: .shape, vertices: members, layers: group.layers, text: text)
    }
  }

  private static func times(_ vertices: [FoldedVertex]) -> [LayerDifference] {
    vertices.indices.filter { !vertices[$0].outliers.isEmpty }.map { index in
      let outliers = vertices[index].outliers
      let times = outliers.prefix(3).map {
        "\(formatDuration($0.time)) in layer \($0.layer) (others \(formatDuration($0.typical)))"
      }
      let rest = outliers.count > 3 ? ", \(outliers.count - 3) more" : ""
      let text = "\(namesText([index], of: vertices)): \(times.joined(separator: ", "))\(rest)"
      return LayerDifference(
        kind: .time, vertices: [index], layers: outliers.map(\.layer).sorted(), text: text)
    }
  }

  // MARK: - Groups

  private struct Group: Hashable {
    var layers: [Int]
    var change: String
  }

  /// What differs in the same way in the same layers, together; in order of appearance.
  private static func grouped(_ found: [(Group, Int)]) -> [(Group, [Int])] {
    var groups: [(Group, [Int])] = []
    var known: [Group: Int] = [:]
    for (group, vertex) in found {
      if let index = known[group] {
        groups[index].1.append(vertex)
      } else {
        known[group] = groups.count
        groups.append((group, [vertex]))
      }
    }
    return groups
  }

  // MARK: - Text

  private static func namesText(_ members: [Int], of vertices: [FoldedVertex]) -> String {
    let names = members.prefix(6).map { index in
      vertices[index].name.isEmpty ? vertices[index].title : "\(vertices[index].name) (\(vertices[index].op))"
    }
    return names.joined(separator: ", ") + (members.count > 6 ? ", \(members.count - 6) more" : "")
  }

  private static func typesText(_ variant: LayerVariant) -> String {
    variant.weightTypes.isEmpty ? "no" : variant.weightTypes.joined(separator: "+")
  }

  /// The first thing that differs, the result before the sources.
  private static func changeText(_ variant: LayerVariant, _ usual: LayerVariant) -> String {
    if variant.result != usual.result {
      return "\(formText(variant.result)) instead of \(formText(usual.result))"
    }
    for (own, other) in zip(variant.sources, usual.sources) where own != other {
      return "reads \(formText(own)) instead of \(formText(other))"
    }
    return "\(variant.sources.count) sources instead of \(usual.sources.count)"
  }

  private static func formText(_ form: TensorForm) -> String { "\(form.type) \(shapeText(form.shape))" }
}

/// `layer 3`, `layers 0, 3, 9–11`; cut after a dozen runs.
public func layersText(_ layers: [Int]) -> String {
  var parts: [String] = []
  var index = 0
  while index < layers.count, parts.count < 12 {
    var last = index
    while last + 1 < layers.count, layers[last + 1] == layers[last] &+ 1 { last += 1 }
    // Two neighbours are not a range yet.
    if last == index + 1 { last = index }
    parts.append(last == index ? "\(layers[index])" : "\(layers[index])–\(layers[last])")
    index = last + 1
  }
  let rest = index < layers.count ? " and \(layers.count - index) more" : ""
  return "layer\(layers.count == 1 ? "" : "s") " + parts.joined(separator: ", ") + rest
}
