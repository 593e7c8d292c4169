/// What the scheduler did with a thread.
public enum ThreadActivity: String, Sendable, Hashable, CaseIterable {
  case running
  /// Could run, but another task has the CPU.
  case runnable
  /// Waits for something: a lock, a disk, a timer; or stopped.
  case blocked
}

/// A task that got the CPU in a thread's place. Whom it left it to is not recorded, unless to another of the
/// target's threads.
public struct Preemptor: Sendable, Hashable {
  public var thread: ThreadID
  /// nil where the kernel does not tell.
  public var process: UInt32?
  /// `comm`, with bytes that are no UTF-8 replaced.
  public var name: String

  public init(thread: ThreadID, process: UInt32?, name: String) {
    self.thread = thread
    self.process = process
    self.name = name
  }
}

/// A stretch in which a thread was running, runnable or blocked.
public struct ThreadSlice: Sendable {
  /// What the thread was computing when the stretch began.
  public enum Inside: String, Sendable, Hashable {
    case `operator`
    /// At the barrier behind an operator.
    case barrier
  }

  public var thread: ThreadID
  public var range: TimeRange
  public var activity: ThreadActivity
  /// Of a running stretch; of the others, where the thread ran before. nil where unknown.
  public var cpu: Int?
  /// True for a running stretch on another CPU than the thread's last one.
  public var isMigration: Bool
  /// Who took the CPU; only of a thread that was preempted, so only of a runnable stretch.
  public var preemptor: Preemptor?
  /// Who got the CPU when a running stretch ended; nil when it became idle, or where that is not known.
  public var successor: Preemptor?
  /// Where the thread went on behind a runnable stretch; nil where unknown.
  public var nextCPU: Int?
  /// The token step in which the stretch began, nil outside of any.
  public var step: Int?
  /// nil outside of operators and barriers.
  public var inside: Inside?

  public init(
    thread: ThreadID, range: TimeRange, activity: ThreadActivity, cpu: Int?, isMigration: Bool = false,
    preemptor: Preemptor? = nil, successor: Preemptor? = nil, nextCPU: Int? = nil, step: Int? = nil,
    inside: Inside? = nil
  ) {
    self.thread = thread
    self.range = range
    self.activity = activity
    self.cpu = cpu
    self.isMigration = isMigration
    self.preemptor = preemptor
    self.successor = successor
    self.nextCPU = nextCPU
    self.step = step
    self.inside = inside
  }
}
