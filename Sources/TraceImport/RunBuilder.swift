import CTraceRecords
import GGML
import TraceModel

/// What the trace as a whole tells, known before the first event is read.
struct RunContext {
  var names = OperatorNames()
  var layout: TensorLayout? = .current
  /// Whether records of these kinds occur at all: at a lower level of recording they do not.
  var hasSteps = false
  var hasGraphs = false
  var hasOperators = false
  var hasBarriers = false
  var hasSamples = false
  /// Counter values behind records; 0 without counters.
  var counterColumns = 0
  var hasScheduler = false
  var hasAccepts = false
  /// Last time of the target's records.
  var end: UInt64 = 0

  var hasCounters: Bool { counterColumns > 0 }
}

/// The state machine from ordered records to spans: one state per thread, per running graph, per caller.
///
/// Nothing here trusts a record: every begin may lack its end and every reference may be garbage.
struct RunBuilder: ~Copyable {
  static let maxThreads = 1 << 16
  static let maxRuns = 64
  static let maxCallers = 1 << 12
  /// Later than any machine's uptime: no clock says this.
  static let maxTime: UInt64 = 1 << 60
  static let nobody = TraceTime(nanoseconds: 0)

  let context: RunContext
  /// Whether records are looked at for more than what they say themselves.
  private let hasExtras: Bool
  var output = Output()
  var statistics = ImportStatistics()
  var oddities = OddityCounts()
  /// True while records near the current ones are missing: only then an irregular order means a loss.
  var isNearLoss = false

  var threads: UnsafeMutablePointer<ThreadState>
  var threadCount = 0
  private var threadCapacity = 64
  /// Beside `threads`, in a trace with counters, or with scheduler events; else empty.
  var counters: [CounterState] = []
  var scheduling: [SchedulerState] = []
  /// By hash of the tid.
  private var threadTable: UnsafeMutablePointer<ThreadTableEntry>
  private var threadMask = 255
  private struct ThreadTableEntry {
    var tid: UInt32 = 0
    /// Index of the thread, -1 for an empty entry.
    var thread: Int32 = -1
  }

  let runs: UnsafeMutablePointer<RunSlot>
  var activeRuns: [Int32] = []
  var callers: [Caller] = []
  /// Beside `callers`.
  var callerExtras: [CallerExtras] = []
  var structures: StructureStore
  var losses = LossTracker()
  /// When the current record's thread was last heard of before it: the end of what has lost its own.
  var previousTime: UInt64 = 0
  var nextStep = 0
  var nextGraph = 0
  var nextRound = 0
  /// Contexts of draft models.
  var draftContexts: Set<UInt64>
  var backends: [UInt64: Backend] = [:]
  /// The open interval without operator probes.
  var probeGap: (begin: UInt64, speed: Double)?
  var probeGaps = 0

  init(_ context: RunContext, draftContexts: Set<UInt64> = []) {
    self.context = context
    self.draftContexts = draftContexts
    hasExtras = context.hasCounters || context.hasScheduler
    structures = StructureStore(names: context.names, layout: context.layout)
    threads = .allocate(capacity: threadCapacity)
    threadTable = .allocate(capacity: 256)
    threadTable.initialize(repeating: ThreadTableEntry(), count: 256)
    runs = .allocate(capacity: Self.maxRuns)
    runs.initialize(repeating: RunSlot(), count: Self.maxRuns)
  }

  deinit {
    threads.deallocate()
    threadTable.deallocate()
    runs.deinitialize(count: Self.maxRuns)
    runs.deallocate()
  }

  /// Takes records from a list that is in order, from `first` on, up to those of the time `limit` or until the output
  /// is full.
  ///
  /// - Returns: index of the first that was not taken.
  mutating func process(
    _ places: UnsafeBufferPointer<RecordPlace>, from first: Int, upTo limit: UInt64,
    in bytes: UnsafeRawBufferPointer
  ) -> Int {
    var next = first
    while next < places.count, places[next].time <= limit, !output.isFull {
      take(places[next].record(in: bytes))
      next &+= 1
    }
    statistics.records &+= next &- first
    return next
  }

  mutating func process(_ record: RecordView) {
    statistics.records &+= 1
    take(record)
  }

  /// Takes the next record of the target. Records must come in order of time, as far as that is possible.
  @inline(__always)
  private mutating func take(_ record: RecordView) {
    let time = record.time
    let type = record.type
    guard time < Self.maxTime, type < RecordType.firstUser else { return takeOther(record) }
    let thread = threadIndex(record.tid)
    guard thread >= 0 else { return }
    let state = threads + thread
    let before = state.pointee.lastTime
    if time < before { oddities.count(.timeReversed) }
    let now = max(time, before)
    state.pointee.lastTime = now
    if hasExtras { noteExtras(record, thread, now) }
    if type == RecordType.operatorBegin {
      beginOperator(thread, now, record.ref, last: record.ref)
    } else if type == RecordType.operatorFused {
      guard let fused = record.read(pi_op_fused.self) else { return oddities.count(.shortRecord) }
      beginOperator(thread, now, record.ref, last: fused.last_ref)
    } else if type == RecordType.barrier {
      barrier(thread, now, isFinal: record.flags == UInt8(PI_BARRIER_FINAL.rawValue))
    } else {
      previousTime = before
      processRare(record, thread, now)
    }
  }

  /// A record of the recorder, or one with a time that no clock says.
  @inline(never)
  private mutating func takeOther(_ record: RecordView) {
    guard record.time < Self.maxTime else { return oddities.count(.impossibleTime) }
    reading(record, record.time)
  }

  /// Counters and the scheduler's view, in a trace that has them.
  private mutating func noteExtras(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    if context.hasCounters { noteCounters(record, thread) }
    if context.hasScheduler { noteRunning(record, thread, now) }
  }

