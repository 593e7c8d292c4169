import TraceModel

/// What can make a token slow.
public enum Cause: String, Sendable, CaseIterable {
  case operators, barrier, preemption, migration, blocked
  case pageFaults = "page_faults"
  case expertMisses = "expert_misses"
  case frequency
  case contextGrowth = "kv_growth"
  /// Graphs of other backends, or whole graphs where operators were not recorded.
  case graphs
  case setup, sampling, outside, other, unexplained

  /// In words.
  public var title: String {
    switch self {
    case .operators: "operators"
    case .barrier: "barrier waits"
    case .preemption: "preemption"
    case .migration: "migration"
    case .blocked: "asleep in operators"
    case .pageFaults: "page faults"
    case .expertMisses: "expert misses"
    case .frequency: "clock frequency"
    case .contextGrowth: "growth of the context"
    case .graphs: "other graphs"
    case .setup: "setup"
    case .sampling: "sampling"
    case .outside: "outside the engine"
    case .other: "other"
    case .unexplained: "unexplained"
    }
  }
}

/// Why a token step, with what follows it, took longer or shorter than such steps take.
///
/// The time explained is the wall time of the step on the thread that calls the engine, of the samplers
/// behind it, and, when another token follows, of the caller's own code up to that. `excess` is how much more
/// that is than an undisturbed step of the same kind at the typical place in the context of this run takes
/// (`Expectations`); `parts` add up to it exactly. Each part claims what the recording shows and no more:
///
/// - `kv_growth`: what is expected here less what is expected at the typical place;
/// - `preemption`, `migration`: time in which the thread had no CPU, or longer waits for one that had none;
///   and what operators took longer than expected while another thread of the graph had no CPU, up to that
///   time;
/// - `blocked`: time in which the thread slept in operators: for a disk, a lock, or other threads in the
///   middle of one;
/// - `page_faults`: waits for pages, and what operators with page faults took longer than expected; those of
///   operators that read experts are `expert_misses`;
/// - `frequency`, and for a slower kind of CPU `migration`: what operators that took longer than expected
///   would have taken longer if their speed followed the clock (or the CPU's capacity), and no more than they
///   did;
/// - `operators`, `barrier`, `graphs`, `setup`, `sampling`, `outside`, `other`: what is left of each over
///   what is expected of it here;
/// - `unexplained`: likewise, of time in nothing that was recorded.
public struct Explanation: Sendable {
  public struct Part: Sendable, Equatable {
    public var cause: Cause
    /// Nanoseconds, negative for time saved; nil where the recording cannot tell.
    public var time: Int64?
    public var details: [Detail] = []
  }

  public struct Detail: Sendable, Equatable {
    public var name: String
    /// Nanoseconds; nil for a mere count.
    public var time: Int64?
    public var count: Int?
  }

  public var step: StepAccount
  /// Nanoseconds: of the step, and of all that is explained.
  public var duration: Int64
  public var explained: Int64
  /// Expected at this place and at the typical one; nil when there are too few steps to compare with.
  public var expected: Int64?
  public var typical: Int64?
  public var typicalPlace: ContextPlace
  /// Steps that it is compared with.
  public var peers: Int
  public var parts: [Part] = []
  /// What was not recorded, and how to.
  public var missing: [String] = []
  /// What makes this explanation doubtful.
  public var notes: [String] = []

  /// Over the typical expectation; nil without one.
  public var excess: Int64? { typical.map { explained &- $0 } }
  /// Over what is expected at this place: without the growth of the context.
  public var surprise: Int64? { expected.map { explained &- $0 } }

  public func time(_ cause: Cause) -> Int64? { parts.first { $0.cause == cause }?.time }
}
