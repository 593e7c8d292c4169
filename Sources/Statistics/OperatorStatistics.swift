import TraceModel

/// Sums of one operator node, or of several together.
public struct OperatorTotals: Sendable, Equatable {
  /// Executions, each counted once however many threads took part.
  public var count: UInt64 = 0
  /// Of the main thread: from its start to its arrival at the barrier. Nanoseconds, as all here.
  public var total: Int64 = 0
  /// The main thread's waits at the barrier behind it.
  public var barrier: Int64 = 0
  /// Executions with such a wait. Barriers are not always probed.
  public var waits: UInt64 = 0
  /// Of all threads together, without their waits.
  public var allThreads: Int64 = 0
  public var minimum = Int64.max
  public var maximum: Int64 = 0
  /// Executions of which the end is a guess, because records were lost.
  public var repaired: UInt64 = 0

  public init() {}

  mutating func merge(_ other: OperatorTotals) {
    count &+= other.count
    total &+= other.total
    barrier &+= other.barrier
    waits &+= other.waits
    allThreads &+= other.allThreads
    minimum = min(minimum, other.minimum)
    maximum = max(maximum, other.maximum)
    repaired &+= other.repaired
  }
}

/// Sums of one thread. Nanoseconds.
public struct ThreadTotals: Sendable, Equatable {
  public var operators: Int64 = 0
  public var barrier: Int64 = 0
  public var operatorCount: UInt64 = 0
  /// True when the thread computed a graph (called `ggml_graph_compute`).
  public var isMain = false

  public init() {}

  mutating func merge(_ other: ThreadTotals) {
    operators &+= other.operators
    barrier &+= other.barrier
    operatorCount &+= other.operatorCount
    isMain = isMain || other.isMain
  }
}

/// Counts operators by node, by operator type and by thread, for each phase.
///
/// The phase of a token step is known at its end only, so the spans of an open step wait in a
/// short list (24 bytes each); one that outgrows it is folded into sums. Memory depends on the
/// number of different nodes and threads, not on the number of spans.
public struct OperatorStatistics: RunVisitor {
  private(set) var catalog: NodeCatalog
  private(set) var threads: [ThreadID] = []
  private var indexOfThread: [ThreadID: UInt32] = [:]

  /// By the position of the phase in `Phase.allCases`.
  private var phases = [PhaseTotals](repeating: PhaseTotals(), count: Phase.allCases.count)
  /// Wall time of token steps (and of graphs outside of any) per phase.
  private var wall = [Int64](repeating: 0, count: Phase.allCases.count)

  /// What the run tells of the operators' work, and how threads share it.
  private var work = WorkStatistics()
  private var balance = ThreadBalance()

  private var open: [OpenStep] = []
  private var spare: [[PendingSpan]] = []
  private static let pendingLimit = 1 << 15

  /// - Parameter workModel: gives bytes and floating-point operations of nodes; without it they
  ///   count as not recorded.
  public init(workModel: WorkModel? = nil) {
    catalog = NodeCatalog(workModel: workModel)
  }

  public mutating func structure(_ structure: GraphStructure) {
    catalog.add(structure)
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    add(pending(span), step: Int(span.step))
  }

  @inline(__always)
  private mutating func pending(_ span: OperatorSpan) -> PendingSpan {
    let slot = catalog.slot(structure: span.structure, node: span.node, lastNode: span.lastNode)
    let duration = max(span.range.duration, 0)
    balance.add(span, slot: slot, duration: duration)
    return PendingSpan(
      duration: duration, barrier: max(span.barrier.duration, 0), slot: slot,
      thread: threadIndex(span.thread) << 3 | (span.isMainThread ? 1 : 0) | (span.isRepaired ? 2 : 0))
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    withUnsafeTemporaryAllocation(of: PendingSpan.self, capacity: spans.count) { room in
      var next = 0
      while next < spans.count {
        let step = spans[next].step
        var count = 0
        while next < spans.count, spans[next].step == step {
          room.initializeElement(at: count, to: pending(spans[next]))
          count &+= 1
          next &+= 1
        }
        let index = openIndex(of: Int(step))
        open[index].spans.append(contentsOf: UnsafeBufferPointer(rebasing: room[..<count]))
        foldIfLong(index)
      }
    }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    let slot = catalog.slot(structure: span.structure, node: span.node, lastNode: span.lastNode)
    let index = openIndex(of: Int(span.step))
    open[index].counters.append((slot, counters))
    if open[index].counters.count >= Self.pendingLimit { fold(index) }
  }

  public mutating func enqueueSpan(_ span: EnqueueSpan) {
    let pending = PendingSpan(
      duration: max(span.range.duration, 0), barrier: 0,
      slot: catalog.slot(structure: span.structure, node: span.node, lastNode: span.node),
      thread: threadIndex(span.thread) << 3 | 4)
    add(pending, step: Int(span.step))
  }

