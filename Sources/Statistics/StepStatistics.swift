import TraceModel

/// Where the time of one token step went, on the thread that computes its graphs. Nanoseconds.
public struct StepTime: Sendable, Equatable {
  public var operators: Int64 = 0
  public var barrier: Int64 = 0
  /// Wall time of the outermost graphs.
  public var graphs: Int64 = 0
  /// The part of it that other backends than the CPU's computed: no operators were recorded inside.
  public var backendGraphs: Int64 = 0
  public var setup: Int64 = 0
  public var betweenGraphs: Int64 = 0
  public var finish: Int64 = 0
  public var graphOverhead: Int64 = 0
  /// In graphs while the recorder had taken the operator probes out.
  public var notProbed: Int64 = 0
  /// After the step, up to the next one: in samplers.
  public var sampling: Int64 = 0
  /// After the step, up to the next one: in neither sampler nor engine.
  public var outside: Int64 = 0

  public init() {}

  /// Inside the step under a name. At a level without operators a graph is one block.
  public var accounted: Int64 {
    let insideGraphs =
      operators == 0 && barrier == 0
      ? graphs : operators &+ barrier &+ graphOverhead &+ notProbed &+ backendGraphs
    return insideGraphs &+ setup &+ betweenGraphs &+ finish
  }
}

/// Collects the token steps of a run with the time inside and behind each.
///
/// Memory grows with the number of token steps (about 250 bytes each).
public struct StepStatistics: RunVisitor, Sendable {
  /// In order of their end.
  public private(set) var steps: [TokenStep] = []
  /// By the step's index, which counts from 0.
  private var times: [StepTime] = []
  /// Time of the step that spans come for; written back when another one's come.
  private var current: (step: Int, time: StepTime)?
  /// Ends of the graphs counted last, to tell an outer graph from those inside it.
  private var graphsOfStep: [Int: [TimeRange]] = [:]
  /// What threads other than the calling one counted in operators and barriers of a step.
  private var workerCounters: [Int: CounterDelta] = [:]

  public init() {}

  /// The time of a step by its index; zeros where nothing was recorded in it.
  public func time(ofStep index: Int) -> StepTime {
    if let current, current.step == index { return current.time }
    return times.indices.contains(index) ? times[index] : StepTime()
  }

  /// What a step's threads counted: the calling one from begin to end, the others in operators and barriers. A counter
  /// that is not known of one part is not known of the step. nil without counters.
  public func counters(of step: TokenStep) -> CounterDelta? {
    guard var sum = step.counters else { return nil }
    if let workers = workerCounters[step.index] { sum.add(workers) }
    return sum
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard !span.isMainThread, span.step >= 0 else { return }
    var sum = counters
    sum.add(barrier)
    if let known = workerCounters[Int(span.step)] { sum.add(known) }
    workerCounters[Int(span.step)] = sum
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard span.isMainThread, span.step >= 0 else { return }
    select(Int(span.step))
    current?.time.operators &+= max(span.range.duration, 0)
    current?.time.barrier &+= max(span.barrier.duration, 0)
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    var next = 0
    while next < spans.count {
      let step = spans[next].step
      var operators: Int64 = 0
      var barrier: Int64 = 0
      var isMain = false
      while next < spans.count, spans[next].step == step {
        let span = spans[next]
        if span.isMainThread {
          isMain = true
          operators &+= max(span.range.duration, 0)
          barrier &+= max(span.barrier.duration, 0)
        }
        next &+= 1
      }
      guard isMain, step >= 0 else { continue }
      select(Int(step))
      current?.time.operators &+= operators
      current?.time.barrier &+= barrier
    }
  }

  public mutating func gap(_ gap: GapSpan) {
    guard let step = gap.step else { return }
    select(step)
    let duration = max(gap.range.duration, 0)
    switch gap.kind {
    case .setup: current?.time.setup &+= duration
    case .betweenGraphs: current?.time.betweenGraphs &+= duration
    case .finish: current?.time.finish &+= duration
    case .graphOverhead: current?.time.graphOverhead &+= duration
    case .notProbed: current?.time.notProbed &+= duration
    case .sampling: current?.time.sampling &+= duration
    case .outsideEngine: current?.time.outside &+= duration
    }
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard let step = run.step else { return }
    select(step)
    // A graph that only wraps another is not handed on.
    if !run.isCPUGraph { current?.time.backendGraphs &+= max(run.range.duration, 0) }
    // A backend's graph encloses the CPU graph that computes it and ends after it: the outer
    // one replaces those inside.
    var ranges = graphsOfStep[step] ?? []
    while let inner = ranges.last, inner.start >= run.range.start, inner.end <= run.range.end {
      current?.time.graphs &-= max(inner.duration, 0)
      ranges.removeLast()
    }
    if !ranges.contains(where: { $0.start <= run.range.start && run.range.end <= $0.end }) {
      current?.time.graphs &+= max(run.range.duration, 0)
      // Only the last few can still turn out to be inside of an outer one.
      if ranges.count >= 64 { ranges.removeFirst() }
      ranges.append(run.range)
    }
    graphsOfStep[step] = ranges
  }

  public mutating func tokenStep(_ step: TokenStep) {
    steps.append(step)
    graphsOfStep[step.index] = nil
  }

  private mutating func select(_ step: Int) {
    if let current {
      if current.step == step { return }
      keep(current.time, ofStep: current.step)
    }
    current = (step, times.indices.contains(step) ? times[step] : StepTime())
  }

  private mutating func keep(_ time: StepTime, ofStep step: Int) {
    if step >= times.count {
      times.append(contentsOf: repeatElement(StepTime(), count: step + 1 - times.count))
    }
    times[step] = time
  }
}
