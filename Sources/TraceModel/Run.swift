/// What a token step was for.
public enum Phase: String, Sendable, Hashable, CaseIterable {
  case prefill, decode, draft, verify, warmup, unknown
}

/// One call that produces logits.
public struct TokenStep: Sendable {
  /// 0, 1, 2 … in order of start.
  public var index: Int
  public var thread: ThreadID
  public var range: TimeRange
  public var phase: Phase
  /// Tokens of the call; nil where neither the call nor its micro-batches told.
  public var tokenCount: Int?
  /// Position of the first token in its sequence; nil where it could not be read.
  public var position: Int?
  /// The `llama_context *`.
  public var context: UInt64
  public var graphCount: Int
  /// Operators executed, each counted once however many threads shared it.
  public var operatorCount: Int
  /// Operator spans seen over those that the recorded structure asks for, 0…1; nil
  /// without structure or at a level without operators.
  public var coverage: Double?
  /// False when the step's end was not recorded (the trace stops inside it).
  public var isComplete: Bool
  /// False when the recorder had taken the operator probes out for a part of the step.
  public var hasOperatorProbes: Bool
  /// What the calling thread counted from the step's begin to its end; nil without counters.
  public var counters: CounterDelta? {
    get { counterBox.first }
    set { counterBox = newValue.map { [$0] } ?? [] }
  }
  /// Outside of the structure, so that it stays small where there are no counters.
  private var counterBox: [CounterDelta] = []

  public init(
    index: Int, thread: ThreadID, range: TimeRange, phase: Phase, tokenCount: Int?, position: Int?,
    context: UInt64, graphCount: Int, operatorCount: Int, coverage: Double?, isComplete: Bool,
    hasOperatorProbes: Bool = true, counters: CounterDelta? = nil
  ) {
    self.index = index
    self.thread = thread
    self.range = range
    self.phase = phase
    self.tokenCount = tokenCount
    self.position = position
    self.context = context
    self.graphCount = graphCount
    self.operatorCount = operatorCount
    self.coverage = coverage
    self.isComplete = isComplete
    self.hasOperatorProbes = hasOperatorProbes
    self.counters = counters
  }
}

/// One computation of a graph on one backend.
public struct GraphRun: Sendable {
  /// 0, 1, 2 … in order of start.
  public var index: Int
  /// The token step around it, nil outside of any.
  public var step: Int?
  public var thread: ThreadID
  public var range: TimeRange
  /// The structure number, nil where none was recorded.
  public var structure: UInt32?
  /// `CPU`, or the backend's name as far as the trace tells.
  public var backend: String
  public var nodeCount: Int
  public var threadCount: Int
  public var isComplete: Bool
  /// True for a graph of `ggml_graph_compute`, whose operators the recorder sees; false for one that was seen only as
  /// a backend's.
  public var isCPUGraph: Bool
  /// What the thread that computes it counted from begin to end; nil without counters.
  public var counters: CounterDelta? {
    get { counterBox.first }
    set { counterBox = newValue.map { [$0] } ?? [] }
  }
  /// Outside of the structure, so that it stays small where there are no counters.
  private var counterBox: [CounterDelta] = []

  public init(
    index: Int, step: Int?, thread: ThreadID, range: TimeRange, structure: UInt32?, backend: String,
    nodeCount: Int, threadCount: Int, isComplete: Bool, isCPUGraph: Bool = true,
    counters: CounterDelta? = nil
  ) {
    self.index = index
    self.step = step
    self.thread = thread
    self.range = range
    self.structure = structure
    self.backend = backend
    self.nodeCount = nodeCount
    self.threadCount = threadCount
    self.isComplete = isComplete
    self.isCPUGraph = isCPUGraph
    self.counters = counters
  }
}

/// The work of a node on one thread, from its start to the thread's arrival at the barrier.
///
/// Kept small and free of references: a long trace has hundreds of millions.
public struct OperatorSpan: Sendable {
  /// Index of the graph run, -1 where no graph was recorded around it.
  public var graph: Int32
  /// Index of the token step, -1 outside of any.
  public var step: Int32
  /// Structure number, 0 where unknown.
  public var structure: UInt32
  /// Index in the structure's nodes, -1 where unknown.
  public var node: Int32
  /// Last node of a fused operator; equal to `node` for a plain one.
  public var lastNode: Int32
  public var thread: ThreadID
  public var range: TimeRange
  /// The barrier wait that follows on this thread: from arrival to the thread's next
  /// operator (or the end of its graph). Empty (start == end) where none was recorded.
  public var barrier: TimeRange
  /// True on the thread that computes the graph (the caller of `ggml_graph_compute`).
  public var isMainThread: Bool
  /// True when the end is a guess because records around it were lost.
  public var isRepaired: Bool

  public init(
    graph: Int32, step: Int32, structure: UInt32, node: Int32, lastNode: Int32, thread: ThreadID,
    range: TimeRange, barrier: TimeRange, isMainThread: Bool, isRepaired: Bool
  ) {
    self.graph = graph
    self.step = step
    self.structure = structure
    self.node = node
    self.lastNode = lastNode
    self.thread = thread
    self.range = range
    self.barrier = barrier
    self.isMainThread = isMainThread
    self.isRepaired = isRepaired
  }
}