  private mutating func add(_ pending: PendingSpan, step: Int) {
    let index = openIndex(of: step)
    open[index].spans.append(pending)
    foldIfLong(index)
  }

  private mutating func foldIfLong(_ index: Int) {
    if open[index].spans.count >= Self.pendingLimit { fold(index) }
  }

  private mutating func fold(_ index: Int) {
    open[index].fold(catalog, threadCount: threads.count)
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard let step = run.step else {
      wall[Self.unknownPhase] &+= max(run.range.duration, 0)
      return
    }
    guard let structure = run.structure else { return }
    work.graph(ofStep: step, nodes: catalog.varyingNodes(ofStructure: structure))
  }

  public mutating func experts(_ activation: ExpertActivation) { work.experts(activation) }

  public mutating func tokenStep(_ step: TokenStep) {
    let phase = Self.index(of: step.phase)
    wall[phase] &+= max(step.range.duration, 0)
    work.tokenStep(step)
    balance.endStep(step.index, phase: phase)
    guard let index = open.lastIndex(where: { $0.step == step.index }) else { return }
    var finished = open.remove(at: index)
    phases[phase].add(finished.spans, catalog, threadCount: threads.count)
    phases[phase].add(finished.counters)
    if let folded = finished.folded { phases[phase].merge(folded) }
    finished.spans.removeAll(keepingCapacity: true)
    if spare.count < 4 { spare.append(finished.spans) }
  }

  /// The sums of the phases asked for; spans outside of token steps, and of steps that never
  /// ended, count as `unknown`.
  func totals(of selection: Set<Phase>) -> PhaseTotals {
    var result = PhaseTotals()
    for phase in Phase.allCases where selection.contains(phase) {
      result.merge(phases[Self.index(of: phase)])
    }
    if selection.contains(.unknown) {
      for step in open {
        result.add(step.spans, catalog, threadCount: threads.count)
        result.add(step.counters)
        if let folded = step.folded { result.merge(folded) }
      }
    }
    return result
  }

  /// By slot: what the run tells of the work of the phases asked for beside the structure.
  func workChanges(of selection: Set<Phase>) -> [UInt32: WorkStatistics.Change] {
    work.changes(of: selection)
  }

  /// By slot; empty with one thread.
  func balance(of selection: Set<Phase>) -> [ThreadBalance.Sum] { balance.sums(of: selection) }

  /// Wall time of the token steps of these phases, in nanoseconds; graphs outside of any step
  /// count as phase `unknown`.
  public func wallTime(of selection: Set<Phase>) -> Int64 {
    Phase.allCases.filter(selection.contains).reduce(0) { $0 &+ wall[Self.index(of: $1)] }
  }

  private mutating func openIndex(of step: Int) -> Int {
    if let last = open.last, last.step == step { return open.count - 1 }
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    open.append(OpenStep(step: step, spans: spare.popLast() ?? []))
    return open.count - 1
  }

  @inline(__always)
  private mutating func threadIndex(_ id: ThreadID) -> UInt32 {
    // Spans of threads come interleaved, and there are few: comparing is faster than hashing.
    for index in 0..<min(threads.count, 16) where threads[index] == id {
      return UInt32(truncatingIfNeeded: index)
    }
    return lateThreadIndex(id)
  }

  @inline(never)
  private mutating func lateThreadIndex(_ id: ThreadID) -> UInt32 {
    if let index = indexOfThread[id] { return index }
    let index = UInt32(truncatingIfNeeded: threads.count)
    threads.append(id)
    indexOfThread[id] = index
    return index
  }

  private static let unknownPhase = index(of: .unknown)

  private static func index(of phase: Phase) -> Int {
    switch phase {
    case .prefill: 0
    case .decode: 1
    case .draft: 2
    case .verify: 3
    case .warmup: 4
    case .unknown: 5
    }
  }
}

/// A span that waits for the phase of its step.
struct PendingSpan {
  var duration: Int64
  var barrier: Int64
  var slot: UInt32
  /// Index of the thread, shifted; bit 0: main thread, bit 1: repaired, bit 2: enqueued for a device.
  var thread: UInt32
}

private struct OpenStep {
  var step: Int
  var spans: [PendingSpan]
  /// Of the spans, by slot; empty in a run without counters.
  var counters: [(slot: UInt32, delta: CounterDelta)] = []
  var folded: PhaseTotals?

  mutating func fold(_ catalog: NodeCatalog, threadCount: Int) {
    var sums = folded ?? PhaseTotals()
    folded = nil
    sums.add(spans, catalog, threadCount: threadCount)
    sums.add(counters)
    folded = sums
    spans.removeAll(keepingCapacity: true)
    counters.removeAll(keepingCapacity: true)
  }
}

