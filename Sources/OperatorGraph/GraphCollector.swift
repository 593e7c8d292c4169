import Statistics
import TraceModel

/// Takes the graph of one token step out of a run, with what was measured of its operators.
///
/// Memory depends on the graphs, and on the steps that are open at a time.
public struct GraphCollector: RunVisitor {
  private let wanted: Int?
  private let wantedPhase: Phase?
  private let measuresAllSteps: Bool
  private let workModel: WorkModel?

  private var structures: [UInt32: GraphStructure] = [:]
  private var work: [UInt32: [OperatorWork?]] = [:]

  /// What open steps did in each structure; `slots` says where, and closed ones are used again.
  private var recordings: [StepRecording] = []
  private var free: [Int] = []
  private var slots: [Place: Int] = [:]
  private var slotsOfStep: [Int32: [Int]] = [:]
  /// Looked up last: consecutive spans nearly always share it. Slot -1: nothing is recorded there.
  private var current = (place: Place(step: -1, structure: 0), slot: -1)

  private var chosen: GraphMeasurement?
  private var kind: StepKind?
  /// Structures known to have the chosen one's nodes, or not to have them.
  private var isAlike: [UInt32: Bool] = [:]
  /// Of the step chosen, higher is better.
  private var rank = 0

  private struct Place: Hashable {
    var step: Int32
    var structure: UInt32
  }

  /// What steps have in common whose operators may be compared.
  private struct StepKind: Equatable {
    var phase: Phase
    var tokenCount: Int?
    var context: UInt64
  }

  /// - Parameters:
  ///   - step: the token step; without it the first decode step of which everything was recorded, or the best that
  ///     there is.
  ///   - phase: only steps of this phase.
  ///   - measuresAllSteps: measure all steps of the chosen one's phase, model context and number of tokens whose graph
  ///     has the same operators, not only that step. With `step` it has no effect.
  ///   - workModel: gives bytes and floating-point operations; without it they count as not recorded.
  public init(
    step: Int?, phase: Phase? = nil, measuresAllSteps: Bool = false, workModel: WorkModel? = nil
  ) {
    wanted = step
    wantedPhase = phase
    self.measuresAllSteps = measuresAllSteps && step == nil
    self.workModel = workModel
  }

  /// The graph; without any token step the largest of the trace with nothing measured. nil where there is none, or not
  /// the one asked for.
  public var measurement: GraphMeasurement? {
    if chosen != nil || wanted != nil || wantedPhase != nil { return chosen }
    return largest(structures.values).map { GraphMeasurement(structure: $0) }
  }

  private static let bestRank = 4
  /// Nothing that comes can change the result.
  private var isDone: Bool { rank == Self.bestRank && !measuresAllSteps }

  // MARK: - Events

  public mutating func structure(_ structure: GraphStructure) {
    if !isDone { structures[structure.number] = structure }
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard !isDone, span.isMainThread, span.node >= 0 else { return }
    let slot = slot(Place(step: span.step, structure: span.structure))
    if slot >= 0 { recordings[slot].add(span) }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard !isDone, span.node >= 0 else { return }
    let slot = slot(Place(step: span.step, structure: span.structure))
    if slot >= 0 { recordings[slot].add(counters, node: Int(span.node)) }
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard !isDone, let step = run.step.flatMap({ Int32(exactly: $0) }), let structure = run.structure else {
      return
    }
    let slot = slot(Place(step: step, structure: structure))
    guard slot >= 0 else { return }
    recordings[slot].graphCount += 1
    recordings[slot].graphTime = recordings[slot].graphTime.addingClamped(max(run.range.duration, 0))
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let index = Int32(exactly: step.index), let finished = slotsOfStep.removeValue(forKey: index) else {
      return
    }
    defer {
      for slot in finished {
        slots[Place(step: index, structure: recordings[slot].structure)] = nil
        free.append(slot)
      }
      current = (Place(step: -1, structure: 0), -1)
    }
    let computed = finished.filter { recordings[$0].graphCount > 0 }
    let graphs = computed.compactMap { structures[recordings[$0].structure] }
    guard let largest = largest(graphs),
      let slot = computed.first(where: { recordings[$0].structure == largest.number })
    else { return }
    let kind = StepKind(phase: step.phase, tokenCount: step.tokenCount, context: step.context)
    let stepRank = rank(of: step)
    if stepRank > rank {
      rank = stepRank
      self.kind = kind
      isAlike = [largest.number: true]
      var measurement = GraphMeasurement(structure: largest)
      measurement.step = step
      measurement.graphCount = computed.reduce(0) { $0 + recordings[$1].graphCount }
      chosen = measurement
    } else if measuresAllSteps, step.phase == chosen?.step?.phase {
      guard stepRank == rank, kind == self.kind, isLikeChosen(largest) else {
        chosen?.otherStepCount += 1
        return
      }
    } else {
      return
    }
    measure(slot, largest)
  }

  private func rank(of step: TokenStep) -> Int {
    if let wantedPhase, step.phase != wantedPhase { return 0 }
    if wanted != nil { return Self.bestRank }
    if step.phase == wantedPhase ?? .decode, step.isComplete, step.hasOperatorProbes {
      // Steps at a level without operators have no coverage and are as good as it gets there.
      return (step.coverage ?? 1) >= 1 ? Self.bestRank : 3
    }
    return step.phase == .warmup ? 1 : 2
  }

  /// The one with the most nodes, and of those the first.
  private func largest(_ structures: some Sequence<GraphStructure>) -> GraphStructure? {
    structures.max { ($0.nodes.count, $1.number) < ($1.nodes.count, $0.number) }
  }

  // MARK: - Recordings

