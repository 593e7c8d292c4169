import TraceModel

/// How the experts of one layer were used.
public struct ExpertLayerUse: Sendable {
  /// What one expert of the layer was used for.
  public struct Expert: Sendable, Equatable {
    /// Tokens routed to it, in all steps but warm-up, and those of prefill and of generating steps (decode, verify,
    /// draft).
    public var tokens: UInt64 = 0
    public var prefillTokens: UInt64 = 0
    public var generatedTokens: UInt64 = 0
    /// Graphs that read its weights, for however many tokens.
    public var uses: UInt64 = 0
    /// Token steps of its first and last use; nil for one that was never used.
    public var steps: ClosedRange<Int>?
    /// Sums over its uses but the first: token steps since the last use, and different experts of the layer used
    /// since, itself among them.
    public var stepDistances: UInt64 = 0
    public var expertDistances: UInt64 = 0
    /// Number of the step of its last use among the model's.
    var lastUse = 0
  }

  public internal(set) var layer: ExpertLayer
  /// By number of the expert.
  public internal(set) var experts: [Expert]
  /// Tokens that were routed here, and the same once more for each expert that a token was routed to.
  public internal(set) var routings: UInt64 = 0
  public internal(set) var tokens: UInt64 = 0
  /// A cache for this layer alone.
  public internal(set) var cache: CacheCurve
  var lru: ReuseStack
  var optimal: OptimalStack
  /// Number of its first expert in the model.
  let firstExpert: Int
}

/// How the experts of one model were used. Warm-up steps, which read all of them on purpose, are left out.
public struct ExpertUse: Sendable {
  /// Of a window of token steps, by layer as in `layers` and expert: tokens routed there.
  public struct Window: Sendable, Equatable {
    public var steps: ClosedRange<Int>
    public var tokens: [[UInt32]]
  }

  /// Number of the model, from 0 in the order in which graphs showed them.
  public var model: Int
  /// Layers of which any routing was recorded, by layer number.
  public var layers: [ExpertLayerUse] = []
  /// Token steps with any routing, those of warm-up left out.
  public var steps = 0
  /// One cache for the experts of all layers.
  public var cache = CacheCurve()
  public var reuse = ExpertReuse()
  /// Tokens routed to each expert over time, in windows of equally many token steps.
  public var windows: [Window] = []

  /// Experts of all layers.
  public var expertCount: Int { layers.reduce(0) { $0 + $1.experts.count } }
  /// Bytes of one expert where all of them have the same size; nil else, and where it is not known.
  public var expertBytes: Int64? {
    guard let first = layers.first?.layer.bytes, layers.allSatisfy({ $0.layer.bytes == first }) else {
      return nil
    }
    return first
  }
  /// Bytes of all experts; nil where the size of one is not known.
  public var allBytes: Int64? {
    var sum: Int64 = 0
    for layer in layers {
      guard let bytes = layer.layer.bytes else { return nil }
      let (product, overflow) = bytes.multipliedReportingOverflow(by: Int64(layer.experts.count))
      let (total, overflow2) = sum.addingReportingOverflow(product)
      guard !overflow, !overflow2 else { return nil }
      sum = total
    }
    return sum
  }
  /// A cache for each layer, all holding equally many experts.
  public var layerCaches: CacheCurve {
    var sum = CacheCurve()
    for layer in layers { sum.merge(layer.cache) }
    return sum
  }

  /// Bytes of an LRU cache for all layers that has this share of the uses; nil where none has, or sizes are not known.
  public func lruBytes(forHitRate rate: Double) -> Int64? {
    guard let each = expertBytes else { return cache.lruBytes(forHitRate: rate) }
    guard let experts = cache.lruExperts(forHitRate: rate) else { return nil }
    let (bytes, overflow) = each.multipliedReportingOverflow(by: Int64(experts))
    return overflow ? nil : bytes
  }
}

/// How evenly tokens are spread over the experts of a layer.
public struct ExpertBalance: Sendable, Equatable {
  /// Experts that no token was routed to.
  public var neverUsed: Int
  /// How many that would be on average if each token chose its experts at random: with few tokens some are never used
  /// whatever the model prefers. nil where it is not known how many experts a token uses.
  public var neverUsedAtRandom: Double?
  /// Tokens of the busiest expert over the mean of all: 1 when they are spread evenly, at most the number of experts
  /// over those that a token uses.
  public var maxOverMean: Double
  /// Gini coefficient of the tokens of the experts: 0 when they are spread evenly, near 1 when one gets all.
  public var gini: Double
  public var busiest: Int
  /// Smallest number of experts that together get four fifths of the tokens.
  public var expertsOfFourFifths: Int

  /// - Returns: nil for a layer without tokens.
  public init?(_ layer: ExpertLayerUse) {
    let tokens = layer.experts.map(\.tokens)
    let sum = tokens.reduce(0) { $0 + Double($1) }
    guard sum > 0, let most = tokens.max(), let busiest = tokens.firstIndex(of: most) else { return nil }
    let count = Double(tokens.count)
    neverUsed = tokens.count { $0 == 0 }
    neverUsedAtRandom = layer.layer.used.map { used in
      count * Self.power(1 - Double(used) / count, layer.routings)
    }
    maxOverMean = Double(most) * count / sum
    self.busiest = busiest
    let ascending = tokens.sorted()
    var weighted = 0.0
    for (rank, value) in ascending.enumerated() { weighted += Double(rank + 1) * Double(value) }
    gini = max(0, 2 * weighted / (count * sum) - (count + 1) / count)
    var reached = 0.0
    expertsOfFourFifths = 0
    for value in ascending.reversed() where reached < 0.8 * sum {
      reached += Double(value)
      expertsOfFourFifths += 1
    }
  }

  private static func power(_ base: Double, _ exponent: UInt64) -> Double {
    var result = 1.0
    var square = base
    var rest = exponent
    while rest > 0 {
      if rest & 1 == 1 { result *= square }
      square *= square
      rest >>= 1
    }
    return result
  }
}
