import TraceModel

extension CounterTotals {
  /// A column for each counter, and two that say how far to trust them; none without counters.
  static func columns(_ counters: [CounterColumn], behind columns: [Column]) -> [Column] {
    guard !counters.isEmpty else { return [] }
    return Column.counters(counters, behind: columns) + [
      Column("counter_coverage", "counted", .share),
      Column("counter_other_tasks", isText: true, isShown: false),
    ]
  }

  /// One cell per column of `columns`: sums over the spans where a counter is known, the share of spans with a
  /// value, and whether other tasks may be in the sums.
  func cells(_ counters: [CounterColumn]) -> [Cell] {
    guard !counters.isEmpty else { return [] }
    let sums = counters.map { Cell(counter: self[$0.index]) }
    guard spans > 0 else { return sums + [.missing, .missing] }
    return sums + [Cell(coverage(counters)), .text(mayIncludeOtherTasks ? "yes" : "no")]
  }
}
