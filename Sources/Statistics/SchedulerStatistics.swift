import TraceModel

/// What the scheduler did with one thread. Nanoseconds.
public struct ScheduledTime: Sendable, Equatable {
  public var running: Int64 = 0
  public var runnable: Int64 = 0
  public var blocked: Int64 = 0
  /// How often it went on on another CPU.
  public var migrations = 0
  /// The parts that began in an operator, and at a barrier.
  public var runnableInOperators: Int64 = 0
  public var blockedInOperators: Int64 = 0
  public var runnableInBarriers: Int64 = 0
  /// How often another task took its CPU.
  public var preemptions = 0
  /// From which CPU to which it went, and how often.
  public private(set) var moves: [CPUMove: Int] = [:]
  private var lastCPU: Int?

  /// A hostile trace may name any CPUs.
  private static let moveLimit = 4096

  public init() {}

  /// Moves between CPUs of different kinds.
  ///
  /// - Parameter clusters: what the CPUs of a kind are called, by CPU number.
  public func migrationsBetween(_ clusters: [Int: String]) -> Int {
    moves.reduce(0) { clusters[$1.key.from] == clusters[$1.key.to] ? $0 : $0 &+ $1.value }
  }

  mutating func add(_ slice: ThreadSlice) {
    let duration = max(slice.range.duration, 0)
    switch slice.activity {
    case .running:
      running &+= duration
      if slice.isMigration, let from = lastCPU, let to = slice.cpu, moves.count < Self.moveLimit {
        moves[CPUMove(from: from, to: to), default: 0] &+= 1
      }
      lastCPU = slice.cpu
    case .runnable:
      runnable &+= duration
      if slice.inside == .operator { runnableInOperators &+= duration }
      if slice.inside == .barrier { runnableInBarriers &+= duration }
      if slice.preemptor != nil { preemptions &+= 1 }
    case .blocked:
      blocked &+= duration
      if slice.inside == .operator { blockedInOperators &+= duration }
    }
    if slice.isMigration { migrations &+= 1 }
  }
}

/// A thread's way from one CPU to another.
public struct CPUMove: Sendable, Hashable {
  public var from: Int
  public var to: Int
}

/// Sums what the scheduler did with the target's threads. Empty where its events were not recorded.
public struct SchedulerStatistics: RunVisitor, Sendable {
  /// Tasks of one name that took the CPU from the target's threads inside of token steps.
  public struct Preemptors: Sendable, Equatable {
    public var name: String
    /// True for threads of the target itself.
    public var isTarget: Bool
    public var count: Int
    /// Until the threads got a CPU again. Nanoseconds.
    public var time: Int64
  }

  /// By thread, over the whole recording.
  public private(set) var threads: [ThreadID: ScheduledTime] = [:]
  /// Time inside of token steps in which threads could have run and had no CPU, nanoseconds over all threads.
  public private(set) var runnableInSteps: Int64 = 0
  /// The part of it that began in an operator, and at a barrier.
  public private(set) var runnableInOperators: Int64 = 0
  public private(set) var runnableInBarriers: Int64 = 0
  /// How often a thread was preempted inside of a token step.
  public private(set) var preemptionsInSteps = 0
  private var byTask: [Task: (count: Int, time: Int64)] = [:]

  private struct Task: Hashable {
    var name: String
    var process: UInt32?
  }

  /// A machine has some thousands of tasks; a hostile trace may name any number.
  private static let taskLimit = 4096

  public init() {}

  public var isRecorded: Bool { !threads.isEmpty }

  /// Most time first.
  ///
  /// - Parameter processes: of the target.
  public func preemptors(target processes: Set<UInt32>) -> [Preemptors] {
    struct Key: Hashable {
      var name: String
      var isTarget: Bool
    }
    var rows: [Key: Preemptors] = [:]
    for (task, sum) in byTask {
      let key = Key(name: task.name, isTarget: task.process.map(processes.contains) == true)
      let row = rows[key] ?? Preemptors(name: key.name, isTarget: key.isTarget, count: 0, time: 0)
      rows[key] = Preemptors(
        name: key.name, isTarget: key.isTarget, count: row.count &+ sum.count, time: row.time &+ sum.time)
    }
    return rows.values.sorted { ($1.time, $0.name) < ($0.time, $1.name) }
  }

  public mutating func threadSlice(_ slice: ThreadSlice) {
    threads[slice.thread, default: ScheduledTime()].add(slice)
    guard slice.activity == .runnable, slice.step != nil else { return }
    let duration = max(slice.range.duration, 0)
    runnableInSteps &+= duration
    switch slice.inside {
    case .operator: runnableInOperators &+= duration
    case .barrier: runnableInBarriers &+= duration
    case nil: break
    }
    guard let preemptor = slice.preemptor else { return }
    preemptionsInSteps &+= 1
    var task = Task(name: preemptor.name, process: preemptor.process)
    if byTask[task] == nil, byTask.count >= Self.taskLimit { task = Task(name: "(others)", process: nil) }
    let sum = byTask[task] ?? (0, 0)
    byTask[task] = (sum.count &+ 1, sum.time &+ duration)
  }
}