  @inline(__always)
  private mutating func slot(_ place: Place) -> Int {
    place == current.place ? current.slot : findSlot(place)
  }

  private mutating func findSlot(_ place: Place) -> Int {
    current = (place, -1)
    guard place.step >= 0, wanted.map({ $0 == Int(place.step) }) ?? true,
      let structure = structures[place.structure]
    else { return -1 }
    if let known = slots[place] {
      current.slot = known
    } else {
      if let slot = free.popLast() {
        recordings[slot].clear(structure)
        current.slot = slot
      } else {
        current.slot = recordings.count
        recordings.append(StepRecording(structure))
      }
      slots[place] = current.slot
      slotsOfStep[place.step, default: []].append(current.slot)
    }
    return current.slot
  }

  /// Views and lengths change as a context grows; the operators and their names do not.
  private mutating func isLikeChosen(_ structure: GraphStructure) -> Bool {
    if let known = isAlike[structure.number] { return known }
    let nodes = chosen?.structure.nodes ?? []
    let result =
      nodes.count == structure.nodes.count
      && zip(nodes, structure.nodes).allSatisfy {
        $0.op == $1.op && $0.type == $1.type && $0.name == $1.name && $0.isExecuted == $1.isExecuted
      }
    isAlike[structure.number] = result
    return result
  }

  /// Adds a step to what was chosen.
  private mutating func measure(_ slot: Int, _ structure: GraphStructure) {
    guard var measurement = chosen else { return }
    chosen = nil
    if work[structure.number] == nil, let workModel { work[structure.number] = workModel(structure) }
    recordings[slot].add(to: &measurement, structure, work: work[structure.number] ?? [])
    measurement.stepCount += 1
    chosen = measurement
  }
}

/// What one step did in the nodes of one structure, which several graphs may have computed.
private struct StepRecording {
  private(set) var structure: UInt32 = 0
  var graphCount = 0
  /// Nanoseconds, of all graphs.
  var graphTime: Int64 = 0
  /// By index in the structure's nodes: of the main thread, and of all threads.
  private var times: [Int64] = []
  private var calls: [UInt32] = []
  private var lastNodes: [Int32] = []
  /// Empty without counters.
  private var counters: [CounterDelta?] = []

  init(_ structure: GraphStructure) { clear(structure) }

  mutating func clear(_ structure: GraphStructure) {
    self = StepRecording(reusing: self, structure)
  }

  private init(reusing old: StepRecording, _ structure: GraphStructure) {
    self.structure = structure.number
    let count = structure.nodes.count
    (times, calls, lastNodes) = (old.times, old.calls, old.lastNodes)
    refill(&times, count, 0)
    refill(&calls, count, 0)
    refill(&lastNodes, count, -1)
  }

  mutating func add(_ span: OperatorSpan) {
    let node = Int(span.node)
    guard node < times.count else { return }
    times[node] &+= max(span.range.duration, 0)
    calls[node] &+= 1
    lastNodes[node] = max(lastNodes[node], span.lastNode)
  }

  mutating func add(_ delta: CounterDelta, node: Int) {
    guard node < times.count else { return }
    if counters.isEmpty { counters = Array(repeating: nil, count: times.count) }
    if counters[node]?.add(delta) == nil { counters[node] = delta }
  }

  /// Adds what was recorded.
  ///
  /// - Parameter work: by index in the nodes of `structure`, the structure recorded.
  func add(to measurement: inout GraphMeasurement, _ structure: GraphStructure, work: [OperatorWork?]) {
    for node in times.indices where calls[node] > 0 && node < measurement.operators.count {
      let count = Int64(calls[node])
      var figures = measurement.operators[node] ?? OperatorFigures()
      figures.calls &+= UInt64(count)
      figures.time = figures.time.addingClamped(times[node])
      figures.times.add(times[node] / count)
      let last = max(node, Int(lastNodes[node]))
      if last > node { measurement.fused.insert(FusedOperator(node: node, lastNode: last)) }
      let own = operatorWork(structure, node, last, work)
      figures.bytes = scaledSum(figures.bytes, own.bytes, count)
      figures.flops = scaledSum(figures.flops, own.flops, count)
      if !counters.isEmpty, let delta = counters[node] { figures.counters.add(delta, calls: UInt64(count)) }
      measurement.operators[node] = figures
    }
    if graphCount > 0 { measurement.graphTimes.add(graphTime / Int64(graphCount)) }
  }

  /// What one call moves and computes. What one member of a fused operator hands to the next never touches memory.
  private func operatorWork(
    _ structure: GraphStructure, _ node: Int, _ last: Int, _ work: [OperatorWork?]
  ) -> OperatorWork {
    guard last < min(work.count, structure.nodes.count) else { return OperatorWork(bytes: nil, flops: nil) }
    let members = (node...last).filter {
      $0 == node || $0 == last || structure.nodes[$0].isExecuted
    }
    var bytes: Int64? = 0
    var flops: Int64? = 0
    for member in members {
      let passedOn = member == last ? 0 : structure.nodes[member].byteCount &* 2
      bytes = scaledSum(bytes, work[member]?.bytes.map { $0 &- passedOn }, 1)
      flops = scaledSum(flops, work[member]?.flops, 1)
    }
    return OperatorWork(bytes: bytes.map { max($0, 0) }, flops: flops)
  }

  private func scaledSum(_ sum: Int64?, _ value: Int64?, _ factor: Int64) -> Int64? {
    guard let sum, let value else { return nil }
    return sum &+ value &* factor
  }
}

/// So many of a value, in memory that is there already where it can be.
private func refill<T>(_ array: inout [T], _ count: Int, _ value: T) {
  array.removeAll(keepingCapacity: true)
  array.append(contentsOf: repeatElement(value, count: count))
}
