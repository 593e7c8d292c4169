import TraceModel

/// What a timeline calls its operators.
public enum OperatorTitle: String, Sendable, CaseIterable {
  /// `MUL_MAT`: the viewer's totals by name become totals by operator type.
  case op
  /// `ffn_up-3`.
  case node
  /// `ffn_up-3 MUL_MAT`: what differs between neighbours comes first and stays readable in short slices.
  case nodeAndOp = "node-and-op"
}

/// Writes a run as a timeline in the Trace Event format (JSON), which Perfetto and
/// chrome://tracing open: one track per thread with its token steps, graphs, operators,
/// barrier waits and gaps as slices.
///
/// The file is streamed: memory depends on the graph's structures and on one token step,
/// not on the length of the run. Times are microseconds with three decimals, exact to the
/// nanosecond. Each slice nests properly on its track: a slice that would partly overlap
/// another goes, unchanged, to an additional track of its thread, and is counted.
///
/// Where a recording has them, there are more tracks: what the scheduler did with each thread, rounds of speculative
/// decoding, and counters (clock frequency, temperature, tokens and hardware events a second).
///
/// Call `finish()` at the end: it names the tracks and closes the JSON.
public struct ChromeTraceWriter: RunVisitor {
  public struct Options: Sendable {
    /// Write only these token steps, what is in them, and the gaps after them; nil for
    /// the whole run, also what lies outside of any token step.
    public var tokens: ClosedRange<Int>?
    /// The moment that becomes 0 in the timeline; earlier ones come out negative.
    public var origin: TraceTime
    public var processID: UInt32
    /// Shown above the tracks, such as the target's command.
    public var processName: String
    public var operatorTitle: OperatorTitle
    /// Adds a curve of the decoding speed.
    public var showsSpeed: Bool

    public init(
      tokens: ClosedRange<Int>? = nil, origin: TraceTime = TraceTime(nanoseconds: 0), processID: UInt32 = 1,
      processName: String = "", operatorTitle: OperatorTitle = .nodeAndOp, showsSpeed: Bool = false
    ) {
      self.tokens = tokens
      self.origin = origin
      self.processID = processID
      self.processName = processName
      self.operatorTitle = operatorTitle
      self.showsSpeed = showsSpeed
    }
  }

  /// Names of threads as the trace knows them (`comm`); may be set until `finish()`.
  public var threadNames: [ThreadID: String] = [:]

  /// What counters are called, by column, and thermal zones, by index; set before the run is read.
  public var counterNames: [Int: String] = [:]
  public var zoneNames: [Int: String] = [:]

  /// Slices written.
  public private(set) var sliceCount = 0
  /// Slices that would have overlapped another partly, and were moved to an additional track.
  public private(set) var overlappingCount = 0
  /// Slices that end before they begin, or overlap on every additional track as well; not written.
  public private(set) var refusedCount = 0
  /// Bytes handed to the output so far.
  public var byteCount: Int { sink.flushedBytes }

  let options: Options
  let sink: ByteSink
  var structures: [UInt32: StructureText] = [:]
  private var tracks = TrackSet()
  var series = CounterSeries()
  /// Slices with the same text every time, as `StructureText.Piece.head`.
  private let barrierHead: [UInt8]
  private let unknownOperatorHead: [UInt8]

