import TraceModel

/// The chain of operators that no order of execution and no number of cores for branches beside each other
/// can shorten: the longest path through the graph by measured main-thread time.
public struct CriticalPath: Sendable, Equatable {
  /// Vertices in order of execution; those without a time are of length 0.
  public var vertices: [Int]
  /// Nanoseconds.
  public var length: Int64
  /// All operators together, nanoseconds.
  public var total: Int64
  /// False when some vertices are on cycles, which only a damaged or hostile trace has, and were left out.
  public var isComplete: Bool
}

extension OperatorGraph {
  /// The longest path by the time of each vertex; nil where no time is known.
  ///
  /// Of paths of the same length it is the one that ends first in the graph's order.
  ///
  /// - Parameter times: nanoseconds, by index in the vertices.
  public func criticalPath(_ times: [Int64?]) -> CriticalPath? {
    guard times.count == vertices.count, times.contains(where: { $0 != nil }) else { return nil }
    let (order, unordered) = topologicalOrder()
    let incoming = Adjacency(edges, count: vertices.count, by: \.to)
    var length = [Int64](repeating: 0, count: vertices.count)
    var before = [Int?](repeating: nil, count: vertices.count)
    var end: Int?
    for vertex in order {
      for edge in incoming[vertex] {
        let from = edges[edge].from
        if before[vertex].map({ length[$0] < length[from] }) ?? true { before[vertex] = from }
      }
      length[vertex] = (before[vertex].map { length[$0] } ?? 0).addingClamped(max(times[vertex] ?? 0, 0))
      if end.map({ length[$0] < length[vertex] }) ?? true { end = vertex }
    }
    var path: [Int] = []
    var next = end
    while let vertex = next {
      // Constants take no time and are no part of what is executed.
      if !vertices[vertex].members.isEmpty { path.append(vertex) }
      next = before[vertex]
    }
    let total = times.reduce(Int64(0)) { $0.addingClamped(max($1 ?? 0, 0)) }
    return CriticalPath(
      vertices: path.reversed(), length: end.map { length[$0] } ?? 0, total: total,
      isComplete: unordered.isEmpty)
  }
}

extension Int64 {
  func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
