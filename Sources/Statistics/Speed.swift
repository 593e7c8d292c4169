import TraceModel

/// One prompt and the tokens generated from it: consecutive prefill steps of one context and
/// the steps after them, up to the next prefill of that context. Warm-up steps are left out.
public struct Request: Sendable, Equatable {
  public var context: UInt64
  /// Of its first step.
  public var start: TraceTime
  /// From the start of the first prefill step to the end of the last one before the first other
  /// step. Sampling of the first token is not in it. Nanoseconds; nil when the recording began
  /// after the prefill.
  public var timeToFirstToken: Int64?
  /// Of the prefill steps; nil where a step did not tell.
  public var promptTokens: Int?
  public var decodeSteps: Int
}

/// How fast a run was. Warm-up steps are left out everywhere.
public struct Speed: Sendable {
  public var requests: [Request] = []
  /// Distances between starts of consecutive decode steps of one request: what a user waits for
  /// a token, with sampling and everything between the steps. Nanoseconds.
  public var timePerOutputToken = QuantileSketch()
  /// Durations of the decode steps alone. Nanoseconds.
  public var decodeStep = QuantileSketch()
  /// Tokens a second over the wall time of the prefill steps; nil without any.
  public var prefillTokensPerSecond: Double?
  /// Tokens a second over the wall time of the decode steps; nil without any.
  public var decodeTokensPerSecond: Double?
  /// Steps a second over the distances of `timePerOutputToken`: with sampling.
  public var generatedTokensPerSecond: Double?
  public var prefillTokens = 0
  public var decodeTokens = 0

  /// - Parameter steps: of a run, in any order. Steps whose end was not recorded count for
  ///   nothing but the order of phases.
  public init(steps: [TokenStep]) {
    var prefill = Rate()
    var decode = Rate()
    var distance: Int64 = 0
    var distances = 0
    var runs: [UInt64: OpenRequest] = [:]
    let inOrder = steps.filter { $0.phase != .warmup }.sorted {
      ($0.range.start, $0.index) < ($1.range.start, $1.index)
    }
    for step in inOrder {
      var run = runs[step.context] ?? OpenRequest(step)
      if step.phase == .prefill {
        if run.hasGenerated {
          requests.append(run.request)
          run = OpenRequest(step)
        }
        run.prefill(step)
      } else {
        run.generate(step)
        if step.phase == .decode {
          if let last = run.lastDecode {
            let nanoseconds = step.range.start - last
            timePerOutputToken.add(nanoseconds)
            distance &+= max(nanoseconds, 0)
            distances += 1
          }
          run.lastDecode = step.range.start
        } else {
          run.lastDecode = nil
        }
      }
      runs[step.context] = run
      guard step.isComplete else { continue }
      if step.phase == .prefill { prefill.add(step) }
      if step.phase == .decode {
        decode.add(step)
        decodeStep.add(step.range.duration)
      }
    }
    requests += runs.values.map(\.request)
    requests.sort { ($0.start, $0.context) < ($1.start, $1.context) }
    prefillTokensPerSecond = prefill.perSecond
    decodeTokensPerSecond = decode.perSecond
    generatedTokensPerSecond = distance > 0 ? Double(distances) * 1e9 / Double(distance) : nil
    prefillTokens = prefill.tokens
    decodeTokens = decode.tokens
  }

  private struct Rate {
    var tokens = 0
    var nanoseconds: Int64 = 0

    mutating func add(_ step: TokenStep) {
      guard let count = step.tokenCount, count > 0 else { return }
      tokens &+= count
      nanoseconds &+= max(step.range.duration, 0)
    }

    var perSecond: Double? { nanoseconds > 0 ? Double(tokens) * 1e9 / Double(nanoseconds) : nil }
  }

  private struct OpenRequest {
    var context: UInt64
    var firstStep: TraceTime
    var start: TraceTime?
    var end: TraceTime?
    var tokens: Int? = 0
    var steps = 0
    var hasGenerated = false
    var lastDecode: TraceTime?

    init(_ step: TokenStep) {
      context = step.context
      firstStep = step.range.start
    }

    mutating func prefill(_ step: TokenStep) {
      if start == nil { start = step.range.start }
      end = step.isComplete ? step.range.end : nil
      if let known = tokens, let count = step.tokenCount { tokens = known &+ count } else { tokens = nil }
    }

    mutating func generate(_ step: TokenStep) {
      hasGenerated = true
      if step.phase == .decode { steps += 1 }
    }

    var request: Request {
      var time: Int64?
      if let start, let end { time = max(end - start, 0) }
      return Request(
        context: context, start: firstStep, timeToFirstToken: time,
        promptTokens: start == nil ? nil : tokens, decodeSteps: steps)
    }
  }
}
