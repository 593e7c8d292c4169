import TraceModel

/// The experts of one layer of a model.
public struct ExpertLayer: Sendable, Equatable {
  /// Which model, from 0 in the order in which graphs showed them.
  public var model: Int
  /// Layer number; nil where no name tells it.
  public var number: Int?
  /// Experts to choose from.
  public var experts: Int
  /// Experts that a token is routed to; nil where the structure does not tell.
  public var used: Int?
  /// Bytes of one expert's weights: of all its matrices (gate, up and down) that graphs of the recording read; nil
  /// where the size of one is not known.
  public var bytes: Int64?
}

/// Where the matrix products with experts (MUL_MAT_ID) of all structures belong: to which layer of which model.
///
/// Models are told apart by the addresses of their weights, which contexts of one model share. Memory is bounded
/// whatever a trace says; what is beyond is counted in `refused`.
struct ExpertCatalog: Sendable {
  /// Layers of all models in the order in which graphs showed them.
  private(set) var layers: [ExpertLayer] = []
  private(set) var modelCount = 0
  /// Products that are not followed because there are too many layers, or too many experts.
  private(set) var refused = 0

  static let modelLimit = 8
  static let layerLimit = 4096
  static let expertsPerLayer = 1 << 14
  /// Of all layers together.
  static let expertLimit = 1 << 16
  private static let structureLimit = 1 << 20
  private static let weightLimit = 8 * layerLimit

  private struct Weights {
    var address: UInt64
    var layer: Int
  }

  /// A layer has one set of experts to choose from for each number of them.
  private struct LayerKey: Hashable {
    var model: Int
    var number: Int
    var experts: Int
  }

  /// By model and name.
  private var weights: [[String: Weights]] = []
  private var weightCount = 0
  private var layerOfKey: [LayerKey: Int] = [:]
  private var expertCount = 0

  /// Layers by node of all structures with experts, one after the other, -1 for other nodes; equal lists are there
  /// once.
  private var layerOfNode: [Int32] = []
  private var baseOfList: [[Int32]: Int] = [:]
  private var placeOfStructure: [UInt32: Place] = [:]
  private var current: (structure: UInt32, place: Place) = (0, Place(base: 0, count: 0))

  private struct Place {
    var base: Int
    var count: Int
  }

  private struct Product {
    var node: Int
    var weights: Node
    var number: Int?
    var experts: Int
    var used: Int?

    /// The scheduler names a copy for another backend `CPU#blk.0.ffn_up_exps.weight#0`.
    var name: (text: String, isCopy: Bool) {
      let parts = weights.name.split(separator: "#", omittingEmptySubsequences: false)
      if parts.count == 3 { return (String(parts[1]), true) }
      return (weights.name.isEmpty ? "0x" + String(weights.address, radix: 16) : weights.name, false)
    }
  }

  /// False once a structure with experts was added.
  var isEmpty: Bool { placeOfStructure.isEmpty }

  mutating func add(_ structure: GraphStructure) {
    let products = Self.products(structure)
    guard !products.isEmpty, placeOfStructure.count < Self.structureLimit else { return }
    let model = model(of: products)
    var list = [Int32](repeating: -1, count: structure.nodes.count)
    for product in products {
      guard let model, let layer = layer(of: product, model) else {
        refused += 1
        continue
      }
      list[product.node] = Int32(layer)
    }
    let base = baseOfList[list] ?? layerOfNode.count
    if base == layerOfNode.count {
      layerOfNode += list
      baseOfList[list] = base
    }
    let place = Place(base: base, count: list.count)
    placeOfStructure[structure.number] = place
    current = (structure.number, place)
  }

  /// Index in `layers` of a MUL_MAT_ID; nil of other operators, and where it is not known.
  @inline(__always)
  mutating func layer(structure: UInt32, node: Int32) -> Int? {
    if structure != current.structure {
      guard let place = placeOfStructure[structure] else { return nil }
      current = (structure, place)
    }
    guard node >= 0, Int(node) < current.place.count else { return nil }
    let layer = layerOfNode[current.place.base + Int(node)]
    return layer < 0 ? nil : Int(layer)
  }

  private static func products(_ structure: GraphStructure) -> [Product] {
    guard structure.nodes.contains(where: { $0.op == "MUL_MAT_ID" }) else { return [] }
    var tensors: [UInt64: Node] = [:]
    for tensor in structure.constants { tensors[tensor.address] = tensor }
    for tensor in structure.nodes { tensors[tensor.address] = tensor }
    return structure.nodes.enumerated().compactMap { index, node in
      guard node.op == "MUL_MAT_ID", let first = node.sources.first, let address = first,
        let weights = tensors[address], weights.shape.count > 2,
        let experts = Int(exactly: weights.shape[2]), experts > 0
      else { return nil }
      let ids = node.sources.count > 2 ? node.sources[2].flatMap { tensors[$0] } : nil
      let used = ids?.shape.first.flatMap { Int(exactly: $0) }
      return Product(
        node: index, weights: weights, number: node.layer ?? weights.layer, experts: experts,
        used: used.flatMap { (1...experts).contains($0) ? $0 : nil })
    }
  }

  /// The first model that has no other tensors of these names; a new one where each has, nil when there are too many.
  private mutating func model(of products: [Product]) -> Int? {
    for model in weights.indices {
      let isOther = products.contains { product in
        let name = product.name
        guard !name.isCopy, let known = weights[model][name.text] else { return false }
        return known.address != product.weights.address
      }
      if !isOther { return model }
    }
    guard modelCount < Self.modelLimit else { return nil }
    modelCount += 1
    weights.append([:])
    return modelCount - 1
  }

  /// Counts the weights of a product in its layer; nil when there are too many.
  private mutating func layer(of product: Product, _ model: Int) -> Int? {
    let name = product.name.text
    if let known = weights[model][name], layers[known.layer].experts == product.experts { return known.layer }
    let key = product.number.map { LayerKey(model: model, number: $0, experts: product.experts) }
    let bytes = product.weights.byteCount > 0 ? product.weights.byteCount / Int64(product.experts) : nil
    guard weightCount < Self.weightLimit else { return nil }
    let layer: Int
    if let known = key.flatMap({ layerOfKey[$0] }) {
      layer = known
      layers[layer].used = layers[layer].used ?? product.used
      if let sum = layers[layer].bytes, let bytes {
        let (more, overflow) = sum.addingReportingOverflow(bytes)
        layers[layer].bytes = overflow ? nil : more
      } else {
        layers[layer].bytes = nil
      }
    } else {
      guard layers.count < Self.layerLimit, product.experts <= Self.expertsPerLayer,
        expertCount + product.experts <= Self.expertLimit
      else { return nil }
      layer = layers.count
      expertCount += product.experts
      layers.append(
        ExpertLayer(
          model: model, number: product.number, experts: product.experts, used: product.used, bytes: bytes))
      if let key { layerOfKey[key] = layer }
    }
    weightCount += 1
    weights[model][name] = Weights(address: product.weights.address, layer: layer)
    return layer
  }
}
