import TraceModel

/// Hit rates of caches for experts, one row per cache and size: one cache for all layers, one for each layer with
/// equally many experts, and each layer's own.
public struct ExpertCacheTable: StatisticsTable, Sendable {
  public enum Kind: String, Sendable, Hashable {
    /// One cache for the experts of all layers.
    case global
    /// As many caches as layers, all of one size; hits and misses of all together.
    case perLayer = "per-layer"
    /// The cache of one layer.
    case layer
  }

  public struct Row: Sendable {
    public var kind: Kind
    /// Of a layer's own cache.
    public var layer: Int?
    public var model: Int
    /// Experts that the cache holds, or each of them.
    public var experts: Int
    /// Of all experts that could be in it.
    public var share: Double
    /// Bytes of the experts that it holds. Of a global cache where experts differ in size: bytes that give the same
    /// hit rate, within 0.4 %. nil where sizes are not known.
    public var bytes: Int64?
    public var lru: Double
    public var optimal: Double?
  }

  public var rows: [Row]
  private let hasModels: Bool

  /// - Parameter isShort: leaves out each layer's own cache and most of the sizes: for people.
  public init(_ uses: [ExpertUse], isShort: Bool = false) {
    hasModels = uses.count > 1
    rows = []
    for use in uses {
      let largest = use.layers.map(\.experts.count).max() ?? 0
      let each = use.expertBytes
      add(
        .global, use, use.cache, upTo: use.expertCount, isShort: isShort,
        bytes: { experts, rate in
          each.map { $0.multipliedReportingOverflow(by: Int64(experts)) }
            .map { $0.overflow ? nil : $0.partialValue }
            ?? (experts == 0 ? 0 : use.lruBytes(forHitRate: rate))
        })
      add(
        .perLayer, use, use.layerCaches, upTo: largest, isShort: isShort,
        bytes: { experts, _ in Self.bytes(use.layers, holding: experts) })
      guard !isShort else { continue }
      for layer in use.layers {
        add(
          .layer, use, layer.cache, upTo: layer.experts.count, isShort: false, layer: layer.layer.number,
          bytes: { experts, _ in Self.bytes([layer], holding: experts) })
      }
    }
  }

  private mutating func add(
    _ kind: Kind, _ use: ExpertUse, _ curve: CacheCurve, upTo experts: Int, isShort: Bool, layer: Int? = nil,
    bytes: (Int, Double) -> Int64?
  ) {
    let lru = curve.lruHitRates(upTo: experts)
    let optimal = curve.optimalHitRates(upTo: experts)
    let sizes = isShort ? Self.shownSizes(lru, optimal) : Array(lru.indices)
    for size in sizes {
      rows.append(
        Row(
          kind: kind, layer: layer, model: use.model, experts: size,
          share: Double(size) / Double(max(experts, 1)), bytes: bytes(size, lru[size]), lru: lru[size],
          optimal: optimal?[size]))
    }
  }

  /// Sixteenths of all, and where a curve reaches 50, 80, 90, 95 and 99 %.
  private static func shownSizes(_ lru: [Double], _ optimal: [Double]?) -> [Int] {
    guard let last = lru.indices.last, last > 0 else { return [] }
    var sizes = Set((1...16).map { max(1, last * $0 / 16) })
    for rate in [0.5, 0.8, 0.9, 0.95, 0.99] {
      for curve in [lru, optimal ?? []] {
        if let size = curve.firstIndex(where: { $0 >= rate }) { sizes.insert(size) }
      }
    }
    return sizes.sorted()
  }

  private static func bytes(_ layers: [ExpertLayerUse], holding experts: Int) -> Int64? {
    var sum: Int64 = 0
    for layer in layers {
      guard let each = layer.layer.bytes else { return nil }
      let (bytes, overflow) = each.multipliedReportingOverflow(by: Int64(min(experts, layer.experts.count)))
      let (total, overflow2) = sum.addingReportingOverflow(bytes)
      guard !overflow, !overflow2 else { return nil }
      sum = total
    }
    return sum
  }

  public static let columns = [
    Column("cache", isText: true), Column("layer", isShown: false), Column("experts"),
    Column("share", "of all", .share), Column("bytes", "bytes", .bytes), Column("lru", "LRU hits", .share),
    Column("optimal", "optimal hits", .share),
  ]

  public var extraColumns: [Column] { hasModels ? [Column("model")] : [] }
  public func extraCells(_ row: Row) -> [Cell] { hasModels ? [Cell(row.model)] : [] }

  public static func cells(_ row: Row) -> [Cell] {
    [
      .text(row.kind.rawValue), Cell(row.layer), Cell(row.experts), .decimal(row.share), Cell(row.bytes),
      .decimal(row.lru), Cell(row.optimal),
    ]
  }
}
