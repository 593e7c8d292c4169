import TraceModel

/// A thread, as far as each operator record needs it. Plain data: the fast path touches nothing else.
struct ThreadState {
  enum Activity: UInt8 {
    case idle
    /// Between an operator's begin and its end.
    case inOperator
    /// At the barrier behind it.
    case inBarrier
  }

  var tid: UInt32
  /// Index of the caller, -1 while the thread has only worked for others.
  var caller: Int32 = -1
  /// Slot of the run that the thread works on, valid while the generation is the slot's.
  var run: Int32 = -1
  var runGeneration: UInt32 = 0
  /// The thread whose graphs it worked on last: thread pools stay with their context.
  var affinity: Int32 = -1
  /// Expected next position in the structure's execution order.
  var cursor: Int32 = 0
  var activity = Activity.idle
  var lastTime: UInt64 = 0
  /// Of a caller: everything up to here is in a span or a gap; `unaccounted` before its first event.
  var accountedUntil = Self.unaccounted
  static let unaccounted = UInt64.max

  // The open operator: what its span needs beside the run and the thread.

  /// In the execution order, -1 where unknown.
  var position: Int32 = -1
  var node: Int32 = -1
  var lastNode: Int32 = -1
  var begin: UInt64 = 0
  /// Valid at its barrier: the end of the wait as far as it is known, and the arrival.
  var barrierEnd: UInt64 = 0
  var end: UInt64 = 0
}

/// A CPU graph that is being computed.
struct RunSlot {
  var isActive = false
  /// Changes with each use of the slot, so that threads notice that their run is over.
  var generation: UInt32 = 0
  /// Index of the thread that computes it.
  var owner: Int32 = -1
  var index: Int32 = -1
  var step: Int32 = -1
  var structure: StructureIndex?
  /// Copies from the structure, to spare the fast path a reference.
  var executed: UnsafeMutablePointer<ExecutedNode>?
  var executedCount: Int32 = 0
  var structureNumber: UInt32 = 0
  var begin: UInt64 = 0
  var nodeCount = 0
  var threadCount = 0
  /// Begins in order, over all threads.
  var begun = 0
  /// Different operators begun.
  var operators = 0
  /// Threads that work for it, the owner not among them.
  var workers: [Int32] = []
  var hasOwnerOperator = false
  /// False when the operator probes were out for a part of it.
  var hasOperatorProbes = true
}

/// An open graph call of a thread; backend graphs may contain CPU graphs.
struct GraphFrame {
  var kind: UInt8
  /// Slot of a CPU run, -1 for a backend's.
  var slot: Int32
  var begin: UInt64
  var backend: UInt64
  var nodeCount: Int
  /// A graph was computed inside: then this frame only wraps it.
  var wraps = false
  var structure: StructureIndex?
  /// Where the thread's counters stood at its begin, in a trace with counters; else empty.
  var counters: [CounterMark] = []
}

/// An open token step.
struct OpenStep {
  var index: Int
  var begin: UInt64
  var context: UInt64
  /// Calls that are open, outermost first; empty for a step that is a micro-batch.
  var calls: [UInt8]
  var callTokens: Int?
  var ubatchTokens = 0
  var ubatches = 0
  /// Tokens of the micro-batches before the current one.
  var ubatchOffset = 0
  var isUbatchOpen = false
  var position: Int?
  var isWarmup: Bool
  var isFirstOfContext: Bool
  var isWhole: Bool
  var graphs = 0
  var operators = 0
  var begun = 0
  var expected = 0
  /// A CPU graph without structure makes the expectation unknown.
  var isExpectationKnown = true
  var role = SpeculativeRole.none
  var hasOperatorProbes = true
  /// Where the thread's counters stood at its begin; empty where they were not recorded there.
  var counters: [CounterMark] = []

  var tokenCount: Int? { callTokens ?? (ubatches > 0 ? ubatchTokens : nil) }
}

/// A finished step that waits for the next one to tell whether it was a warm-up.
struct HeldStep {
  var step: TokenStep
  var mayBeWarmup: Bool
}

/// What few callers have; apart, so that `Caller` stays small.
struct CallerExtras {
  var enqueue: EnqueueSpan?
  var round: OpenRound?
}

/// A thread that calls the engine.
struct Caller {
  var thread: Int32
  var walk: StructureWalk?
  var step: OpenStep?
  var held: HeldStep?
  /// The step before the open one.
  var previous: TokenStep?
  var graphs: [GraphFrame] = []
  /// Open samplers, outermost first.
  var samplers: [UInt8] = []
  var samplingSince: UInt64 = 0
  var sampledSinceStep = false
  var isWarmingUp = false
  var contexts: Set<UInt64> = []
}
