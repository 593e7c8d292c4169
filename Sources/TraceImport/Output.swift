import TraceModel

/// What one batch of records led to, in order.
///
/// The builder is not generic: it collects here, and only the hand-over calls the visitor. Spans are handed over
/// while they are in the processor's caches.
struct Output: ~Copyable {
  enum Event {
    case structure(GraphStructure)
    case graph(GraphRun)
    case gap(GapSpan)
    case experts(ExpertActivation)
    case loss(LossGap)
    case step(TokenStep)
    case thread(ThreadSlice)
    case backend(Backend)
    case enqueue(EnqueueSpan)
    case round(SpeculativeRound)
    case reading(Reading)
    case probes(ProbeGap)
  }

  /// Spans to be handed over at once: 64 KiB of them.
  private static let batch = 1024

  private var spans: UnsafeMutablePointer<OperatorSpan>
  private var spanCount = 0
  /// Spans handed over.
  private(set) var handedOver = 0
  private var capacity = 2 * batch
  /// Beside `spans` in a trace with counters, else empty.
  private var counters: [(own: CounterDelta, barrier: CounterDelta)] = []
  /// Each with the number of spans before it.
  private var events: [(spansBefore: Int, event: Event)] = []

  init() { spans = Self.room(capacity) }

  deinit { spans.deallocate() }

  /// Time to hand over; more can still be appended.
  var isFull: Bool { spanCount >= Self.batch }

  /// The place of the next span, for the caller to fill.
  @inline(__always)
  mutating func next() -> UnsafeMutablePointer<OperatorSpan> {
    if spanCount == capacity { grow() }
    spanCount &+= 1
    return spans + (spanCount &- 1)
  }

  /// Of the last span.
  mutating func appendCounters(_ own: CounterDelta, barrier: CounterDelta) { counters.append((own, barrier)) }

  mutating func append(_ event: Event) { events.append((spanCount, event)) }

  private mutating func grow() {
    let larger = Self.room(capacity * 2)
    larger.update(from: spans, count: spanCount)
    spans.deallocate()
    spans = larger
    capacity *= 2
  }

  private static func room(_ capacity: Int) -> UnsafeMutablePointer<OperatorSpan> {
    let zero = TraceTime(nanoseconds: 0)
    let room = UnsafeMutablePointer<OperatorSpan>.allocate(capacity: capacity)
    room.initialize(
      repeating: OperatorSpan(
        graph: -1, step: -1, structure: 0, node: -1, lastNode: -1, thread: ThreadID(0),
        range: TimeRange(start: zero, end: zero), barrier: TimeRange(start: zero, end: zero),
        isMainThread: false, isRepaired: false), count: capacity)
    return room
  }

  mutating func handOver(to visitor: inout some RunVisitor) {
    var next = 0
    for (spansBefore, event) in events {
      hand(next..<spansBefore, to: &visitor)
      next = spansBefore
      switch event {
      case .structure(let value): visitor.structure(value)
      case .graph(let value): visitor.graphRun(value)
      case .gap(let value): visitor.gap(value)
      case .experts(let value): visitor.experts(value)
      case .loss(let value): visitor.lossGap(value)
      case .step(let value): visitor.tokenStep(value)
      case .thread(let value): visitor.threadSlice(value)
      case .backend(let value): visitor.backend(value)
      case .enqueue(let value): visitor.enqueueSpan(value)
      case .round(let value): visitor.speculativeRound(value)
      case .reading(let value): visitor.reading(value)
      case .probes(let value): visitor.probeGap(value)
      }
    }
    hand(next..<spanCount, to: &visitor)
    handedOver += spanCount
    spanCount = 0
    counters.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }

  private func hand(_ range: Range<Int>, to visitor: inout some RunVisitor) {
    if range.isEmpty { return }
    let list = UnsafeBufferPointer(start: spans + range.lowerBound, count: range.count)
    guard range.lowerBound < counters.count else { return visitor.operatorSpans(list.span) }
    for index in range {
      visitor.operatorSpan(spans[index])
      visitor.operatorCounters(counters[index].own, barrier: counters[index].barrier, of: spans[index])
    }
  }
}
