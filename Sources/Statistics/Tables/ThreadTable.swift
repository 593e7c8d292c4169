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
    /// Time on a CPU inside of operators in the whole recording; nil likewise. Nanoseconds.
    public var runningInOperators: Int64?
    /// Moves between CPUs of different kinds; nil likewise, and where all CPUs are of one kind.
    public var clusterMigrations: Int?
    /// How often it was the last at a barrier in the whole recording; nil where no operator was computed together.
    public var lateness: ThreadMeetings.Lateness?

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
  ///   - meetings: how they met at barriers.
  ///   - clusters: what the CPUs of a kind are called, by CPU number.
  public init(
    _ statistics: OperatorStatistics, phases: Set<Phase>, names: [ThreadID: String],
    scheduler: SchedulerStatistics? = nil, meetings: ThreadMeetings? = nil, clusters: [Int: String] = [:]
  ) {
    rows = []
    let whole = scheduler?.isRecorded == true ? statistics.totals(of: Set(Phase.allCases)).threads : []
    let hasKinds = Set(clusters.values).count > 1
    for (index, totals) in statistics.totals(of: phases).threads.enumerated() where totals.operatorCount > 0 {
      let thread = statistics.threads[index]
      var row = Row(
        thread: thread, name: names[thread], totals: totals, scheduled: scheduler?.threads[thread])
      if let scheduled = row.scheduled, index < whole.count {
        row.runningInOperators = max(
          whole[index].operators &- scheduled.runnableInOperators &- scheduled.blockedInOperators, 0)
        row.clusterMigrations = hasKinds ? scheduled.migrationsBetween(clusters) : nil
      }
      if let meetings, meetings.meetings > 0 {
        row.lateness = meetings.lateness[thread] ?? ThreadMeetings.Lateness()
        if scheduler?.isRecorded != true { row.lateness?.heldUp = nil }
      }
      rows.append(row)
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
    Column("running_in_ops_ns", "running in operators", .nanoseconds, isShown: false),
    Column("runnable_in_ops_ns", "no CPU in operators", .nanoseconds),
    Column("blocked_in_ops_ns", "blocked in operators", .nanoseconds, isShown: false),
    Column("runnable_in_barriers_ns", "no CPU in barriers", .nanoseconds, isShown: false),
    Column("preemptions", isShown: false),
    Column("cluster_migrations", "to other kind of CPU", isShown: false),
    Column("last_arrivals", "last at barrier"), Column("late_ns", "late by", .nanoseconds, isShown: false),
    Column("held_up_ns", "held up main", .nanoseconds),
  ]

  /// Where the scheduler's events were not recorded, its fields stay empty.
  public static func cells(_ row: Row) -> [Cell] {
    let scheduled = row.scheduled
    return [
      .integer(Int64(row.thread.rawValue)), Cell(row.name), .integer(row.totals.operators),
      .integer(row.totals.barrier), Cell(scheduled?.running), Cell(scheduled?.runnable),
      Cell(scheduled?.blocked), Cell(scheduled?.migrations), Cell(row.barrierShare),
      Cell(row.totals.operatorCount), .text(row.totals.isMain ? "yes" : "no"), Cell(row.runningInOperators),
      Cell(scheduled?.runnableInOperators), Cell(scheduled?.blockedInOperators),
      Cell(scheduled?.runnableInBarriers), Cell(scheduled?.preemptions), Cell(row.clusterMigrations),
      Cell(row.lateness?.lastArrivals), Cell(row.lateness?.lateBy), Cell(row.lateness?.heldUp),
    ]
  }
}
