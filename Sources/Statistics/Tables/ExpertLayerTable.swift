import TraceModel

/// One row per layer with experts: how evenly it uses them, and what a cache of its own would hold.
public struct ExpertLayerTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var use: ExpertLayerUse
    /// nil for a layer without tokens.
    public var balance: ExpertBalance?
  }

  public var rows: [Row]
  private let hasModels: Bool

  public init(_ uses: [ExpertUse]) {
    hasModels = uses.count > 1
    rows = uses.flatMap(\.layers).map { Row(use: $0, balance: ExpertBalance($0)) }
  }

  public static let columns = [
    Column("layer"), Column("experts"), Column("used", "a token"), Column("routings"),
    Column("never_used", "never used"), Column("never_used_at_random", "at random"),
    Column("max_over_mean", "max/mean"), Column("gini"), Column("busiest"),
    Column("busiest_share", "its share", .share), Column("experts_of_80_percent", "80 % by"),
    Column("uses", isShown: false), Column("first_uses", isShown: false),
    Column("lru_50", "LRU 50 %", isShown: false), Column("lru_90", "LRU 90 %"),
    Column("optimal_50", "optimal 50 %", isShown: false), Column("optimal_90", "optimal 90 %"),
    Column("expert_bytes", "an expert", .bytes),
  ]

  public var extraColumns: [Column] { hasModels ? [Column("model")] : [] }
  public func extraCells(_ row: Row) -> [Cell] { hasModels ? [Cell(row.use.layer.model)] : [] }

  public static func cells(_ row: Row) -> [Cell] {
    let (use, balance) = (row.use, row.balance)
    let share = balance.flatMap { balance in
      use.tokens > 0 ? Double(use.experts[balance.busiest].tokens) / Double(use.tokens) : nil
    }
    return [
      Cell(use.layer.number), Cell(use.layer.experts), Cell(use.layer.used), Cell(use.routings),
      Cell(balance?.neverUsed), Cell(balance?.neverUsedAtRandom), Cell(balance?.maxOverMean),
      Cell(balance?.gini), Cell(balance?.busiest), Cell(share), Cell(balance?.expertsOfFourFifths),
      Cell(use.cache.uses), Cell(use.cache.firstUses), Cell(use.cache.lruExperts(forHitRate: 0.5)),
      Cell(use.cache.lruExperts(forHitRate: 0.9)), Cell(use.cache.optimalExperts(forHitRate: 0.5)),
      Cell(use.cache.optimalExperts(forHitRate: 0.9)), Cell(use.layer.bytes),
    ]
  }
}
