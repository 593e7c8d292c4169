import TraceModel

/// One row per thread that computed operators.
public struct ThreadTable: StatisticsTable, Sendable {
  public struct Row: Sendable, Equatable {
    public var thread: ThreadID
    /// The thread's name; nil where it was not recorded.
    public var name: String?
    public var totals: ThreadTotals
    /// What the scheduler did with it in the whole recording; nil where that was not recorded.
    public var scheduled: ScheduledTime?

    /// Waiting time of the time in graphs; nil without any.
    public var barrierShare: Double? {
      let sum = totals.operators &+ totals.barrier
      return sum > 0 ? Double(totals.barrier) / Double(sum) : nil
    }
  }

  /// Main threads first, then by number.
  public var rows: [Row]

  /// - Parameters:
  ///   - phases: the steps to count.
  ///   - names: of the threads, as the trace tells them.
  ///   - scheduler: what the scheduler did with them, where that was recorded.
  public init(
    _ statistics: OperatorStatistics, phases: Set<Phase>, names: [ThreadID: String],
    scheduler: SchedulerStatistics? = nil
  ) {
    rows = []
    for (index, totals) in statistics.totals(of: phases).threads.enumerated() where totals.operatorCount > 0 {
      let thread = statistics.threads[index]
      rows.append(
        Row(
          thread: thread, name: names[thread], totals: totals, scheduled: scheduler?.threads[thread]))
    }
    rows.sort { ($0.totals.isMain ? 0 : 1, $0.thread) < ($1.totals.isMain ? 0 : 1, $1.thread) }
  }

  public static let columns = [
    Column("tid"), Column("comm", "thread", isText: true), Column("op_ns", "in operators", .nanoseconds),
    Column("barrier_ns", "in barriers", .nanoseconds), Column("running_ns", "running", .nanoseconds),
    Column("runnable_ns", "runnable", .nanoseconds), Column("blocked_ns", "blocked", .nanoseconds),
    Column("migrations"),
    // Additions to the interface.
    Column("barrier_share", "barrier share", .share), Column("n_ops", "operators"),
    Column("main", isText: true),
  ]

  /// Where the scheduler's events were not recorded, its fields stay empty.
  public static func cells(_ row: Row) -> [Cell] {
    let scheduled = row.scheduled
    return [
      .integer(Int64(row.thread.rawValue)), Cell(row.name), .integer(row.totals.operators),
      .integer(row.totals.barrier), Cell(scheduled?.running), Cell(scheduled?.runnable),
      Cell(scheduled?.blocked), Cell(scheduled?.migrations), Cell(row.barrierShare),
      Cell(row.totals.operatorCount), .text(row.totals.isMain ? "yes" : "no"),
    ]
  }
}
