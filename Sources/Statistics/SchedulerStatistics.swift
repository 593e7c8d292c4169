import TraceModel

/// What the scheduler did with one thread. Nanoseconds.
public struct ScheduledTime: Sendable, Equatable {
  public var running: Int64 = 0
  public var runnable: Int64 = 0
  public var blocked: Int64 = 0
  /// How often it went on on another CPU.
  public var migrations = 0

  public init() {}

  mutating func add(_ slice: ThreadSlice) {
    let duration = max(slice.range.duration, 0)
    switch slice.activity {
    case .running: running &+= duration
    case .runnable: runnable &+= duration
    case .blocked: blocked &+= duration
    }
    if slice.isMigration { migrations &+= 1 }
  }
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
