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
  /// - Parameter work: of `structure`, the structure recorded.
  func add(to measurement: inout GraphMeasurement, _ structure: GraphStructure, work: inout CallWork) {
    for node in times.indices where calls[node] > 0 && node < measurement.operators.count {
      let last = max(node, Int(lastNodes[node]))
      if work.lastNode(node) != last {
        work.update(structure, node, last)
        if last > node { measurement.fused.insert(FusedOperator(node: node, lastNode: last)) }
      }
      // In place: a copy of the times would be one of all that were measured before.
      if measurement.operators[node] == nil { measurement.operators[node] = OperatorFigures() }
      measurement.operators[node]?.add(calls: calls[node], time: times[node], work: work[node])
      if !counters.isEmpty, let delta = counters[node] {
        measurement.operators[node]?.counters.add(delta, calls: UInt64(calls[node]))
      }
    }
    if graphCount > 0 { measurement.graphTimes.add(graphTime / Int64(graphCount)) }
  }
}

/// What a call of each operator of a structure moves and computes, kept from step to step.
struct CallWork {
  /// By index in the structure's nodes.
  private let nodes: [OperatorWork?]
  /// Beside them: the last node of the operator that begins there, -1 where none did yet, and its work.
  private var lastNodes: [Int]
  private var works: [OperatorWork]

  /// - Parameter nodes: the work of each node alone.
  init(_ structure: GraphStructure, nodes: [OperatorWork?]) {
    self.nodes = nodes
    lastNodes = Array(repeating: -1, count: structure.nodes.count)
    works = Array(repeating: OperatorWork(bytes: nil, flops: nil), count: structure.nodes.count)
  }

  subscript(node: Int) -> OperatorWork { works[node] }

  func lastNode(_ node: Int) -> Int { lastNodes[node] }

  /// Computes the work of a fused operator. What one member hands to the next never touches memory.
  mutating func update(_ structure: GraphStructure, _ node: Int, _ last: Int) {
    lastNodes[node] = last
    works[node] = OperatorWork(bytes: nil, flops: nil)
    guard last < min(nodes.count, structure.nodes.count) else { return }
    var bytes: Int64? = 0
    var flops: Int64? = 0
    for member in node...last where member == node || member == last || structure.nodes[member].isExecuted {
      let passedOn = member == last ? 0 : structure.nodes[member].byteCount &* 2
      bytes = sum(bytes, nodes[member]?.bytes.map { $0 &- passedOn })
      flops = sum(flops, nodes[member]?.flops)
    }
    works[node] = OperatorWork(bytes: bytes.map { max($0, 0) }, flops: flops)
  }

  private func sum(_ a: Int64?, _ b: Int64?) -> Int64? {
    guard let a, let b else { return nil }
    return a &+ b
  }
}

/// So many of a value, in memory that is there already where it can be.
private func refill<T>(_ array: inout [T], _ count: Int, _ value: T) {
  array.removeAll(keepingCapacity: true)
  array.append(contentsOf: repeatElement(value, count: count))
}
