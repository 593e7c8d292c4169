import TraceModel

/// A token step with the time of its parts and nodes.
struct SampledStep: Sendable {
  var position: Int?
  var tokenCount: Int?
  /// The step, the samplers behind it and the caller's code up to the next step. Nanoseconds.
  var total: Int64
  /// By `TimePart`, then by node, as many as the step reached; their sum is `total`.
  var times: [Int64]
}

/// Steps of one phase, evenly thinned: every first, second, fourth … of them, so that memory is bounded.
struct PhaseSamples: Sendable {
  static let limit = 2000
  /// Values of all steps together; 8 MiB.
  static let valueLimit = 1 << 20

  private(set) var steps: [SampledStep] = []
  /// All steps seen.
  private(set) var count = 0
  private var stride = 1
  private var values = 0

  mutating func add(_ step: SampledStep) {
    defer { count += 1 }
    guard count % stride == 0 else { return }
    steps.append(step)
    values += step.times.count
    while steps.count > Self.limit || values > Self.valueLimit, steps.count > 1 {
      steps = Swift.stride(from: 0, to: steps.count, by: 2).map { steps[$0] }
      values = steps.reduce(0) { $0 + $1.times.count }
      stride *= 2
    }
  }
}

/// Collects what a comparison needs of a run: per step the time of each part and node, in bounded memory.
public struct StepSamples: RunVisitor, Sendable {
  private(set) var slots = NodeSlots()
  private(set) var phases: [Phase: PhaseSamples] = [:]
  /// Largest number of threads that a graph was computed with; 0 where none told.
  public private(set) var graphThreads = 0
  /// Steps without a recorded end, or partly without operator probes: they are not compared.
  public private(set) var skippedSteps = 0
  private var open: [OpenStep] = []
  /// Ended steps that samplers and the caller's code may still follow, one a thread.
  private var ended: [Ended] = []
  private static let openLimit = 64

  private struct OpenStep: Sendable {
    var index: Int
    var times: [Int64] = Array(repeating: 0, count: TimePart.allCases.count)
    /// Whether the insides of its graphs are known.
    var hasInside = false

    mutating func add(_ time: Int64, at slot: Int) {
      while times.count <= slot { times.append(0) }
      times[slot] &+= max(time, 0)
    }
  }

  private struct Ended: Sendable {
    var step: OpenStep
    var token: TokenStep
  }

  public init() {}

  public mutating func structure(_ structure: GraphStructure) { slots.add(structure) }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard span.isMainThread, span.step >= 0 else { return }
    let place = openIndex(Int(span.step))
    open[place].add(span.range.duration, at: slots.slot(of: span))
    open[place].add(span.barrier.duration, at: TimePart.barrier.slot)
  }

  public mutating func gap(_ gap: GapSpan) {
    guard let step = gap.step else { return }
    let slot = TimePart(gap.kind).slot
    if let place = ended.firstIndex(where: { $0.step.index == step }) {
      ended[place].step.add(gap.range.duration, at: slot)
      return
    }
    // What is late for a step that was put away would open it again.
    guard gap.kind != .sampling, gap.kind != .outsideEngine else { return }
    let place = openIndex(step)
    if gap.kind == .graphOverhead || gap.kind == .notProbed { open[place].hasInside = true }
    open[place].add(gap.range.duration, at: slot)
  }

  public mutating func graphRun(_ run: GraphRun) {
    graphThreads = max(graphThreads, run.threadCount)
    guard let step = run.step else { return }
    let place = openIndex(step)
    guard !run.isCPUGraph || !open[place].hasInside else { return }
    open[place].add(run.range.duration, at: TimePart.graphs.slot)
  }

  public mutating func tokenStep(_ token: TokenStep) {
    let place = openIndex(token.index)
    let step = open.remove(at: place)
    if let before = ended.firstIndex(where: { $0.token.thread == token.thread }) {
      file(ended.remove(at: before))
    } else if ended.count >= Self.openLimit {
      file(ended.removeFirst())
    }
    ended.append(Ended(step: step, token: token))
  }

  /// Puts the last steps away: no events follow.
  public mutating func finish() {
    for one in ended { file(one) }
    ended = []
    open = []
  }

  private mutating func file(_ ended: Ended) {
    guard ended.token.isComplete, ended.token.hasOperatorProbes else {
      skippedSteps += 1
      return
    }
    var times = ended.step.times
    let wall = max(ended.token.range.duration, 0)
    let total = wall &+ times[TimePart.sampling.slot] &+ times[TimePart.outside.slot]
    times[TimePart.unnamed.slot] = times.reduce(total) { $0 &- $1 }
    phases[ended.token.phase, default: PhaseSamples()].add(
      SampledStep(
        position: ended.token.position, tokenCount: ended.token.tokenCount, total: total, times: times))
  }

  private mutating func openIndex(_ step: Int) -> Int {
    if let last = open.last, last.index == step { return open.count - 1 }
    if let index = open.lastIndex(where: { $0.index == step }) { return index }
    if open.count >= Self.openLimit { open.removeFirst() }
    open.append(OpenStep(index: step))
    return open.count - 1
  }
}