  /// - Parameter write: receives the JSON in order, in blocks; the bytes are valid during the call.
  public init(_ options: Options = Options(), write: @escaping (UnsafeRawBufferPointer) -> Void) {
    self.options = options
    sink = ByteSink(write: write)
    barrierHead = Self.head("barrier wait", category: "barrier", process: options.processID)
    unknownOperatorHead = Self.head("operator", category: "operator", process: options.processID)
    // An event that is always there comes first, so that every other one can begin with a comma.
    var text = JSONText()
    text.raw(
      "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":")
    text.decimal(options.processID)
    text.raw(",\"args\":{\"name\":")
    text.string(options.processName.isEmpty ? "target" : options.processName)
    text.raw("}}")
    sink.append(text.bytes)
  }

  public mutating func structure(_ structure: GraphStructure) {
    structures[structure.number] = StructureText(
      structure, titles: options.operatorTitle, process: options.processID)
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard isWanted(span.step < 0 ? nil : Int(span.step)) else { return }
    if span.isMainThread { tracks.markMain(span.thread) }
    if let track = place(span.range, on: span.thread) {
      // Optional chaining keeps the cache in place: a copy would cost more than the formatting it saves.
      if let piece = structures[span.structure]?.piece(node: Int(span.node), lastNode: Int(span.lastNode)) {
        begin(piece.head, track: track, range: span.range)
        sink.append(piece.tail)
        sink.append(span.isRepaired ? ",\"end\":\"repaired\"}}" : "}}")
      } else {
        begin(unknownOperatorHead, track: track, range: span.range)
        sink.append(span.isRepaired ? ",\"args\":{\"end\":\"repaired\"}}" : "}")
      }
    }
    if span.barrier.start != span.barrier.end, let track = place(span.barrier, on: span.thread) {
      begin(barrierHead, track: track, range: span.barrier)
      sink.append("}")
    }
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard isWanted(run.step), let track = place(run.range, on: run.thread) else { return }
    tracks.markMain(run.thread)
    var text = JSONText()
    text.raw(",\"args\":{\"graph\":")
    text.decimal(run.index)
    text.raw(",\"backend\":")
    text.string(run.backend)
    text.raw(",\"nodes\":")
    text.decimal(run.nodeCount)
    text.raw(",\"threads\":")
    text.decimal(run.threadCount)
    if let structure = run.structure {
      text.raw(",\"structure\":")
      text.decimal(structure)
    }
    if !run.isComplete { text.raw(",\"end\":\"not recorded\"") }
    text.raw("}}")
    begin("graph \(run.backend)", category: "graph", track: track, range: run.range)
    sink.append(text.bytes)
  }

  public mutating func gap(_ gap: GapSpan) {
    guard isWanted(gap.step), let track = place(gap.range, on: gap.thread) else { return }
    begin(gap.kind.rawValue, category: "gap", track: track, range: gap.range)
    sink.append("}")
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard isWanted(step.index), let track = place(step.range, on: step.thread) else { return }
    tracks.markMain(step.thread)
    tracks.seal(step.range, on: step.thread)
    var text = JSONText()
    text.raw(",\"args\":{\"phase\":")
    text.string(step.phase.rawValue)
    if let count = step.tokenCount {
      text.raw(",\"tokens\":")
      text.decimal(count)
    }
    if let position = step.position {
      text.raw(",\"position\":")
      text.decimal(position)
    }
    text.raw(",\"graphs\":")
    text.decimal(step.graphCount)
    text.raw(",\"operators\":")
    text.decimal(step.operatorCount)
    text.raw(",\"context\":")
    text.address(step.context)
    if let coverage = step.coverage, coverage.isFinite {
      text.raw(",\"coverage\":")
      text.number(coverage)
    }
    if !step.isComplete { text.raw(",\"end\":\"not recorded\"") }
    text.raw("}}")
    let name = step.phase == .unknown ? "token step" : step.phase.rawValue
    begin("\(name) \(step.index)", category: "token step", track: track, range: step.range)
    sink.append(text.bytes)
    speed(of: step)
  }

  public mutating func lossGap(_ gap: LossGap) {
    guard options.tokens == nil, let track = place(gap.range, onLossesOf: gap.cpu) else { return }
    var text = JSONText()
    text.raw(",\"args\":{\"lost records\":")
    text.decimal(gap.lostRecords)
    text.raw("}}")
    begin("records lost", category: "loss", track: track, range: gap.range)
    sink.append(text.bytes)
  }

  /// Names the tracks, closes the JSON and hands out the rest of it. Nothing may be written after it.
  public mutating func finish() {
    finishSeries()
    for (order, track) in tracks.inDisplayOrder(names: threadNames).enumerated() {
      var text = JSONText()
      text.raw(",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":")
      text.decimal(options.processID)
      text.raw(",\"tid\":")
      text.decimal(track.number)
      text.raw(",\"args\":{\"name\":")
      text.string(track.title)
      text.raw("}},\n{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":")
      text.decimal(options.processID)
      text.raw(",\"tid\":")
      text.decimal(track.number)
      text.raw(",\"args\":{\"sort_index\":")
      text.decimal(order)
      text.raw("}}")
      sink.append(text.bytes)
    }
    sink.append("\n]}\n")
    sink.flush()
  }

  // MARK: - Slices

  func isWanted(_ step: Int?) -> Bool {
    guard let tokens = options.tokens else { return true }
    return step.map(tokens.contains) ?? false
  }

  private mutating func place(_ range: TimeRange, on thread: ThreadID) -> TrackSet.Place? {
    count(tracks.place(range, on: .thread(thread)))
  }

  private mutating func place(_ range: TimeRange, onLossesOf cpu: Int) -> TrackSet.Place? {
    place(range, on: .losses(cpu: cpu))
  }

  mutating func place(_ range: TimeRange, on owner: TrackSet.Owner) -> TrackSet.Place? {
    count(tracks.place(range, on: owner))
  }

  private mutating func count(_ place: TrackSet.Place?) -> TrackSet.Place? {
    guard let place else {
      refusedCount += 1
      return nil
    }
    sliceCount += 1
    if place.isAdditional { overlappingCount += 1 }
    return place
  }

  /// Writes a slice up to its duration: `,{"name":…,"ts":…,"dur":…`.
  private func begin(_ head: [UInt8], track: TrackSet.Place, range: TimeRange) {
    sink.append(",\n")
    sink.append(head)
    sink.append(decimal: Int64(track.number))
    sink.append(",\"ts\":")
    sink.append(microseconds: range.start - options.origin)
    sink.append(",\"dur\":")
    sink.append(microseconds: range.duration)
  }

  func begin(_ name: String, category: StaticString, track: TrackSet.Place, range: TimeRange) {
    begin(Self.head(name, category: category, process: options.processID), track: track, range: range)
  }

  private static func head(_ name: String, category: StaticString, process: UInt32) -> [UInt8] {
    var head = JSONText()
    head.raw("{\"name\":")
    head.string(name)
    head.raw(",\"cat\":\"")
    head.raw(category)
    head.raw("\",\"ph\":\"X\",\"pid\":")
    head.decimal(process)
    head.raw(",\"tid\":")
    return head.bytes
  }
}
