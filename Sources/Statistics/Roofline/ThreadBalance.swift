import TraceModel

/// How evenly threads share an operator: the slowest thread's time beside the mean of all.
///
/// The spans of an execution come close together: a thread can be one operator ahead of the others at most. So for
/// each node the execution that came last is kept, and memory depends on the number of nodes.
struct ThreadBalance: Sendable {
  /// Over executions in which at least two threads took part. Nanoseconds.
  struct Sum: Sendable, Equatable {
    var slowest: Int64 = 0
    var mean: Int64 = 0
    var executions: UInt64 = 0

    mutating func merge(_ other: Sum) {
      slowest &+= other.slowest
      mean &+= other.mean
      executions &+= other.executions
    }

    /// Slowest over mean: 1 where all take the same time; nil where it is not known.
    var imbalance: Double? { mean > 0 ? Double(slowest) / Double(mean) : nil }
  }

  private struct Execution: Sendable {
    var graph: Int32 = -1
    var node: Int32 = -1
    var step: Int32 = -1
    var slowest: Int64 = 0
    var sum: Int64 = 0
    var threads: Int64 = 0
  }

  private struct OpenStep: Sendable {
    var step: Int32
    var sums: [Sum]
  }

  /// By slot.
  private var executions: [Execution] = []
  private var open: [OpenStep] = []
  private var phases = [[Sum]](repeating: [], count: Phase.allCases.count)
  /// One thread shares with nobody, and most recordings of small machines have one.
  private var hasSeenWorker = false
  private static let openLimit = 64

  @inline(__always)
  mutating func add(_ span: OperatorSpan, slot: UInt32, duration: Int64) {
    if !hasSeenWorker {
      if span.isMainThread { return }
      hasSeenWorker = true
    }
    let index = Int(slot)
    if index >= executions.count {
      executions.append(contentsOf: repeatElement(Execution(), count: index + 1 - executions.count))
    }
    if executions[index].graph != span.graph || executions[index].node != span.node {
      finish(index)
      executions[index] = Execution(graph: span.graph, node: span.node, step: span.step)
    }
    executions[index].slowest = max(executions[index].slowest, duration)
    executions[index].sum &+= duration
    executions[index].threads &+= 1
  }

  private mutating func finish(_ index: Int) {
    let execution = executions[index]
    executions[index].threads = 0
    guard execution.threads > 1 else { return }
    let place = place(of: execution.step)
    if index >= open[place].sums.count {
      open[place].sums.append(contentsOf: repeatElement(Sum(), count: index + 1 - open[place].sums.count))
    }
    open[place].sums[index].merge(
      Sum(slowest: execution.slowest, mean: execution.sum / execution.threads, executions: 1))
  }

  private mutating func place(of step: Int32) -> Int {
    if let last = open.last, last.step == step { return open.count - 1 }
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    // Steps without an end are forgotten when there are too many.
    if open.count >= Self.openLimit { open.removeFirst() }
    open.append(OpenStep(step: step, sums: []))
    return open.count - 1
  }

  /// - Parameter phase: its position in `Phase.allCases`.
  mutating func endStep(_ step: Int, phase: Int) {
    guard hasSeenWorker else { return }
    for index in executions.indices where Int(executions[index].step) == step { finish(index) }
    guard let index = open.lastIndex(where: { Int($0.step) == step }) else { return }
    Self.merge(open.remove(at: index).sums, into: &phases[phase])
  }

  /// Of the phases asked for, by slot.
  func sums(of selection: Set<Phase>) -> [Sum] {
    var result: [Sum] = []
    for (index, phase) in Phase.allCases.enumerated() where selection.contains(phase) {
      Self.merge(phases[index], into: &result)
    }
    return result
  }

  private static func merge(_ sums: [Sum], into all: inout [Sum]) {
    if sums.count > all.count {
      all.append(contentsOf: repeatElement(Sum(), count: sums.count - all.count))
    }
    for index in sums.indices { all[index].merge(sums[index]) }
  }
}
