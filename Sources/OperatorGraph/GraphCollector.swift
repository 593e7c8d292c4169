import Statistics
import TraceModel

/// Takes the graph of one token step out of a run, with what was measured of its operators.
///
/// Memory depends on the graphs, and on the steps that are open at a time.
public struct GraphCollector: RunVisitor {
  private let wanted: Int?
  private let wantedPhase: Phase?
  private let graphIndex: Int
  private let measuresAllSteps: Bool
  private let workModel: WorkModel?

  private var structures: [UInt32: GraphStructure] = [:]
  /// Of structures measured since the step was chosen.
  private var work: [UInt32: CallWork] = [:]

  /// What open steps did in each structure; `slots` says where, and closed ones are used again.
  private var recordings: [StepRecording] = []
  private var free: [Int] = []
  private var slots: [Place: Int] = [:]
  private var slotsOfStep: [Int32: [Int]] = [:]
  /// Looked up last: consecutive spans nearly always share it. Slot -1: nothing is recorded there.
  private var current = nowhere

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
  ///   - step: the token step; without it the first decode step of which everything was recorded, or the best
  ///     that there is.
  ///   - phase: only steps of this phase.
  ///   - graphIndex: of a step computed as several graphs, which one by size; 0 is the largest. Steps that
  ///     have fewer do not count.
  ///   - measuresAllSteps: measure all steps of the chosen one's phase, model context and number of tokens
  ///     whose graph has the same operators, not only that step. With `step` it has no effect.
  ///   - workModel: gives bytes and floating-point operations; without it they count as not recorded.
  public init(
    step: Int?, phase: Phase? = nil, graphIndex: Int = 0, measuresAllSteps: Bool = false,
    workModel: WorkModel? = nil
  ) {
    wanted = step
    wantedPhase = phase
    self.graphIndex = max(graphIndex, 0)
    self.measuresAllSteps = measuresAllSteps && step == nil
    self.workModel = workModel
  }

  /// The graph; without any token step the largest of the trace with nothing measured. nil where there is
  /// none, or not the one asked for.
  public var measurement: GraphMeasurement? {
    if chosen != nil || wanted != nil || wantedPhase != nil || graphIndex > 0 { return chosen }
    return structures.values.min(by: isLarger).map { GraphMeasurement(structure: $0) }
  }

  private static let nowhere = (place: Place(step: -1, structure: 0), slot: -1)
  private static let bestRank = 4
  /// Nothing that comes can change the result.
  private var isDone: Bool { rank == Self.bestRank && !measuresAllSteps }

  // MARK: - Events

  public mutating func structure(_ structure: GraphStructure) {
    guard !isDone else { return }
    structures[structure.number] = structure
    current = Self.nowhere
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard !isDone, span.isMainThread, span.node >= 0 else { return }
    let slot = slot(Place(step: span.step, structure: span.structure))
    if slot >= 0 { recordings[slot].add(span) }
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    guard !isDone else { return }
    for index in spans.indices { operatorSpan(spans[index]) }
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
    recordings[slot].backend = run.backend
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
      current = Self.nowhere
    }
    let graphs = finished.filter { recordings[$0].graphCount > 0 }
      .compactMap { slot in structures[recordings[slot].structure].map { (slot: slot, structure: $0) } }
      .sorted { isLarger($0.structure, $1.structure) }
    guard graphIndex < graphs.count else { return }
    let (slot, structure) = graphs[graphIndex]
    let kind = StepKind(phase: step.phase, tokenCount: step.tokenCount, context: step.context)
    let stepRank = rank(of: step)
    if stepRank > rank {
      rank = stepRank
      self.kind = kind
      isAlike = [structure.number: true]
      work = [:]
      var measurement = GraphMeasurement(structure: structure)
      measurement.step = step
      measurement.graphs = graphs.map { recordings[$0.slot].graph }
      measurement.graphIndex = graphIndex
      chosen = measurement
    } else if measuresAllSteps, step.phase == chosen?.step?.phase {
      guard stepRank == rank, kind == self.kind, isLikeChosen(structure) else {
        chosen?.otherStepCount += 1
        return
      }
    } else {
      return
    }
    measure(slot, structure)
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

  /// By nodes, and of equals the first.
  private func isLarger(_ a: GraphStructure, _ b: GraphStructure) -> Bool {
    (b.nodes.count, a.number) < (a.nodes.count, b.number)
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
    var callWork =
      work.removeValue(forKey: structure.number) ?? CallWork(structure, nodes: workModel?(structure) ?? [])
    recordings[slot].add(to: &measurement, structure, work: &callWork)
    work[structure.number] = callWork
    measurement.stepCount += 1
    chosen = measurement
  }
}
