import TraceModel

/// Time per operator type, most first.
public struct OperatorTable: StatisticsTable, Sendable {
  public struct Row: Sendable, Equatable {
    /// As the target names it, such as `MUL_MAT`; fused ones `RMS_NORM+MUL`; `unknown` where the
    /// structure of the graph was not recorded.
    public var op: String
    /// Type of the weights (first source) of MUL_MAT, MUL_MAT_ID, OUT_PROD and GET_ROWS, else of
    /// the result; nil where unknown.
    public var type: String?
    public var totals: OperatorTotals
    /// Median and 95th percentile of the main thread's time; see `QuantileSketch`.
    public var median: Int64?
    public var percentile95: Int64?
    /// Of the wall time of the token steps selected; nil without any.
    public var share: Double?
    /// Of all executions; nil where it is not known of one of them.
    public var bytes: Int64?
    public var flops: Int64?
    /// Sums over all threads and executions; empty in a recording without counters.
    public var counters = CounterTotals()
    /// How fast it was; nil without a model of the machine, and for what was enqueued.
    public var performance: Performance?
    /// True when it was encoded for a device, or handed over: the times are those of that and not of the work.
    public var isEnqueue = false
  }

  public var rows: [Row]
  /// Wall time of the token steps of the selection, in nanoseconds.
  public var wallTime: Int64
  private let counters: [CounterColumn]
  private let performance: PerformanceColumns?

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
    let sums = statistics.totals(of: phases)
    let catalog = statistics.catalog
    wallTime = statistics.wallTime(of: phases)
    var samples = [OperatorSample](repeating: OperatorSample(), count: catalog.operators.count)
    statistics.forEachSlot(of: phases, sums) { slot, totals, work, balance in
      samples[Int(catalog.operatorOfSlot[slot])].add(
        totals, work, balance, isFused: catalog.entries[slot].isFused)
    }
    var counted = [CounterTotals](repeating: CounterTotals(), count: samples.count)
    for (slot, sums) in sums.counters.enumerated() where sums.spans > 0 {
      counted[Int(catalog.operatorOfSlot[slot])].merge(sums)
    }
    rows = []
    for (number, sample) in samples.enumerated() where sample.totals.count > 0 {
      let name = catalog.operators[number]
      let durations = sums.durations[number]
      let total = sample.totals
      rows.append(
        Row(
          op: name.op, type: name.type, totals: total, median: durations.quantile(0.5),
          percentile95: durations.quantile(0.95),
          share: wallTime > 0 ? Double(total.total) / Double(wallTime) : nil, bytes: sample.work.bytes,
          flops: sample.work.flops, counters: counted[number],
          performance: roofline?.performance(of: sample)))
    }
    addEnqueues(sums, catalog)
    rows.sort { ($1.totals.total, $0.op, $0.type ?? "") < ($0.totals.total, $1.op, $1.type ?? "") }
  }

  private mutating func addEnqueues(_ sums: PhaseTotals, _ catalog: NodeCatalog) {
    var totals = [OperatorTotals](repeating: OperatorTotals(), count: catalog.operators.count)
    for (slot, total) in sums.enqueues.enumerated() where total.count > 0 {
      totals[Int(catalog.operatorOfSlot[slot])].merge(total)
    }
    for (number, total) in totals.enumerated() where total.count > 0 {
      let name = catalog.operators[number]
      let durations = sums.enqueueDurations[number]
      rows.append(
        Row(
          op: name.op, type: name.type, totals: total, median: durations.quantile(0.5),
          percentile95: durations.quantile(0.95),
          share: wallTime > 0 ? Double(total.total) / Double(wallTime) : nil, bytes: nil, flops: nil,
          isEnqueue: true))
    }
  }

  public var extraColumns: [Column] {
    let kind = rows.contains(where: \.isEnqueue) ? [Column("kind", isText: true)] : []
    let counted = kind + CounterTotals.columns(counters, behind: Self.columns + kind)
    return counted + (performance?.columns(behind: Self.columns + counted) ?? [])
  }

  public func extraCells(_ row: Row) -> [Cell] {
    let kind = rows.contains(where: \.isEnqueue) ? [Cell.text(row.isEnqueue ? "enqueue" : "cpu")] : []
    return kind + row.counters.cells(counters)
      + (performance?.cells(row.performance, row.counters, count: row.totals.count) ?? [])
  }

  public static let columns = [
    Column("op", "operator", isText: true), Column("type", isText: true), Column("count"),
    Column("total_ns", "total", .nanoseconds), Column("mean_ns", "mean", .nanoseconds),
    Column("p50_ns", "p50", .nanoseconds), Column("p95_ns", "p95", .nanoseconds),
    Column("share", "share", .share),
    // Additions to the interface.
    Column("barrier_ns", "barrier", .nanoseconds), Column("min_ns", "min", .nanoseconds, isShown: false),
    Column("max_ns", "max", .nanoseconds), Column("all_threads_ns", "all threads", .nanoseconds),
    Column("bytes", "moved", .bytes), Column("flops", isShown: false),
    Column("repaired", isShown: false),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    let totals = row.totals
    return [
      .text(row.op), Cell(row.type), Cell(totals.count), .integer(totals.total), .integer(totals.mean),
      Cell(row.median), Cell(row.percentile95), Cell(row.share), .integer(totals.barrier),
      .integer(totals.minimum), .integer(totals.maximum), .integer(totals.allThreads), Cell(row.bytes),
      Cell(row.flops), Cell(totals.repaired),
    ]
  }
}

extension OperatorTotals {
  /// Mean of the main thread's time, rounded.
  public var mean: Int64 {
    guard count > 0 else { return 0 }
    return Int64(clamping: (UInt64(clamping: total) &+ count / 2) / count)
  }
}
