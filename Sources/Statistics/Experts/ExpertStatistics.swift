import TraceModel

/// Collects which experts each token was routed to, and how that relates to the time of the products with experts.
///
/// What a step used is known to belong to a warm-up only at its end, so it waits in a list until then. Memory is that
/// of the experts and of one step.
public struct ExpertStatistics: RunVisitor, Sendable {
  private var catalog = ExpertCatalog()
  /// By index of the catalog; nil for layers of which no routing was recorded.
  private var layers: [ExpertLayerUse?] = []
  private var models: [Model] = []
  private var open: [OpenExpertStep] = []
  private let majorFaultColumn: Int?

  /// Routings of which the layer is not known, because the graph's structure is not.
  public private(set) var unplaced = 0
  /// Expert numbers that the layer does not have.
  public private(set) var impossible = 0
  /// Token steps of warm-up, whose routings are left out.
  public private(set) var warmupSteps = 0
  /// Products with experts that are not followed because there are too many experts or layers.
  public var refused: Int { catalog.refused }

  /// What is missing in the result, in words; nothing where all was counted.
  public var remarks: [String] {
    var lines: [String] = []
    if unplaced > 0 {
      lines.append(
        "\(formatCount(unplaced, "routing")) of a token left out: the layer is not known, as the graph's structure is not"
      )
    }
    if impossible > 0 {
      lines.append("\(formatCount(impossible, "expert number")) that the layer does not have, left out")
    }
    if refused > 0 {
      lines.append(
        "\(formatCount(refused, "product")) with experts left out: more than \(ExpertCatalog.layerLimit) layers,"
          + " or \(ExpertCatalog.expertLimit) experts")
    }
    return lines
  }

  private struct Model: Sendable {
    var use: ExpertUse
    var lru = ReuseStack(sizes: [])
    var optimal = OptimalStack(things: 0)
    var experts = 0
    var windows = ExpertWindows()
    /// The token step that was counted last.
    var lastStep: Int?
  }

  /// With more experts in a model the best replacement takes too long.
  static let optimalLimit = 1 << 15
  private static let openLimit = 64

  /// - Parameter counters: of the recording.
  public init(counters: [CounterColumn] = []) {
    majorFaultColumn = counters.first { $0.name == "major-faults" }?.index
  }

  /// One for each model with any routing.
  public var uses: [ExpertUse] {
    models.indices.compactMap { model in
      var use = models[model].use
      let mine = layers.enumerated().compactMap { index, layer in
        layer.flatMap { catalog.layers[index].model == model ? (index, $0) : nil }
      }
      guard !mine.isEmpty else { return nil }
      // Those without a number come last, in the order of the graph.
      let inOrder = mine.sorted {
        (catalog.layers[$0.0].number ?? .max, $0.0) < (catalog.layers[$1.0].number ?? .max, $1.0)
      }
      use.layers = inOrder.map { index, layer in
        var layer = layer
        layer.layer = catalog.layers[index]
        return layer
      }
      if use.layers.contains(where: { $0.layer.bytes == nil }) { use.cache.forgetBytes() }
      use.windows = models[model].windows.windows.map { window in
        ExpertUse.Window(
          steps: window.steps,
          tokens: use.layers.map { layer in
            let range = layer.firstExpert..<layer.firstExpert + layer.experts.count
            return range.map { $0 < window.tokens.count ? window.tokens[$0] : 0 }
          })
      }
      return use
    }
  }

  public mutating func structure(_ structure: GraphStructure) { catalog.add(structure) }

  public mutating func experts(_ activation: ExpertActivation) {
    guard let layer = catalog.layer(structure: activation.structure, node: activation.node),
      activation.step >= 0
    else {
      unplaced &+= 1
      return
    }
    let index = openIndex(activation.step)
    impossible &+= open[index].add(
      activation.experts, layer: layer, experts: catalog.layers[layer].experts)
    // So many can only be the micro-batches of a long prompt.
    if open[index].isFull {
      let full = open[index]
      open[index].forget()
      count(full, phase: .unknown)
    }
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard !catalog.isEmpty, span.isMainThread, span.step >= 0,
      let layer = catalog.layer(structure: span.structure, node: span.node)
    else { return }
    open[openIndex(Int(span.step))].addTime(max(span.range.duration, 0), layer: layer)
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    // Most models have no experts.
    guard !catalog.isEmpty else { return }
    for index in spans.indices { operatorSpan(spans[index]) }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard let column = majorFaultColumn, !catalog.isEmpty, span.step >= 0,
      let layer = catalog.layer(structure: span.structure, node: span.node)
    else { return }
    open[openIndex(Int(span.step))].addFaults(counters[column], layer: layer)
  }

  /// A graph reads each weight once; the next one of the step (a micro-batch) reads them again.
  public mutating func graphRun(_ run: GraphRun) {
    guard !open.isEmpty, let step = run.step, let index = open.lastIndex(where: { $0.step == step }) else {
      return
    }
    open[index].endGraph()
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let index = open.lastIndex(where: { $0.step == step.index }) else { return }
    open[index].endGraph()
    count(open.remove(at: index), phase: step.phase)
  }

