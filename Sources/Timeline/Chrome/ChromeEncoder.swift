import TraceModel

/// Writes a timeline in the Trace Event format (JSON). Times are microseconds with three decimals.
///
/// What is the same of many events is rendered once; slices of operators are then three copies and two numbers.
final class ChromeEncoder: TimelineEncoder {
  /// A slice's JSON around its lane and times.
  private struct Piece: BitwiseCopyable {
    /// Offset in the arena of `,{"name":…,"tid":`
    var head = 0
    var headCount = 0
    /// Behind it: what follows the duration, without the braces that end it.
    var tailCount = 0
    /// Whether the tail has arguments, so that more can follow.
    var hasArguments = false
  }

  private struct LaneText: BitwiseCopyable {
    /// `12345,"ts":` in the arena.
    var offset = 0
    var count = 0
  }

  private let sink: ByteSink
  // Checked for every access otherwise.
  @exclusivity(unchecked) private var arena = RawList<UInt8>()
  private let origin: TraceTime
  private let process: UInt32
  private let counters: [CounterColumn]
  @exclusivity(unchecked) private var operators = RawList<Piece>()
  @exclusivity(unchecked) private var lanes = RawList<LaneText>()
  /// By the positions of the kinds.
  @exclusivity(unchecked) private var gaps = RawList<Piece>()
  private var curves: [Piece] = []
  @exclusivity(unchecked) private var unknownOperator = Piece()
  @exclusivity(unchecked) private var barrier = Piece()

  var byteCount: Int { sink.flushedBytes }

  init(_ options: TimelineOptions, _ sink: ByteSink) {
    self.sink = sink
    origin = options.origin
    process = options.processID
    counters = options.counters
    unknownOperator = piece("operator", category: "operator", [])
    barrier = piece("barrier wait", category: "barrier", [])
    for kind in GapKind.inOrder { gaps.append(piece(kind.rawValue, category: "gap", [])) }
    // An event that is always there comes first, so that every other one can begin with a comma.
    var text = JSONText()
    text.raw(
      "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":")
    text.decimal(process)
    text.raw(",\"args\":{\"name\":")
    text.string(options.processName.isEmpty ? "target" : options.processName)
    text.raw("}}")
    sink.append(text.bytes)
  }

  deinit {
    arena.free()
    operators.free()
    lanes.free()
    gaps.free()
  }

  func add(_ lane: Lane, of owner: TrackSet.Owner, title: String) {
    var text = JSONText()
    text.decimal(lane.number)
    text.raw(",\"ts\":")
    lanes.append(LaneText(offset: store(text), count: text.bytes.count))
  }

  func add(_ curve: Curve) {
    var head = JSONText()
    head.raw(",\n{\"name\":")
    head.string(curve.name)
    head.raw(",\"ph\":\"C\",\"pid\":")
    head.decimal(process)
    head.raw(",\"ts\":")
    var tail = JSONText()
    tail.raw(",\"args\":{")
    tail.string(curve.unit)
    tail.raw(":")
    curves.append(store(head, tail, hasArguments: true))
  }

  func add(_ description: OperatorDescription) {
    operators.append(piece(description.title, category: "operator", description.arguments))
  }

  private func piece(_ name: String, category: String, _ arguments: [Argument]) -> Piece {
    var head = JSONText()
    beginSlice(name, category: category, into: &head)
    var tail = JSONText()
    tail.arguments(arguments)
    return store(head, tail, hasArguments: !arguments.isEmpty)
  }

  private func store(_ head: JSONText, _ tail: JSONText, hasArguments: Bool) -> Piece {
    let offset = store(head)
    _ = store(tail)
    return Piece(
      head: offset, headCount: head.bytes.count, tailCount: tail.bytes.count, hasArguments: hasArguments)
  }

  private func store(_ text: JSONText) -> Int { text.bytes.withUnsafeBufferPointer { arena.append($0) } }

  private func beginSlice(_ name: String, category: String, into text: inout JSONText) {
    text.raw(",\n{\"name\":")
    text.string(name)
    text.raw(",\"cat\":\"")
    text.contents(category)
    text.raw("\",\"ph\":\"X\",\"pid\":")
    text.decimal(process)
    text.raw(",\"tid\":")
  }

  // MARK: - Slices by the million

  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange) {
    let piece = number.map { operators[$0] } ?? unknownOperator
    write(piece, lane, range, piece.hasArguments ? "}}" : "}")
  }

  func gapSlice(_ kind: GapKind, on lane: Lane, _ range: TimeRange) {
    write(gaps[kind.position], lane, range, "}")
  }

