import TraceModel

/// What one batch of records led to, in order.
///
/// The builder is not generic: it collects here, and only the hand-over calls the visitor.
struct Output {
  enum Event {
    case structure(GraphStructure)
    case graph(GraphRun)
    case gap(GapSpan)
    case experts(ExpertActivation)
    case loss(LossGap)
    case step(TokenStep)
  }

  var spans: [OperatorSpan] = []
  /// Each with the number of spans before it.
  private var events: [(spansBefore: Int, event: Event)] = []

  @inline(__always)
  mutating func append(_ span: OperatorSpan) { spans.append(span) }

  mutating func append(_ event: Event) { events.append((spans.count, event)) }

  mutating func handOver(to visitor: inout some RunVisitor) {
    var next = 0
    for (spansBefore, event) in events {
      while next < spansBefore {
        visitor.operatorSpan(spans[next])
        next += 1
      }
      switch event {
      case .structure(let value): visitor.structure(value)
      case .graph(let value): visitor.graphRun(value)
      case .gap(let value): visitor.gap(value)
      case .experts(let value): visitor.experts(value)
      case .loss(let value): visitor.lossGap(value)
      case .step(let value): visitor.tokenStep(value)
      }
    }
    while next < spans.count {
      visitor.operatorSpan(spans[next])
      next += 1
    }
    spans.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }
}
