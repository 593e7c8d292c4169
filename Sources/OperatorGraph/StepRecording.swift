import Statistics
import TraceModel

/// What one step did in the nodes of one structure, which several graphs may have computed.
struct StepRecording {
  private(set) var structure: UInt32 = 0
  var graphCount = 0
  var backend = ""
  /// Nanoseconds, of all graphs.
  var graphTime: Int64 = 0
  /// By index in the structure's nodes: of the main thread, and of all threads.
  private var times: [Int64] = []
  private var calls: [UInt32] = []
  private var lastNodes: [Int32] = []
  /// Empty without counters.
  private var counters: [CounterDelta?] = []

  var graph: StepGraph {
    StepGraph(structure: structure, nodeCount: times.count, backend: backend, runCount: graphCount)
  }

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

  /// What one call moves and computes. What one member of a fused operator hands to the next never touches
  /// memory.
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
