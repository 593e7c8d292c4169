import TraceModel

/// One row per layer and expert: what it was used for, and after how long again.
public struct ExpertHistogramTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var layer: ExpertLayer
    public var expert: Int
    public var use: ExpertLayerUse.Expert
    /// Of the layer's tokens; nil without any.
    public var share: Double?
  }

  public var rows: [Row]
  private let hasModels: Bool

  public init(_ uses: [ExpertUse]) {
    hasModels = uses.count > 1
    rows = uses.flatMap(\.layers).flatMap { layer in
      layer.experts.enumerated().map { number, expert in
        Row(
          layer: layer.layer, expert: number, use: expert,
          share: layer.tokens > 0 ? Double(expert.tokens) / Double(layer.tokens) : nil)
      }
    }
  }

  public static let columns = [
    Column("layer"), Column("expert"), Column("tokens"), Column("share", "share", .share),
    Column("prefill_tokens", "prefill"), Column("generated_tokens", "generated"), Column("uses"),
    Column("first_step", "first step"), Column("last_step", "last step"),
    Column("mean_reuse_steps", "reuse, steps"), Column("mean_reuse_experts", "reuse, experts"),
  ]

  public var extraColumns: [Column] { hasModels ? [Column("model")] : [] }
  public func extraCells(_ row: Row) -> [Cell] { hasModels ? [Cell(row.layer.model)] : [] }

  public static func cells(_ row: Row) -> [Cell] {
    let use = row.use
    func mean(_ sum: UInt64) -> Cell {
      use.uses > 1 ? .decimal(Double(sum) / Double(use.uses - 1)) : .missing
    }
    return [
      Cell(row.layer.number), Cell(row.expert), Cell(use.tokens), Cell(row.share),
      Cell(use.prefillTokens), Cell(use.generatedTokens), Cell(use.uses), Cell(use.steps?.lowerBound),
      Cell(use.steps?.upperBound), mean(use.stepDistances), mean(use.expertDistances),
    ]
  }
}

/// One row per window of token steps, layer and expert with any token in it.
public struct ExpertWindowTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var window: Int
    public var steps: ClosedRange<Int>
    public var layer: ExpertLayer
    public var expert: Int
    public var tokens: UInt32
  }

  public var rows: [Row]
  private let hasModels: Bool

  public init(_ uses: [ExpertUse]) {
    hasModels = uses.count > 1
    rows = []
    for use in uses {
      for (index, window) in use.windows.enumerated() {
        for (layer, tokens) in zip(use.layers, window.tokens) {
          for (expert, count) in tokens.enumerated() where count > 0 {
            rows.append(
              Row(window: index, steps: window.steps, layer: layer.layer, expert: expert, tokens: count))
          }
        }
      }
    }
  }

  public static let columns = [
    Column("window"), Column("first_step", "first step"), Column("last_step", "last step"), Column("layer"),
    Column("expert"), Column("tokens"),
  ]

  public var extraColumns: [Column] { hasModels ? [Column("model")] : [] }
  public func extraCells(_ row: Row) -> [Cell] { hasModels ? [Cell(row.layer.model)] : [] }

  public static func cells(_ row: Row) -> [Cell] {
    [
      Cell(row.window), Cell(row.steps.lowerBound), Cell(row.steps.upperBound), Cell(row.layer.number),
      Cell(row.expert), Cell(UInt64(row.tokens)),
    ]
  }
}