  @inline(never)
  private mutating func processRare(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    switch record.type {
    case RecordType.tokenBegin:
      guard let begin = record.read(pi_token_begin.self) else { return oddities.count(.shortRecord) }
      beginToken(thread, now, api: record.flags, tokens: Self.tokens(record.ref), context: begin.context)
    case RecordType.tokenEnd: endToken(thread, now, api: record.flags)
    case RecordType.ubatchBegin:
      guard let begin = record.read(pi_ubatch_begin.self) else { return oddities.count(.shortRecord) }
      beginUbatch(
        thread, now, tokens: Self.tokens(record.ref) ?? 0, context: begin.context,
        position: begin.position < 0 ? nil : Int(begin.position))
    case RecordType.ubatchEnd: endUbatch(thread, now)
    case RecordType.graphBegin:
      guard let begin = record.read(pi_graph_begin.self) else { return oddities.count(.shortRecord) }
      beginGraph(thread, now, begin)
    case RecordType.graphEnd: endGraph(thread, now, kind: record.flags)
    case RecordType.structureBegin, RecordType.nodeList, RecordType.tensor, RecordType.structureEnd:
      walk(record, thread)
    case RecordType.experts: experts(record, thread)
    case RecordType.sampleBegin: beginSample(thread, now, sampler: record.flags)
    case RecordType.sampleEnd: endSample(thread, now, sampler: record.flags)
    case RecordType.warmup:
      if let caller = callerIndex(thread) { callers[caller].isWarmingUp = record.ref != 0 }
    case RecordType.switchOut: switchOut(record, thread, now)
    case RecordType.switchIn: switchIn(record, thread, now)
    case RecordType.wakeup: wakeup(thread, now)
    case RecordType.backend: backend(record)
    case RecordType.enqueueBegin: beginEnqueue(record, thread, now)
    case RecordType.enqueueEnd: endEnqueue(record, thread, now)
    case RecordType.draftBegin: beginDraft(thread, now)
    case RecordType.draftEnd: endDraft(thread, now)
    case RecordType.accept: accept(thread, now, tokens: record.ref)
    default: oddities.count(.unknownRecordType)
    }
  }

  /// A token count, nil for the recorder's "unknown" and for what no batch can hold.
  private static func tokens(_ ref: UInt32) -> Int? { ref < 1 << 28 ? Int(ref) : nil }

  /// Ends whatever is still open. Nothing may be processed afterwards.
  mutating func finish() {
    for caller in callers.indices {
      let thread = Int(callers[caller].thread)
      let now = threads[thread].lastTime
      if callers[caller].walk != nil { oddities.count(.unendedWalk) }
      if !callers[caller].samplers.isEmpty { oddities.count(.unendedSample) }
      abandonGraphs(caller, now)
      if callers[caller].step != nil {
        oddities.count(.unendedToken)
        closeStep(caller, now, isComplete: false)
      }
      flushHeld(caller)
      if callerExtras[caller].enqueue != nil { oddities.count(.unendedEnqueue) }
      endRound(caller)
    }
    for thread in 0..<threadCount { abandonOperator(thread) }
    finishScheduling()
    endProbeGap(min(context.end, Self.maxTime), resumedAt: nil)
    losses.finish(&output, end: context.end)
  }

  // MARK: Threads

  /// Index of the thread's state; -1 when there are more than can be followed.
  @inline(__always)
  private mutating func threadIndex(_ tid: UInt32) -> Int {
    var slot = Self.hash(tid) & threadMask
    while threadTable[slot].thread >= 0 {
      if threadTable[slot].tid == tid { return Int(threadTable[slot].thread) }
      slot = (slot &+ 1) & threadMask
    }
    return addThread(tid)
  }

  private static func hash(_ tid: UInt32) -> Int { Int((tid &* 0x9e37_79b1) >> 8) }

  @inline(never)
  private mutating func addThread(_ tid: UInt32) -> Int {
    guard threadCount < Self.maxThreads else {
      oddities.count(.tooMany)
      return -1
    }
    if threadCount == threadCapacity { growThreads() }
    threads[threadCount] = ThreadState(tid: tid)
    if context.hasCounters { counters.append(CounterState()) }
    if context.hasScheduler { scheduling.append(SchedulerState()) }
    threadCount += 1
    insert(threadCount - 1)
    return threadCount - 1
  }

  private func insert(_ thread: Int) {
    let tid = threads[thread].tid
    var slot = Self.hash(tid) & threadMask
    while threadTable[slot].thread >= 0 { slot = (slot + 1) & threadMask }
    threadTable[slot] = ThreadTableEntry(tid: tid, thread: Int32(thread))
  }

  private mutating func growThreads() {
    let larger = UnsafeMutablePointer<ThreadState>.allocate(capacity: threadCapacity * 2)
    larger.update(from: threads, count: threadCount)
    threads.deallocate()
    threads = larger
    threadCapacity *= 2
    threadTable.deallocate()
    let size = threadCapacity * 4
    threadTable = .allocate(capacity: size)
    threadTable.initialize(repeating: ThreadTableEntry(), count: size)
    threadMask = size - 1
    for thread in 0..<threadCount { insert(thread) }
  }

  /// The caller's state of a thread, created on its first call; nil when there are too many.
  mutating func callerIndex(_ thread: Int) -> Int? {
    if threads[thread].caller >= 0 { return Int(threads[thread].caller) }
    guard callers.count < Self.maxCallers else {
      oddities.count(.tooMany)
      return nil
    }
    threads[thread].caller = Int32(callers.count)
    callers.append(Caller(thread: Int32(thread)))
    callerExtras.append(CallerExtras())
    return callers.count - 1
  }
}
