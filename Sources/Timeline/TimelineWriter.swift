import TraceModel

/// Writes a run as a timeline: one track per thread with its token steps, graphs, operators,
/// barrier waits and gaps as slices.
///
/// The file is streamed: memory depends on the graph's structures and on one token step,
/// not on the length of the run. Times are exact to the nanosecond. Each slice nests properly
/// on its track: a slice that would partly overlap another goes, unchanged, to an additional
/// track of its thread, and is counted.
///
/// Where a recording has them, there are more tracks: what the scheduler did with each thread, rounds of speculative
/// decoding, lost records, intervals without operator probes; and curves: decoding speed, modelled bandwidth, clock
/// frequency, temperature, hardware and software counters.
///
/// Call `finish()` at the end.
public struct TimelineWriter: RunVisitor {
  /// Slices written.
  public internal(set) var sliceCount = 0
  /// Slices that would have overlapped another partly, and were moved to an additional track.
  public internal(set) var overlappingCount = 0
  /// Slices that end before they begin, or overlap on every additional track as well; not written.
  public internal(set) var refusedCount = 0
  /// What could not be kept until it was known whether it belongs to the token steps asked for; not written.
  public internal(set) var droppedCount = 0
  /// Bytes handed to the output so far.
  public var byteCount: Int { encoder.byteCount }

  let options: TimelineOptions
  let encoder: any TimelineEncoder
  var tracks = TrackSet()
  /// Lanes that the encoder knows.
  private var announcedLanes = 0
  var catalog: OperatorCatalog
  var window: StepWindow
  var held: [HeldItem] = []
  var curves = CurveSet()
  var work = GraphWork()
  var routing = Routing()
  /// Graphs of token steps that are not over.
  var graphs = StepGraphs()
  private var workers = WorkerCounters()
  /// An operator whose counters are still to come.
  private var heldSpan: OperatorSpan?

  /// - Parameter write: receives the output in order, in blocks; the bytes are valid during the call.
  public init(
    _ format: TimelineFormat, _ options: TimelineOptions = TimelineOptions(),
    write: @escaping (UnsafeRawBufferPointer) -> Void
  ) {
    self.options = options
    let sink = ByteSink(write: write)
    encoder =
      switch format {
      case .chrome: ChromeEncoder(options, sink)
      case .perfetto: PerfettoEncoder(options, sink)
      }
    catalog = OperatorCatalog(titles: options.operatorTitle, workModel: options.workModel)
    window = StepWindow(options.tokens)
  }

  public mutating func structure(_ structure: GraphStructure) { catalog.add(structure) }