/// A stretch of a thread between token steps, graphs and operators that has a name.
public enum GapKind: String, Sendable, Hashable, CaseIterable {
  /// Inside a token step, before its first graph: batch set-up, building and scheduling the graph.
  case setup
  /// Inside a token step, between two graphs.
  case betweenGraphs = "between graphs"
  /// Inside a token step, after its last graph: copying logits out.
  case finish
  /// Inside a graph run on the thread that computes it, before the first or after the last
  /// operator: waking and joining threads.
  case graphOverhead = "graph overhead"
  /// Inside a graph run, while the recorder had taken the operator probes out.
  case notProbed = "operators not probed"
  /// In a sampler.
  case sampling
  /// Between token steps, in no sampler: the caller's own work, detokenising, waiting for requests.
  case outsideEngine = "outside the engine"
}

public struct GapSpan: Sendable {
  public var kind: GapKind
  /// The step it lies in, or the step before it for `sampling` and `outsideEngine`; nil before the first.
  public var step: Int?
  public var thread: ThreadID
  public var range: TimeRange

  public init(kind: GapKind, step: Int?, thread: ThreadID, range: TimeRange) {
    self.kind = kind
    self.step = step
    self.thread = thread
    self.range = range
  }
}

/// The experts that one token was routed to in one layer.
public struct ExpertActivation: Sendable {
  public var step: Int
  /// Index of the token in the step.
  public var token: Int
  public var layer: Int?
  /// Expert numbers, slot by slot.
  public var experts: [Int32]
  /// False when the recorder cut the row.
  public var isComplete: Bool
  /// The structure number and the index in its nodes of the MUL_MAT_ID that reads these experts; 0 and -1 where
  /// unknown.
  public var structure: UInt32
  public var node: Int32

  public init(
    step: Int, token: Int, layer: Int?, experts: [Int32], isComplete: Bool, structure: UInt32 = 0,
    node: Int32 = -1
  ) {
    self.step = step
    self.token = token
    self.layer = layer
    self.experts = experts
    self.isComplete = isComplete
    self.structure = structure
    self.node = node
  }
}

/// A stretch that the analysis cannot vouch for: records of a CPU are missing in it.
public struct LossGap: Sendable {
  public var cpu: Int
  public var range: TimeRange
  public var lostRecords: UInt64

  public init(cpu: Int, range: TimeRange, lostRecords: UInt64) {
    self.cpu = cpu
    self.range = range
    self.lostRecords = lostRecords
  }
}

/// Receives a run as it is read, in one pass, so that memory depends on the graph and the
/// number of token steps and not on the number of events.
///
/// Order: a structure before the first graph or operator that names it; the operators,
/// graphs, gaps and expert activations of a token step before that step, and what lies inside
/// of a graph before that graph; a step before anything of the next step on the same thread.
/// Across threads nothing else is promised.
public protocol RunVisitor {
  mutating func structure(_ structure: GraphStructure)
  mutating func operatorSpan(_ span: OperatorSpan)
  /// Several spans, one after the other. For visitors that are faster at many: by default it does what `operatorSpan`
  /// does with each, and a visitor that has its own must lead to the same. Not called in a trace with counters.
  mutating func operatorSpans(_ spans: Span<OperatorSpan>)
  mutating func graphRun(_ run: GraphRun)
  mutating func gap(_ gap: GapSpan)
  mutating func experts(_ activation: ExpertActivation)
  mutating func lossGap(_ gap: LossGap)
  mutating func tokenStep(_ step: TokenStep)
  /// Right after `operatorSpan`, only in a trace with counters: what the span's thread counted in the operator and in
  /// the barrier wait behind it.
  mutating func operatorCounters(_ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan)
  mutating func threadSlice(_ slice: ThreadSlice)
  /// Before the first graph that names it.
  mutating func backend(_ backend: Backend)
  mutating func enqueueSpan(_ span: EnqueueSpan)
  mutating func speculativeRound(_ round: SpeculativeRound)
  mutating func reading(_ reading: Reading)
  mutating func probeGap(_ gap: ProbeGap)
}

extension RunVisitor {
  public mutating func structure(_ structure: GraphStructure) {}
  public mutating func operatorSpan(_ span: OperatorSpan) {}
  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    for index in spans.indices { operatorSpan(spans[index]) }
  }
  public mutating func graphRun(_ run: GraphRun) {}
  public mutating func gap(_ gap: GapSpan) {}
  public mutating func experts(_ activation: ExpertActivation) {}
  public mutating func lossGap(_ gap: LossGap) {}
  public mutating func tokenStep(_ step: TokenStep) {}
  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {}
  public mutating func threadSlice(_ slice: ThreadSlice) {}
  public mutating func backend(_ backend: Backend) {}
  public mutating func enqueueSpan(_ span: EnqueueSpan) {}
  public mutating func speculativeRound(_ round: SpeculativeRound) {}
  public mutating func reading(_ reading: Reading) {}
  public mutating func probeGap(_ gap: ProbeGap) {}
}
