import TraceModel

/// The experts that the tokens of running steps were routed to, by layer.
struct Routing {
  /// Tokens of which the experts are told one by one.
  private static let shownTokens = 8
  private static let maxLayers = 4096

  private struct Layer {
    var step: Int
    var layer: Int32
    var rows: [[Int32]] = []
    var tokens = 0
    var used: Set<Int32> = []
    /// Made when an operator asks for it; tokens that come later are those of another micro-batch.
    var text: String?
  }

  private var layers: [Layer] = []

  mutating func add(_ activation: ExpertActivation) {
    let layer = Int32(clamping: activation.layer ?? -1)
    guard let index = index(step: activation.step, layer: layer) ?? newIndex(activation.step, layer) else {
      return
    }
    if layers[index].text != nil { layers[index] = Layer(step: activation.step, layer: layer) }
    layers[index].tokens += 1
    layers[index].used.formUnion(activation.experts)
    if layers[index].rows.count < Self.shownTokens { layers[index].rows.append(activation.experts) }
  }

  /// `3, 7` for one token, `3, 7; 1, 5` for two; of many tokens the first ones, and how many experts all of them
  /// were routed to. nil where that was not recorded.
  mutating func text(step: Int32, layer: Int32) -> String? {
    guard let index = index(step: Int(step), layer: layer) else { return nil }
    if let text = layers[index].text { return text }
    let entry = layers[index]
    var text = entry.rows.map { $0.map(String.init).joined(separator: ", ") }.joined(separator: "; ")
    if entry.tokens > entry.rows.count {
      text += "; … \(entry.tokens) tokens, \(entry.used.count) experts"
    }
    layers[index].text = text
    return text
  }

  mutating func forget(step: Int) {
    if !layers.isEmpty { layers.removeAll { $0.step == step } }
  }

  private func index(step: Int, layer: Int32) -> Int? {
    // The layer used last is the one asked for.
    layers.lastIndex { $0.step == step && $0.layer == layer }
  }

  private mutating func newIndex(_ step: Int, _ layer: Int32) -> Int? {
    guard layers.count < Self.maxLayers else { return nil }
    layers.append(Layer(step: step, layer: layer))
    return layers.count - 1
  }
}

/// The graphs that token steps computed, for the arrows to them.
struct StepGraphs {
  private static let maxOpen = 1 << 14

  private var open: [(step: Int, graph: Int)] = []

  mutating func add(_ graph: Int, of step: Int) {
    if open.count < Self.maxOpen { open.append((step, graph)) }
  }

  mutating func take(step: Int) -> [Int] {
    guard !open.isEmpty else { return [] }
    let graphs = open.filter { $0.step == step }.map(\.graph)
    open.removeAll { $0.step <= step }
    return graphs
  }
}

/// What the operators of running graphs moved by the work model, and how long that took.
struct GraphWork {
  struct Sum {
    var bytes: Int64 = 0
    /// Of the operators whose bytes are known, with the waits behind them. Nanoseconds.
    var time: Int64 = 0
  }

  private static let maxOpen = 64

  private var open: [(graph: Int32, sum: Sum)] = []
  private var latest = 0

  /// Adds an operator, as the thread saw it that computes the graph: from its start to the end of the wait for the
  /// other threads.
  @inline(__always)
  mutating func add(_ span: OperatorSpan, bytes: Int64?) {
    guard let bytes, span.graph >= 0 else { return }
    if latest >= open.count || open[latest].graph != span.graph {
      guard let index = index(of: span.graph) else { return }
      latest = index
    }
    open[latest].sum.bytes &+= bytes
    open[latest].sum.time &+= max(span.barrier.end - span.range.start, 0)
  }

  private mutating func index(of graph: Int32) -> Int? {
    if let known = open.firstIndex(where: { $0.graph == graph }) { return known }
    // The ends of graphs can be missing.
    if open.count >= Self.maxOpen { open.removeFirst() }
    open.append((graph, Sum()))
    return open.count - 1
  }

  /// The sum of a graph that is over; nil where nothing is known.
  mutating func take(graph: Int) -> Sum? {
    guard let index = open.firstIndex(where: { Int($0.graph) == graph }) else { return nil }
    return open.remove(at: index).sum
  }
}

/// What threads other than the calling one counted in operators and barriers of token steps that are not over.
struct WorkerCounters {
  private static let maxOpen = 64

  private var open: [(step: Int32, sum: CounterDelta)] = []

  mutating func add(_ counters: CounterDelta, _ barrier: CounterDelta, of span: OperatorSpan) {
    guard !span.isMainThread, span.step >= 0 else { return }
    var sum = counters
    sum.add(barrier)
    if let index = open.lastIndex(where: { $0.step == span.step }) {
      open[index].sum.add(sum)
    } else {
      // The ends of steps can be missing.
      if open.count >= Self.maxOpen { open.removeFirst() }
      open.append((span.step, sum))
    }
  }

  /// What all threads of a step counted: the calling one from begin to end, the others as said; nil without counters.
  mutating func take(_ step: TokenStep) -> CounterDelta? {
    guard var sum = step.counters else { return nil }
    if let index = open.firstIndex(where: { Int($0.step) == step.index }) {
      sum.add(open.remove(at: index).sum)
    }
    return sum
  }
}
