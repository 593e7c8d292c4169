import TraceModel

/// A thread's part in an operator, up to its arrival at the barrier.
struct Arrival {
  var step: Int32
  var node: Int32
  var kind: UInt16
  var isMain: Bool
  var hadFaults = false
  var thread: ThreadID
  var start: UInt64
  /// Arrives at the barrier.
  var end: UInt64
  /// Goes on behind it.
  var waitEnd: UInt64
}

/// Brings together the spans of all threads that computed one operator.
///
/// A thread's span comes when it starts its next operator, so all spans of an operator are there when the
/// main thread's span of the next one is.
struct BarrierMeetings {
  struct OpenGraph {
    var graph: Int32
    /// When the threads were released from the meeting before; nil before the first.
    var release: UInt64?
    var arrivals: [Arrival] = []

    /// Nearly always in order of node; but a thread's last span comes when it arrives, and may overtake.
    fileprivate mutating func next(isOver: Bool) -> Int? {
      guard var node = arrivals.first?.node else { return nil }
      var isWhole = isOver
      for arrival in arrivals { node = min(node, arrival.node) }
      for arrival in arrivals where arrival.isMain && arrival.node > node { isWhole = true }
      guard isWhole else { return nil }
      var count = 0
      for place in arrivals.indices where arrivals[place].node == node {
        if place != count { arrivals.swapAt(place, count) }
        count += 1
      }
      return count
    }
  }

  private(set) var graphs: [OpenGraph] = []
  private var last = 0

  /// Graphs at the same time; a hostile trace may open any number and never end one.
  private static let graphLimit = 64
  /// Of one graph. Meetings that come to no end are given up.
  private static let arrivalLimit = 1024

  /// Adds a span; one whose node or graph is not known belongs to no meeting.
  ///
  /// - Returns: true when earlier operators of its graph have become whole.
  @discardableResult
  mutating func add(_ span: OperatorSpan, kind: Int) -> Bool {
    guard span.graph >= 0, span.node >= 0 else { return false }
    let index = graphIndex(span.graph)
    if graphs[index].arrivals.count >= Self.arrivalLimit {
      graphs[index].arrivals.removeAll(keepingCapacity: true)
      graphs[index].release = nil
    }
    graphs[index].arrivals.append(
      Arrival(
        step: span.step, node: span.node, kind: UInt16(truncatingIfNeeded: kind), isMain: span.isMainThread,
        thread: span.thread, start: span.range.start.nanoseconds,
        end: max(span.range.start, span.range.end).nanoseconds,
        waitEnd: max(span.range.start, span.range.end, span.barrier.end).nanoseconds))
    return span.isMainThread && graphs[index].arrivals[0].node != span.node
  }

  /// The span added last had page faults.
  mutating func markFaults(of span: OperatorSpan) {
    guard last < graphs.count, let newest = graphs[last].arrivals.indices.last,
      graphs[last].arrivals[newest].thread == span.thread,
      graphs[last].arrivals[newest].start == span.range.start.nanoseconds
    else { return }
    graphs[last].arrivals[newest].hadFaults = true
  }

  /// Brings the arrivals at the first meeting of a graph to the front.
  ///
  /// - Parameter isOver: the graph has ended, so that every meeting is whole.
  /// - Returns: how many they are; nil when there is none, or more may come.
  mutating func next(_ index: Int, isOver: Bool) -> Int? {
    graphs[index].next(isOver: isOver)
  }

  /// Takes the first arrivals of a graph out; its threads went on at `release`.
  mutating func remove(_ count: Int, of index: Int, release: UInt64) {
    graphs[index].arrivals.removeFirst(count)
    graphs[index].release = release
  }

  func index(ofGraph graph: Int32) -> Int? { graphs.lastIndex { $0.graph == graph } }

  /// A graph with operators of a step that are not whole; nil when there is none.
  func graph(ofStep step: Int) -> Int32? {
    graphs.first { graph in graph.arrivals.contains { Int($0.step) == step } }?.graph
  }

  mutating func end(_ index: Int) {
    graphs.remove(at: index)
    last = 0
  }

  private mutating func graphIndex(_ graph: Int32) -> Int {
    if last < graphs.count, graphs[last].graph == graph { return last }
    if let known = index(ofGraph: graph) {
      last = known
      return known
    }
    if graphs.count >= Self.graphLimit { graphs.removeFirst() }
    graphs.append(OpenGraph(graph: graph))
    last = graphs.count - 1
    return last
  }
}
