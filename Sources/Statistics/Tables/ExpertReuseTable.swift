import TraceModel

/// One row per range of distances to the last use, with the time of the products with experts at that distance.
public struct ExpertReuseTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public var model: Int
    public var bucket: ExpertReuse.Bucket
    /// Of all uses.
    public var share: Double
  }

  public var rows: [Row]
  private let hasModels: Bool

  public init(_ uses: [ExpertUse]) {
    hasModels = uses.count > 1
    rows = uses.flatMap { use in
      let all = use.reuse.buckets.reduce(0) { $0 + Double($1.uses) }
      return use.reuse.buckets.map {
        Row(model: use.model, bucket: $0, share: all > 0 ? Double($0.uses) / all : 0)
      }
    }
  }

  public static let columns = [
    Column("distance", isText: true), Column("from_steps", isShown: false),
    Column("to_steps", isShown: false),
    Column("uses"), Column("share", "share", .share), Column("samples", "decode samples"),
    Column("mean_op_ns", "mean MUL_MAT_ID", .nanoseconds), Column("mean_major_faults", "mean major faults"),
  ]

  public var extraColumns: [Column] { hasModels ? [Column("model")] : [] }
  public func extraCells(_ row: Row) -> [Cell] { hasModels ? [Cell(row.model)] : [] }

  public static func cells(_ row: Row) -> [Cell] {
    let bucket = row.bucket
    var text = "first use"
    if let range = bucket.distances {
      text = range.count == 1 ? "\(range.lowerBound)" : "\(range.lowerBound)-\(range.upperBound)"
    }
    return [
      .text(text), Cell(bucket.distances?.lowerBound), Cell(bucket.distances?.upperBound), Cell(bucket.uses),
      .decimal(row.share), Cell(bucket.samples), Cell(bucket.meanTime), Cell(bucket.meanMajorFaults),
    ]
  }
}
