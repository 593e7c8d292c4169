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
    /// True when it was encoded for a device, or handed over: the times are those of that and not of the work.
    public var isEnqueue = false
  }

  public var rows: [Row]
  /// Wall time of the token steps of the selection, in nanoseconds.
  public var wallTime: Int64
  private let counters: [CounterColumn]

  /// - Parameters:
  ///   - phases: the steps to count.
  ///   - counters: of the recording.
  public init(_ statistics: OperatorStatistics, phases: Set<Phase>, counters: [CounterColumn] = []) {
    self.counters = counters
    let sums = statistics.totals(of: phases)
    let catalog = statistics.catalog
    wallTime = statistics.wallTime(of: phases)
    var totals = [OperatorTotals](repeating: OperatorTotals(), count: catalog.operators.count)
    var work = [OperatorWork](repeating: OperatorWork(bytes: 0, flops: 0), count: totals.count)
    for (slot, node) in sums.nodes.enumerated() where node.count > 0 || node.allThreads > 0 {
      let number = Int(catalog.operatorOfSlot[slot])
      totals[number].merge(node)
      work[number].add(catalog.entries[slot].work, times: node.count)
    }
    var counted = [CounterTotals](repeating: CounterTotals(), count: totals.count)
    for (slot, sums) in sums.counters.enumerated() where sums.spans > 0 {
      counted[Int(catalog.operatorOfSlot[slot])].merge(sums)
    }
    rows = []
    for (number, total) in totals.enumerated() where total.count > 0 {
      let name = catalog.operators[number]
      let durations = sums.durations[number]
      rows.append(
        Row(
          op: name.op, type: name.type, totals: total, median: durations.quantile(0.5),
          percentile95: durations.quantile(0.95),
          share: wallTime > 0 ? Double(total.total) / Double(wallTime) : nil, bytes: work[number].bytes,
          flops: work[number].flops, counters: counted[number]))
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
    return kind + CounterTotals.columns(counters, behind: Self.columns + kind)
  }

  public func extraCells(_ row: Row) -> [Cell] {
    let kind = rows.contains(where: \.isEnqueue) ? [Cell.text(row.isEnqueue ? "enqueue" : "cpu")] : []
    return kind + row.counters.cells(counters)
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

extension OperatorWork {
  /// Unknown when one of them is.
  mutating func add(_ other: OperatorWork?, times count: UInt64) {
    guard count > 0 else { return }
    bytes = Self.sum(bytes, other?.bytes, count)
    flops = Self.sum(flops, other?.flops, count)
  }

  private static func sum(_ a: Int64?, _ b: Int64?, _ count: UInt64) -> Int64? {
    guard let a, let b else { return nil }
    let (product, overflow) = b.multipliedReportingOverflow(by: Int64(clamping: count))
    let (sum, overflow2) = a.addingReportingOverflow(product)
    return overflow || overflow2 ? nil : sum
  }
}