  @inline(__always)
  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard window.isWanted(span.step < 0 ? nil : Int(span.step)) else { return }
    guard options.counters.isEmpty else {
      finishHeldSpan()
      heldSpan = span
      return
    }
    write(span, CounterDelta(), barrier: CounterDelta())
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    for index in spans.indices { operatorSpan(spans[index]) }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard let held = heldSpan else { return }
    heldSpan = nil
    workers.add(counters, barrier, of: held)
    write(held, counters, barrier: barrier)
  }

  private mutating func finishHeldSpan() {
    guard let span = heldSpan else { return }
    heldSpan = nil
    write(span, CounterDelta(), barrier: CounterDelta())
  }

  @inline(__always)
  private mutating func write(_ span: OperatorSpan, _ counters: CounterDelta, barrier: CounterDelta) {
    let track = tracks.index(of: span.thread, isMain: span.isMainThread)
    let entry = catalog.entry(structure: span.structure, node: span.node, lastNode: span.lastNode)
    if span.isMainThread { work.add(span, bytes: catalog.bytes(of: entry)) }
    if let lane = place(span.range, onTrack: track) {
      let number = catalog.number(of: entry) ?? describe(entry)
      let hasExperts = entry != OperatorCatalog.unknown && catalog.routesExperts(entry)
      if span.isRepaired || counters.known != 0 || hasExperts {
        encoder.operatorSlice(
          number, on: lane, span.range,
          OperatorDetails(
            isRepaired: span.isRepaired, counters: counters,
            experts: hasExperts ? routing.text(step: span.step, layer: catalog.layer(of: entry)) : nil))
      } else {
        encoder.operatorSlice(number, on: lane, span.range)
      }
    }
    if span.barrier.start != span.barrier.end, let lane = place(span.barrier, onTrack: track) {
      encoder.barrierSlice(on: lane, span.barrier, barrier)
    }
  }

  /// Tells the encoder of an operator that is drawn for the first time.
  private mutating func describe(_ entry: Int32) -> Int? {
    guard let description = catalog.describe(entry) else { return nil }
    encoder.add(description)
    return catalog.number(of: entry)
  }

  public mutating func graphRun(_ run: GraphRun) {
    finishHeldSpan()
    let moved = work.take(graph: run.index)
    guard window.isWanted(run.step) else { return }
    tracks.markMain(run.thread)
    var slice = Slice(common: "graph \(run.backend)", .graph, run.range)
    slice.arguments = [
      Argument("graph", run.index), Argument("backend", .text(run.backend)), Argument("nodes", run.nodeCount),
      Argument("threads", run.threadCount),
    ]
    if let structure = run.structure { slice.arguments.append(Argument("structure", Int(structure))) }
    if let moved { slice.arguments.append(Argument("modelled bytes", .integer(moved.bytes))) }
    slice.arguments += counterArguments(run.counters)
    if !run.isComplete { slice.arguments.append(Argument("end", .text("not recorded"))) }
    if let step = run.step { slice.flow = .toGraph(run.index, ofStep: step) }
    if draw(slice, on: .thread(run.thread)), let step = run.step { graphs.add(run.index, of: step) }
    if run.step == nil { seal(run.range, on: run.thread) }
    bandwidth(moved, run.range)
  }

  public mutating func gap(_ gap: GapSpan) {
    guard window.isWanted(gap.step) else { return }
    if let lane = place(gap.range, onTrack: tracks.index(of: gap.thread, isMain: false)) {
      encoder.gapSlice(gap.kind, on: lane, gap.range)
    }
  }

  public mutating func experts(_ activation: ExpertActivation) {
    if window.isWanted(activation.step) { routing.add(activation) }
  }

  public mutating func tokenStep(_ step: TokenStep) {
    finishHeldSpan()
    window.note(step)
    routing.forget(step: step.index)
    let graphs = graphs.take(step: step.index)
    let counted = workers.take(step)
    if window.isWanted(step.index) {
      tracks.markMain(step.thread)
      draw(slice(of: step, graphs, counted), on: .thread(step.thread))
      seal(step.range, on: step.thread)
      curves(of: step, counted)
    }
    releaseHeld()
  }

  private func slice(of step: TokenStep, _ graphs: [Int], _ counted: CounterDelta?) -> Slice {
    let name = step.phase == .unknown ? "token step" : step.phase.rawValue
    var slice = Slice(name: "\(name) \(step.index)", .tokenStep, step.range)
    slice.arguments = [Argument("phase", .text(step.phase.rawValue))]
    if let count = step.tokenCount { slice.arguments.append(Argument("tokens", count)) }
    if let position = step.position { slice.arguments.append(Argument("position", position)) }
    slice.arguments += [
      Argument("graphs", step.graphCount), Argument("operators", step.operatorCount),
      Argument("context", .address(step.context)),
    ]
    if let coverage = step.coverage, coverage.isFinite {
      slice.arguments.append(Argument("coverage", .number(coverage)))
    }
    slice.arguments += counterArguments(counted)
    if !step.hasOperatorProbes { slice.arguments.append(Argument("operator probes", .text("were out"))) }
    if !step.isComplete { slice.arguments.append(Argument("end", .text("not recorded"))) }
    slice.flow = graphs.isEmpty ? nil : .fromStep(step.index, toGraphs: graphs)
    return slice
  }

  /// Ends the output; nothing may be written after it.
  public mutating func finish() {
    finishHeldSpan()
    window.end()
    releaseHeld()
    finishCurves()
    encoder.finish(tracks.inDisplayOrder(names: options.threadNames))
  }

  // MARK: - Drawing

  /// - Returns: false when the slice fits on no lane of its owner.
  @discardableResult
  mutating func draw(_ slice: Slice, on owner: TrackSet.Owner) -> Bool {
    let track =
      if case .thread(let thread) = owner {
        tracks.index(of: thread, isMain: false)
      } else {
        tracks.index(of: owner)
      }
    guard let lane = place(slice.range, onTrack: track) else { return false }
    encoder.slice(slice, on: lane)
    return true
  }

  @inline(__always)
  private mutating func place(_ range: TimeRange, onTrack track: Int) -> Lane? {
    guard let lane = tracks.place(range, onTrack: track) else {
      refusedCount += 1
      return nil
    }
    sliceCount += 1
    if lane.isAdditional { overlappingCount += 1 }
    if lane.index >= announcedLanes { announceLanes() }
    if tracks.hasOverflown { completeAll() }
    return lane
  }

  private mutating func announceLanes() {
    while announcedLanes < tracks.laneCount {
      let (lane, owner, title) = tracks.lane(announcedLanes, names: options.threadNames)
      encoder.add(lane, of: owner, title: title)
      announcedLanes += 1
    }
  }

  /// Says that nothing more is to come inside of a slice, or around it.
  private mutating func seal(_ range: TimeRange, on thread: ThreadID) {
    for lane in tracks.seal(range, on: thread) { encoder.complete(lane) }
  }

  /// Bounds memory in a run whose slices are never enclosed.
  private mutating func completeAll() {
    for lane in tracks.closeAll() { encoder.complete(lane) }
  }

  /// What was counted during a slice, by the names of the counters.
  func counterArguments(_ delta: CounterDelta?) -> [Argument] {
    guard let delta, delta.known != 0 else { return [] }
    var arguments = options.counters.compactMap { column in
      delta[column.index].map { Argument(column.name, .count($0)) }
    }
    if delta.mayIncludeOtherTasks { arguments.append(Argument("may include other tasks", .flag(true))) }
    return arguments
  }
}