  private mutating func openIndex(_ step: Int) -> Int {
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    if open.count >= Self.openLimit {
      open[0].endGraph()
      count(open.removeFirst(), phase: .unknown)
    }
    open.append(OpenExpertStep(step: step))
    return open.count - 1
  }

  // MARK: A step is over

  private mutating func count(_ step: OpenExpertStep, phase: Phase) {
    guard phase != .warmup else {
      if !step.uses.isEmpty { warmupSteps &+= 1 }
      return
    }
    var largest: (layer: Int, distance: Int?) = (-1, 0)
    for use in step.uses {
      begin(layer: use.layer, step: step.step)
      let distance = count(use, phase, step: step.step)
      if use.layer != largest.layer {
        sample(largest.layer, largest.distance, step, phase)
        largest = (use.layer, 0)
      }
      if let known = largest.distance { largest.distance = distance.map { max($0, known) } }
    }
    sample(largest.layer, largest.distance, step, phase)
    for (layer, routings) in step.routings.enumerated() where routings > 0 && layer < layers.count {
      layers[layer]?.routings &+= routings
    }
  }

  /// Makes room for a layer that is used for the first time, and counts a step that is counted for the first time.
  private mutating func begin(layer: Int, step: Int) {
    let facts = catalog.layers[layer]
    while models.count <= facts.model { models.append(Model(use: ExpertUse(model: models.count))) }
    while layers.count <= layer { layers.append(nil) }
    if layers[layer] == nil {
      let sizes = [Int64](repeating: facts.bytes ?? 0, count: facts.experts)
      layers[layer] = ExpertLayerUse(
        layer: facts, experts: Array(repeating: .init(), count: facts.experts), cache: CacheCurve(),
        lru: ReuseStack(sizes: sizes), optimal: OptimalStack(things: facts.experts),
        firstExpert: models[facts.model].experts)
      if models[facts.model].experts == 0 { models[facts.model].use.cache = CacheCurve(hasBytes: true) }
      models[facts.model].experts += facts.experts
      models[facts.model].lru.append(sizes: sizes)
      models[facts.model].optimal.append(things: facts.experts)
    }
    if models[facts.model].lastStep != step {
      models[facts.model].lastStep = step
      models[facts.model].use.steps += 1
      models[facts.model].windows.begin(step: step)
    }
  }

  /// Counts a use. Returns its distance in steps; nil for the first.
  private mutating func count(_ use: OpenExpertStep.Use, _ phase: Phase, step: Int) -> Int? {
    let model = catalog.layers[use.layer].model
    guard let firstExpert = layers[use.layer]?.firstExpert else { return nil }
    let number = firstExpert + use.expert
    let now = models[model].use.steps
    let distance = models[model].lru.use(number)
    let isOptimal = models[model].experts <= Self.optimalLimit
    let best = isOptimal ? models[model].optimal.use(number) : nil
    models[model].use.cache.add(distance, best: best)
    models[model].windows.add(UInt32(clamping: use.tokens), expert: number)
    let steps = layers[use.layer]?.count(use, phase, step: step, now: now)
    models[model].use.reuse.addUse(distance: steps ?? nil)
    return steps ?? nil
  }

  private mutating func sample(_ layer: Int, _ distance: Int?, _ step: OpenExpertStep, _ phase: Phase) {
    guard layer >= 0, phase == .decode else { return }
    let work = step.work(ofLayer: layer)
    models[catalog.layers[layer].model].use.reuse.add(
      ExpertReuse.Sample(distance: distance, time: work?.time, majorFaults: work?.knownFaults), layer: layer)
  }
}

extension ExpertLayerUse {
  /// Counts a use in step number `now` of the model. Returns its distance in steps; nil for the first.
  mutating func count(_ use: OpenExpertStep.Use, _ phase: Phase, step: Int, now: Int) -> Int? {
    let distance = lru.use(use.expert)
    cache.add(distance, best: optimal.use(use.expert))
    tokens &+= use.tokens
    experts[use.expert].tokens &+= use.tokens
    switch phase {
    case .prefill: experts[use.expert].prefillTokens &+= use.tokens
    case .decode, .verify, .draft: experts[use.expert].generatedTokens &+= use.tokens
    case .warmup, .unknown: break
    }
    experts[use.expert].uses &+= 1
    let last = experts[use.expert].lastUse
    experts[use.expert].lastUse = now
    guard let distance, let steps = experts[use.expert].steps else {
      experts[use.expert].steps = step...step
      return nil
    }
    experts[use.expert].steps = min(steps.lowerBound, step)...max(steps.upperBound, step)
    experts[use.expert].stepDistances &+= UInt64(clamping: now - last)
    experts[use.expert].expertDistances &+= UInt64(clamping: distance.things)
    return now - last
  }
}
