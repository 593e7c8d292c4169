import TraceModel

/// What a model looks like, from the tensors that its graphs used. A value that the recorded
/// structure does not show is nil.
public struct ModelShape: Sendable, Hashable {
  public var layers: Int?
  public var embeddingSize: Int64?
  public var vocabularySize: Int64?
  public var feedForwardSize: Int64?
  public var headSize: Int64?
  public var heads: Int64?
  public var keyValueHeads: Int64?
  public var experts: Int64?
  public var expertsUsed: Int64?
  /// Type of the key cache, such as `f16`.
  public var cacheType: String?
  /// What the operators tell about the architecture, such as `RMS norm` or `SWIGLU`.
  public var hints: Set<String> = []
  /// Type and bytes of each weight by its name.
  var weights: [String: Weight] = [:]

  struct Weight: Sendable, Hashable {
    var type: String
    var bytes: Int64
  }

  /// Bytes of the weights seen, by type, largest first.
  public var weightBytes: [(type: String, bytes: Int64)] {
    var sums: [String: Int64] = [:]
    for weight in weights.values { sums[weight.type, default: 0] &+= weight.bytes }
    return sums.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
  }

  public init() {}

  /// Reads the shape of one graph; a graph that is a part of the model shows a part of it.
  public init(_ structure: GraphStructure) {
    var tensors: [UInt64: Node] = [:]
    for tensor in structure.constants { tensors[tensor.address] = tensor }
    for node in structure.nodes { tensors[node.address] = node }
    func source(_ node: Node, _ index: Int) -> Node? {
      guard index < node.sources.count, let address = node.sources[index] else { return nil }
      return tensors[address]
    }
    for node in structure.nodes {
      if let layer = node.layer { layers = max(layers ?? 0, layer &+ 1) }
      switch node.op {
      case "ROPE":
        hints.insert("RoPE")
        if node.name.hasPrefix("Qcur") {
          headSize = node.shape.element(0)
          heads = node.shape.element(1)
        } else if node.name.hasPrefix("Kcur") {
          keyValueHeads = node.shape.element(1)
        }
      case "FLASH_ATTN_EXT":
        hints.insert("flash attention")
        heads = heads ?? source(node, 0)?.shape.element(2)
        headSize = headSize ?? source(node, 0)?.shape.element(0)
        keyValueHeads = keyValueHeads ?? source(node, 1)?.shape.element(2)
      case "RMS_NORM": hints.insert("RMS norm")
      case "NORM": hints.insert("layer norm")
      case "SWIGLU", "GEGLU", "REGLU", "SWIGLU_OAI", "GEGLU_ERF", "GEGLU_QUICK": hints.insert(node.op)
      case "SSM_SCAN", "SSM_CONV": hints.insert("state space")
      case "RWKV_WKV6", "RWKV_WKV7": hints.insert("RWKV")
      case "MUL_MAT_ID":
        hints.insert("mixture of experts")
        experts = source(node, 0)?.shape.element(2)
        expertsUsed = source(node, 2)?.shape.element(0)
      default: break
      }
    }
    if let heads, let keyValueHeads, keyValueHeads < heads { hints.insert("grouped-query attention") }
    for tensor in structure.constants { readWeight(tensor) }
    if weights["token_embd.weight"] != nil && weights["output.weight"] == nil
      && structure.nodes.contains(where: { node in
        node.op == "MUL_MAT" && source(node, 0)?.name == "token_embd.weight"
      })
    {
      hints.insert("head shares the embedding weights")
    }
  }

  private mutating func readWeight(_ tensor: Node) {
    let name = tensor.name
    if name.hasPrefix("cache_k") { cacheType = tensor.type }
    guard name.hasSuffix(".weight") || name.hasSuffix(".bias") else { return }
    weights[name] = Weight(type: tensor.type, bytes: tensor.byteCount)
    if name == "token_embd.weight" || name == "output.weight" {
      embeddingSize = tensor.shape.element(0)
      vocabularySize = tensor.shape.element(1)
    } else if name.hasSuffix(".attn_norm.weight") {
      embeddingSize = embeddingSize ?? tensor.shape.element(0)
    } else if name.hasSuffix(".ffn_up.weight") || name.hasSuffix(".ffn_up_exps.weight") {
      feedForwardSize = tensor.shape.element(1)
      embeddingSize = embeddingSize ?? tensor.shape.element(0)
    }
  }

  /// Adds what another graph of the same model shows.
  mutating func merge(_ other: ModelShape) {
    if let layers = other.layers { self.layers = max(self.layers ?? 0, layers) }
    embeddingSize = embeddingSize ?? other.embeddingSize
    vocabularySize = vocabularySize ?? other.vocabularySize
    feedForwardSize = feedForwardSize ?? other.feedForwardSize
    headSize = headSize ?? other.headSize
    heads = heads ?? other.heads
    keyValueHeads = keyValueHeads ?? other.keyValueHeads
    experts = experts ?? other.experts
    expertsUsed = expertsUsed ?? other.expertsUsed
    cacheType = cacheType ?? other.cacheType
    hints.formUnion(other.hints)
    weights.merge(other.weights) { mine, _ in mine }
  }
}

extension Array {
  fileprivate func element(_ index: Int) -> Element? { index < count ? self[index] : nil }
}

/// Finds the models of a run: a program may compute several, such as a draft and its target.
public struct ModelStatistics: RunVisitor {
  private var shapes: [ModelShape] = []
  private var indexOfShape: [ModelShape: Int] = [:]
  private var shapeOfStructure: [UInt32: Int] = [:]
  private var shapesOfStep: [Int: Set<Int>] = [:]
  private var shapesOfContext: [UInt64: Set<Int>] = [:]
  private var contexts: [UInt64] = []

  public init() {}

  public mutating func structure(_ structure: GraphStructure) {
    let shape = ModelShape(structure)
    let index = indexOfShape[shape] ?? shapes.count
    if index == shapes.count {
      shapes.append(shape)
      indexOfShape[shape] = index
    }
    shapeOfStructure[structure.number] = index
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard let step = run.step, let structure = run.structure, let shape = shapeOfStructure[structure]
    else { return }
    shapesOfStep[step, default: []].insert(shape)
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let shapes = shapesOfStep.removeValue(forKey: step.index) else { return }
    if shapesOfContext[step.context] == nil { contexts.append(step.context) }
    shapesOfContext[step.context, default: []].formUnion(shapes)
  }

  /// One model per `llama_context` in order of its first step; equal ones once.
  public var models: [ModelShape] {
    var result: [ModelShape] = []
    for context in contexts {
      var model = ModelShape()
      for index in (shapesOfContext[context] ?? []).sorted() { model.merge(shapes[index]) }
      if !result.contains(model) { result.append(model) }
    }
    return result
  }
}