/// The sums of one phase, or of several merged.
struct PhaseTotals: Sendable {
  /// By slot of the catalog.
  var nodes: [OperatorTotals] = []
  /// Main-thread durations, by operator number of the catalog.
  var durations: [QuantileSketch] = []
  /// By index in the statistics' threads.
  var threads: [ThreadTotals] = []
  /// By slot of the catalog, over all threads; empty in a run without counters.
  var counters: [CounterTotals] = []
  /// By slot of the catalog, and the durations by operator number: what was enqueued for a device. Empty without.
  var enqueues: [OperatorTotals] = []
  var enqueueDurations: [QuantileSketch] = []

  mutating func add(_ counters: [(slot: UInt32, delta: CounterDelta)]) {
    guard let last = counters.lazy.map(\.slot).max() else { return }
    grow(&self.counters, to: Int(last), CounterTotals())
    for (slot, delta) in counters { self.counters[Int(slot)].add(delta) }
  }

  private mutating func addEnqueue(_ span: PendingSpan, number: Int) {
    let slot = Int(span.slot)
    grow(&enqueues, to: slot, OperatorTotals())
    grow(&enqueueDurations, to: number, QuantileSketch())
    enqueues[slot].count &+= 1
    enqueues[slot].total &+= span.duration
    enqueues[slot].allThreads &+= span.duration
    enqueues[slot].minimum = min(enqueues[slot].minimum, span.duration)
    enqueues[slot].maximum = max(enqueues[slot].maximum, span.duration)
    enqueueDurations[number].add(span.duration)
  }

  /// Spans whose slots are the catalog's, and whose threads are less than `threadCount`.
  mutating func add(_ spans: [PendingSpan], _ catalog: NodeCatalog, threadCount: Int) {
    if spans.isEmpty { return }
    let operatorOfSlot = catalog.operatorOfSlot
    // Grown first, so that the loop over the spans touches the sums in place and nothing else.
    grow(&nodes, to: catalog.entries.count - 1, OperatorTotals())
    grow(&threads, to: threadCount - 1, ThreadTotals())
    grow(&durations, to: catalog.operators.count - 1, QuantileSketch())
    for number in durations.indices { durations[number].own() }
    var enqueued = false
    nodes.withUnsafeMutableBufferPointer { nodes in
      threads.withUnsafeMutableBufferPointer { threads in
        durations.withUnsafeMutableBufferPointer { durations in
          for span in spans {
            guard span.thread & 4 == 0 else {
              enqueued = true
              continue
            }
            Self.add(
              span, &nodes[Int(span.slot)], &threads[Int(span.thread >> 3)],
              &durations[Int(operatorOfSlot[Int(span.slot)])])
          }
        }
      }
    }
    guard enqueued else { return }
    for span in spans where span.thread & 4 != 0 {
      addEnqueue(span, number: Int(operatorOfSlot[Int(span.slot)]))
    }
  }

  @inline(__always)
  private static func add(
    _ span: PendingSpan, _ node: inout OperatorTotals, _ thread: inout ThreadTotals,
    _ durations: inout QuantileSketch
  ) {
    thread.operators &+= span.duration
    thread.barrier &+= span.barrier
    thread.operatorCount &+= 1
    node.allThreads &+= span.duration
    guard span.thread & 1 != 0 else { return }
    thread.isMain = true
    node.count &+= 1
    node.total &+= span.duration
    node.barrier &+= span.barrier
    if span.barrier > 0 { node.waits &+= 1 }
    node.minimum = min(node.minimum, span.duration)
    node.maximum = max(node.maximum, span.duration)
    if span.thread & 2 != 0 { node.repaired &+= 1 }
    durations.addOwned(span.duration)
  }

  mutating func merge(_ other: PhaseTotals) {
    grow(&nodes, to: other.nodes.count - 1, OperatorTotals())
    grow(&durations, to: other.durations.count - 1, QuantileSketch())
    grow(&threads, to: other.threads.count - 1, ThreadTotals())
    for index in other.nodes.indices { nodes[index].merge(other.nodes[index]) }
    for index in other.durations.indices { durations[index].merge(other.durations[index]) }
    for index in other.threads.indices { threads[index].merge(other.threads[index]) }
    grow(&counters, to: other.counters.count - 1, CounterTotals())
    for index in other.counters.indices { counters[index].merge(other.counters[index]) }
    grow(&enqueues, to: other.enqueues.count - 1, OperatorTotals())
    for index in other.enqueues.indices { enqueues[index].merge(other.enqueues[index]) }
    grow(&enqueueDurations, to: other.enqueueDurations.count - 1, QuantileSketch())
    for index in other.enqueueDurations.indices {
      enqueueDurations[index].merge(other.enqueueDurations[index])
    }
  }
}

private func grow<T>(_ array: inout [T], to index: Int, _ value: T) {
  if index >= array.count {
    array.append(contentsOf: repeatElement(value, count: index + 1 - array.count))
  }
}
