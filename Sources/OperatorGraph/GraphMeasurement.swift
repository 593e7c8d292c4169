import Statistics
import TraceModel

/// Counters of an operator's calls, each over those calls of which it is known of every thread.
public struct CallCounters: Sendable, Equatable {
  private var sums = SIMD8<UInt64>()
  private var calls = SIMD8<UInt64>()
  /// See `CounterDelta`.
  public private(set) var mayIncludeOtherTasks = false

  public init() {}

  /// Mean of a call, by place in `CounterDelta`; nil where it is not known of any.
  public subscript(index: Int) -> Double? {
    guard index >= 0, index < CounterDelta.capacity, calls[index] > 0 else { return nil }
    return Double(sums[index]) / Double(calls[index])
  }

  /// Adds what all threads together counted in so many calls.
  public mutating func add(_ delta: CounterDelta, calls count: UInt64) {
    for index in 0..<CounterDelta.capacity {
      guard let value = delta[index] else { continue }
      sums[index] &+= value
      calls[index] &+= count
    }
    mayIncludeOtherTasks = mayIncludeOtherTasks || delta.mayIncludeOtherTasks
  }

  public mutating func merge(_ other: CallCounters) {
    sums &+= other.sums
    calls &+= other.calls
    mayIncludeOtherTasks = mayIncludeOtherTasks || other.mayIncludeOtherTasks
  }
}

/// What was measured of the calls of an operator, or of the same operator of several layers. Times are the
/// main thread's, from its start to its arrival at the barrier, in nanoseconds.
public struct OperatorFigures: Sendable {
  /// Executions, each counted once however many threads shared it.
  public var calls: UInt64 = 0
  /// Summed over the calls.
  public var time: Int64 = 0
  /// Of each call. Where a step calls the operator several times, their mean.
  public var times = QuantileSketch()
  /// Modelled work summed over the calls; nil where it is not known of one of them.
  public var bytes: Int64? = 0
  public var flops: Int64? = 0
  public var counters = CallCounters()

  public init() {}

  /// Bytes that the work model says were moved, per second; nil where either is not known.
  public var bandwidth: Double? { rate(bytes) }
  /// Floating-point operations per second; nil where either is not known.
  public var flopRate: Double? { rate(flops) }

  /// The mean of a call of something summed over them.
  public func perCall(_ sum: Int64?) -> Int64? {
    guard let sum, calls > 0 else { return nil }
    return Int64((Double(sum) / Double(calls)).rounded())
  }

  /// Adds the calls of one step.
  ///
  /// - Parameters:
  ///   - time: of all of them.
  ///   - work: of each.
  mutating func add(calls count: UInt32, time: Int64, work: OperatorWork) {
    calls &+= UInt64(count)
    self.time = self.time.addingClamped(time)
    times.add(time / Int64(max(count, 1)))
    bytes = sum(bytes, work.bytes.map { $0 &* Int64(count) })
    flops = sum(flops, work.flops.map { $0 &* Int64(count) })
  }

  /// Adds other calls of the operator.
  public mutating func merge(_ other: OperatorFigures) {
    calls &+= other.calls
    time &+= other.time
    times.merge(other.times)
    bytes = sum(bytes, other.bytes)
    flops = sum(flops, other.flops)
    counters.merge(other.counters)
  }

  private func rate(_ amount: Int64?) -> Double? {
    guard let amount, time > 0 else { return nil }
    return Double(amount) / Double(time) * 1e9
  }

  private func sum(_ a: Int64?, _ b: Int64?) -> Int64? {
    guard let a, let b else { return nil }
    return a &+ b
  }
}

/// One of the graphs that a step was computed as.
public struct StepGraph: Sendable, Hashable {
  public var structure: UInt32
  public var nodeCount: Int
  /// See `GraphRun`.
  public var backend: String
  /// Times that the step computed it.
  public var runCount: Int
}

/// The graph of a token step with what was measured of its operators, in this step or in all steps of the
/// same kind.
public struct GraphMeasurement: Sendable {
  public var structure: GraphStructure
  public var fused: Set<FusedOperator> = []
  /// By index in the structure's nodes, at a fused operator's first one; nil where no execution was recorded.
  public var operators: [OperatorFigures?] = []
  /// The step that the graph is of; nil when it was not computed in any step.
  public var step: TokenStep?
  /// Steps measured.
  public var stepCount = 0
  /// Steps of the same phase that are left out: another graph, another number of tokens, or cut short.
  public var otherStepCount = 0
  /// Wall time of the graph, of each step measured.
  public var graphTimes = QuantileSketch()
  /// The graphs that the step was computed as, largest first; empty without a step.
  public var graphs: [StepGraph] = []
  /// Which of them this is.
  public var graphIndex = 0

  /// - Parameter operators: by index in the structure's nodes.
  public init(structure: GraphStructure, operators: [Int: OperatorFigures] = [:]) {
    self.structure = structure
    self.operators = structure.nodes.indices.map { operators[$0] }
  }

  /// The figures of an operator; nil where it was not recorded.
  public func figures(of vertex: Vertex) -> OperatorFigures? {
    let known = vertex.members.compactMap { operators.indices.contains($0) ? operators[$0] : nil }
    guard var sum = known.first else { return nil }
    if known.count == 1 { return sum }
    // Members that ran apart in some steps, although they were fused in others.
    var middle: Int64 = 0
    for figures in known.dropFirst() { sum.merge(figures) }
    for figures in known { middle &+= figures.times.quantile(0.5) ?? 0 }
    sum.calls = known.map(\.calls).max() ?? 0
    sum.times = QuantileSketch()
    sum.times.add(middle)
    return sum
  }
}
