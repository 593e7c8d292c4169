import TraceModel

/// Columns of how fast operators were, behind all others of a table.
struct PerformanceColumns: Sendable {
  let counters: [CounterColumn]
  let traffic: CountedTraffic?

  private static let fixed = [
    Column("bytes_per_s", "moved/s", .bytesPerSecond), Column("flops_per_s", "computed/s", .flopsPerSecond),
    Column("intensity", isShown: false), Column("imbalance", "imbalance", isShown: false),
    Column("probe_ns", "probes", .nanoseconds, isShown: false),
    Column("memory_share", "of memory", .share), Column("compute_share", "of peak", .share),
    Column("bound", isText: true),
  ]

  func columns(behind others: [Column]) -> [Column] {
    var names = Set((others + Self.fixed).map(\.name))
    func unique(_ name: String) -> String {
      var name = name
      while !names.insert(name).inserted { name += "_counter" }
      return name
    }
    return Self.fixed
      + (traffic == nil ? [] : [Column(unique("counted_bytes"), "counted", .bytes)])
      + counters.map { Column(unique($0.name + "_per_call"), isShown: false) }
  }

  /// - Parameters:
  ///   - counted: sums over all threads and executions.
  ///   - count: of the executions.
  func cells(_ performance: Performance?, _ counted: CounterTotals, count: UInt64) -> [Cell] {
    let own: [Cell] = [
      Cell(rate: performance?.bytesPerSecond), Cell(rate: performance?.flopsPerSecond),
      Cell(performance?.intensity),
      Cell(performance?.imbalance), Cell(performance?.probeTime), Cell(performance?.memoryShare),
      Cell(performance?.computeShare), Cell(performance?.bound?.rawValue),
    ]
    // Spans whose counters are not known count for none: the mean is over those that are.
    let perCall = counters.map { counter -> Cell in
      let known = counted.counted[counter.index & 7]
      guard let sum = counted[counter.index], count > 0, counted.spans > 0, known > 0 else { return .missing }
      let spansPerCall = Double(counted.spans) / Double(count)
      return .decimal(Double(sum) / Double(known) * spansPerCall)
    }
    return own + (traffic.map { [Cell($0.bytes(counted))] } ?? []) + perCall
  }
}
