import TraceModel

/// Time per named node, most first.
public struct NodeTable: StatisticsTable, Sendable {
  public struct Row: Sendable, Equatable {
    public var name: String
    public var op: String
    public var type: String?
    /// Elements per dimension; fewer than four where a trace tells fewer.
    public var shape: [Int64]
    public var layer: Int?
    public var part: ModelPart
    public var totals: OperatorTotals
    /// Moved by one execution (all sources read, the result written); the mean where executions
    /// differ, as with a growing key-value cache; nil where unknown.
    public var bytes: Int64?
    /// Floating-point operations of one execution, likewise.
    public var flops: Int64?
    /// Sums over all threads and executions; empty in a recording without counters.
    public var counters = CounterTotals()
    /// How fast it was; nil without a model of the machine.
    public var performance: Performance?
  }

  public var rows: [Row]
  private let counters: [CounterColumn]
  private let performance: PerformanceColumns?

  public var extraColumns: [Column] {
    let counted = CounterTotals.columns(counters, behind: Self.columns)
    return counted + (performance?.columns(behind: Self.columns + counted) ?? [])
  }

  public func extraCells(_ row: Row) -> [Cell] {
    row.counters.cells(counters)
      + (performance?.cells(row.performance, row.counters, count: row.totals.count) ?? [])
  }

  /// - Parameters:
  ///   - phases: the steps to count.
  ///   - counters: of the recording.
  ///   - roofline: of the same phases.
  ///   - traffic: which of the counters tells of bytes.
  public init(
    _ statistics: OperatorStatistics, phases: Set<Phase>, counters: [CounterColumn] = [],
    roofline: RooflineModel? = nil, traffic: CountedTraffic? = nil
  ) {
    self.counters = counters
    performance = roofline.map { _ in PerformanceColumns(counters: counters, traffic: traffic) }
    struct Key: Hashable {
      var name: String
      var op: String
      var type: String
      var shape: [Int64]
    }
    var indexOfKey: [Key: Int] = [:]
    var samples: [OperatorSample] = []
    var found: [Row] = []
    let sums = statistics.totals(of: phases)
    statistics.forEachSlot(of: phases, sums) { slot, totals, work, balance in
      guard totals.count > 0 else { return }
      let entry = statistics.catalog.entries[slot]
      let isKnown = UInt32(slot) != NodeCatalog.unknown
      let key = Key(name: entry.name, op: entry.op, type: entry.type, shape: entry.shape)
      let index = indexOfKey[key] ?? found.count
      if index == found.count {
        indexOfKey[key] = index
        samples.append(OperatorSample())
        found.append(
          Row(
            name: entry.name, op: entry.op, type: isKnown ? entry.type : nil, shape: entry.shape,
            layer: entry.layer, part: entry.part, totals: OperatorTotals(), bytes: nil, flops: nil))
      }
      if slot < sums.counters.count { found[index].counters.merge(sums.counters[slot]) }
      samples[index].add(totals, work, balance, isFused: entry.isFused)
    }
    for index in found.indices {
      let sample = samples[index]
      let count = Int64(clamping: sample.totals.count)
      found[index].totals = sample.totals
      found[index].bytes = sample.work.bytes.map { $0 / count }
      found[index].flops = sample.work.flops.map { $0 / count }
      found[index].performance = roofline?.performance(of: sample)
    }
    rows = found
    rows.sort { ($1.totals.total, $0.name, $0.op) < ($0.totals.total, $1.name, $1.op) }
  }

  public static let columns = [
    Column("name", "node", isText: true), Column("op", "operator", isText: true), Column("ne0"),
    Column("ne1"), Column("ne2"), Column("ne3"), Column("count"), Column("total_ns", "total", .nanoseconds),
    Column("mean_ns", "mean", .nanoseconds), Column("bytes", "moved", .bytes), Column("flops"),
    // Additions to the interface.
    Column("type", isText: true), Column("layer", isShown: false), Column("part", isText: true),
    Column("barrier_ns", "barrier", .nanoseconds), Column("min_ns", "min", .nanoseconds, isShown: false),
    Column("max_ns", "max", .nanoseconds, isShown: false),
    Column("all_threads_ns", "all threads", .nanoseconds, isShown: false),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    let totals = row.totals
    func dimension(_ index: Int) -> Cell { index < row.shape.count ? .integer(row.shape[index]) : .missing }
    return [
      .text(row.name), .text(row.op), dimension(0), dimension(1), dimension(2), dimension(3),
      Cell(totals.count), .integer(totals.total), .integer(totals.mean), Cell(row.bytes), Cell(row.flops),
      Cell(row.type), Cell(row.layer), .text(row.part.rawValue), .integer(totals.barrier),
      .integer(totals.minimum), .integer(totals.maximum), .integer(totals.allThreads),
    ]
  }
}