  func barrierSlice(on lane: Lane, _ range: TimeRange, _ counters: CounterDelta) {
    guard counters.known != 0 else { return write(barrier, lane, range, "}") }
    write(barrier, lane, range, ",\"args\":{")
    writeCounters(counters, isFirst: true)
    sink.append("}}")
  }

  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange, _ details: OperatorDetails) {
    let piece = number.map { operators[$0] } ?? unknownOperator
    write(piece, lane, range, piece.hasArguments ? "" : ",\"args\":{")
    var isFirst = !piece.hasArguments
    if let experts = details.experts {
      var text = JSONText()
      text.raw(isFirst ? "\"experts\":" : ",\"experts\":")
      text.string(experts)
      sink.append(text.bytes)
      isFirst = false
    }
    writeCounters(details.counters, isFirst: isFirst)
    if details.counters.known != 0 { isFirst = false }
    if details.isRepaired { sink.append(isFirst ? "\"end\":\"repaired\"" : ",\"end\":\"repaired\"") }
    sink.append("}}")
  }

  private lazy var counterNames: [Piece] = counters.map { column in
    var name = JSONText()
    name.raw(",")
    name.string(column.name)
    name.raw(":")
    return store(name, JSONText(), hasArguments: false)
  }

  private func writeCounters(_ delta: CounterDelta, isFirst: Bool) {
    var skip = isFirst ? 1 : 0
    for (place, column) in counters.enumerated() {
      guard let value = delta[column.index] else { continue }
      let name = counterNames[place]
      if let start = sink.claim(name.headCount + Digits.room) {
        var end = start
        Self.copy(arena.base + name.head + skip, name.headCount - skip, to: &end)
        sink.advance(to: Digits.put(value, at: end))
      } else {
        var number = JSONText()
        number.decimal(value)
        sink.append(UnsafeBufferPointer(start: arena.base + name.head + skip, count: name.headCount - skip))
        sink.append(number.bytes)
      }
      skip = 0
    }
  }

  /// Writes a slice up to the end of its rendered part.
  @inline(__always)
  private func write(_ piece: Piece, _ lane: Lane, _ range: TimeRange, _ ending: StaticString) {
    let text = lanes[lane.index]
    let room = piece.headCount + piece.tailCount + text.count + 2 * Digits.room + 32
    guard let start = sink.claim(room) else { return writeLarge(piece, lane, range, ending) }
    let base = arena.base
    var end = start
    Self.copy(base + piece.head, piece.headCount, to: &end)
    Self.copy(base + text.offset, text.count, to: &end)
    end = Digits.put(microseconds: range.start - origin, at: end)
    Self.copy(",\"dur\":", to: &end)
    end = Digits.put(microseconds: range.duration, at: end)
    Self.copy(base + piece.head + piece.headCount, piece.tailCount, to: &end)
    Self.copy(ending, to: &end)
    sink.advance(to: end)
  }

  /// The same for a name or arguments larger than the buffer.
  private func writeLarge(_ piece: Piece, _ lane: Lane, _ range: TimeRange, _ ending: StaticString) {
    sink.append(UnsafeBufferPointer(start: arena.base + piece.head, count: piece.headCount))
    var text = JSONText()
    text.times(lane, range, origin)
    sink.append(text.bytes)
    sink.append(
      UnsafeBufferPointer(start: arena.base + piece.head + piece.headCount, count: piece.tailCount))
    sink.append(ending)
  }

  @inline(__always)
  private static func copy(
    _ source: UnsafePointer<UInt8>, _ count: Int, to end: inout UnsafeMutablePointer<UInt8>
  ) {
    end.update(from: source, count: count)
    end += count
  }

  @inline(__always)
  private static func copy(_ text: StaticString, to end: inout UnsafeMutablePointer<UInt8>) {
    copy(text.utf8Start, text.utf8CodeUnitCount, to: &end)
  }

  // MARK: - The rest

  func slice(_ slice: Slice, on lane: Lane) {
    var text = JSONText()
    beginSlice(slice.name, category: slice.category.rawValue, into: &text)
    text.times(lane, slice.range, origin)
    // The second version of flow events: arrows go to and from the slices that name them.
    switch slice.flow {
    case .fromStep(let step, _):
      text.raw(",\"flow_out\":true,\"bind_id\":")
      text.address(UInt64(clamping: step))
    case .toGraph(_, let step):
      text.raw(",\"flow_in\":true,\"bind_id\":")
      text.address(UInt64(clamping: step))
    case nil: break
    }
    text.arguments(slice.arguments)
    text.raw(slice.arguments.isEmpty ? "}" : "}}")
    sink.append(text.bytes)
  }

  func point(curve: Int, _ time: TraceTime, _ value: Double) {
    let piece = curves[curve]
    sink.append(UnsafeBufferPointer(start: arena.base + piece.head, count: piece.headCount))
    var text = JSONText()
    text.microseconds(time - origin)
    sink.append(text.bytes)
    sink.append(
      UnsafeBufferPointer(start: arena.base + piece.head + piece.headCount, count: piece.tailCount))
    text = JSONText()
    text.number(value)
    text.raw("}}")
    sink.append(text.bytes)
  }

  func complete(_ lane: Lane) {}

  func finish(_ shown: [TrackSet.Shown]) {
    for (order, lane) in shown.enumerated() {
      var text = JSONText()
      text.raw(",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":")
      text.decimal(process)
      text.raw(",\"tid\":")
      text.decimal(lane.number)
      text.raw(",\"args\":{\"name\":")
      text.string(lane.title)
      text.raw("}},\n{\"name\":\"thread_sort_index\",\"ph\":\"M\",\"pid\":")
      text.decimal(process)
      text.raw(",\"tid\":")
      text.decimal(lane.number)
      text.raw(",\"args\":{\"sort_index\":")
      text.decimal(order)
      text.raw("}}")
      sink.append(text.bytes)
    }
    sink.append("\n]}\n")
    sink.flush()
  }
}
