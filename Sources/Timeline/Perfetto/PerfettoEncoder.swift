import SwiftProtobuf
import TraceModel

/// Writes a timeline in Perfetto's own format: protocol buffers, as a sequence of packets.
///
/// Times are those of CLOCK_BOOTTIME, as the format has it, where the recording tells what they were.
final class PerfettoEncoder: TimelineEncoder {
  private static let processTrack: UInt64 = 1
  /// So many slices of a lane wait, unless others may come to be around them.
  private static let waitingLimit = 1 << 12

  private struct Body: BitwiseCopyable {
    var offset = 0
    var count = 0
  }

  private let sink: ByteSink
  @exclusivity(unchecked) private var arena = RawList<UInt8>()
  private let options: TimelineOptions
  private var interned = InternedStrings()
  @exclusivity(unchecked) private var lanes: [PerfettoLane] = []
  private var nextTrack: UInt64 = 2
  private var trackOfThread: [ThreadID: UInt64] = [:]
  private var curves: [UInt64] = []
  @exclusivity(unchecked) private var operators = RawList<Body>()
  private var unknownOperator = Body()
  private var barrier = Body()
  /// Numbers of the counters' names, in their order.
  private var counterNames: [UInt64] = []
  /// By the positions of the kinds.
  private var gaps: [Body] = []
  private var repairedAnnotation = Body()

  var byteCount: Int { sink.flushedBytes }

  init(_ options: TimelineOptions, _ sink: ByteSink) {
    self.options = options
    self.sink = sink
    var first = PerfettoTracePacket()
    first.sequenceFlags = UInt32(PerfettoTracePacket.SequenceFlags.seqIncrementalStateCleared.rawValue)
    write(first)
    writeProcess()
    unknownOperator = body("operator", category: "operator", [])
    barrier = body("barrier wait", category: "barrier", [])
    gaps = GapKind.inOrder.map { body($0.rawValue, category: "gap", []) }
    counterNames = options.counters.map { interned.annotationName($0.name) ?? 0 }
    repairedAnnotation = store(
      PerfettoTrackEvent.with {
        $0.debugAnnotations = [
          interned.annotation(Argument("end", .text("repaired")), isRepeated: true)
        ]
      })
  }

  deinit {
    arena.free()
    operators.free()
  }

  private func writeProcess() {
    var packet = PerfettoTracePacket()
    packet.trackDescriptor.uuid = Self.processTrack
    packet.trackDescriptor.process.pid = Int32(truncatingIfNeeded: options.processID)
    packet.trackDescriptor.process.processName = options.processName.isEmpty ? "target" : options.processName
    write(packet)
  }

  private func takeTrack() -> UInt64 {
    defer { nextTrack += 1 }
    return nextTrack
  }

  // MARK: - Introductions

  func add(_ lane: Lane, of owner: TrackSet.Owner, title: String) {
    let track: UInt64
    switch owner {
    case .thread(let thread) where !lane.isAdditional:
      track = self.track(of: thread, number: lane.number)
    case .thread(let thread): track = addTrack("overlapping", below: self.track(of: thread))
    case .scheduling(let thread): track = addTrack("scheduler", below: self.track(of: thread))
    case .speculation(let thread): track = addTrack("speculation", below: self.track(of: thread))
    case .losses, .probes: track = addTrack(title, below: Self.processTrack)
    }
    lanes.append(PerfettoLane(track: track))
  }

  private func track(of thread: ThreadID, number: UInt32? = nil) -> UInt64 {
    if let known = trackOfThread[thread] { return known }
    let track = takeTrack()
    trackOfThread[thread] = track
    var packet = PerfettoTracePacket()
    packet.trackDescriptor.uuid = track
    packet.trackDescriptor.parentUuid = Self.processTrack
    packet.trackDescriptor.thread.pid = Int32(truncatingIfNeeded: options.processID)
    packet.trackDescriptor.thread.tid = Int64(number ?? thread.rawValue)
    packet.trackDescriptor.thread.threadName = options.threadNames.title(of: thread)
    write(packet)
    return track
  }

  private func addTrack(_ name: String, below parent: UInt64) -> UInt64 {
    let track = takeTrack()
    var packet = PerfettoTracePacket()
    packet.trackDescriptor.uuid = track
    packet.trackDescriptor.parentUuid = parent
    packet.trackDescriptor.name = name
    write(packet)
    return track
  }

  func add(_ curve: Curve) {
    let track = takeTrack()
    curves.append(track)
    var packet = PerfettoTracePacket()
    packet.trackDescriptor.uuid = track
    packet.trackDescriptor.parentUuid = Self.processTrack
    packet.trackDescriptor.name = curve.name
    packet.trackDescriptor.counter.unitName = curve.unit
    write(packet)
  }

  func add(_ description: OperatorDescription) {
    operators.append(body(description.title, category: "operator", description.arguments))
  }

  private func body(_ name: String, category: String, _ arguments: [Argument]) -> Body {
    var event = PerfettoTrackEvent()
    interned.name(name, of: &event)
    event.categoryIids = [interned.category(category)]
    event.debugAnnotations = arguments.map { interned.annotation($0, isRepeated: true) }
    return store(event)
  }

  private func store(_ event: PerfettoTrackEvent) -> Body {
    let bytes = serialized(event)
    return Body(offset: bytes.withUnsafeBufferPointer { arena.append($0) }, count: bytes.count)
  }

  // MARK: - Slices by the million

  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange) {
    append(number.map { operators[$0] } ?? unknownOperator, lane, range)
    finishSlice(lane)
  }

  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange, _ details: OperatorDetails) {
    append(number.map { operators[$0] } ?? unknownOperator, lane, range)
    if let experts = details.experts {
      let event = PerfettoTrackEvent.with {
        $0.debugAnnotations = [interned.annotation(Argument("experts", .text(experts)), isRepeated: false)]
      }
      serialized(event).withUnsafeBufferPointer { lanes[lane.index].extend($0) }
    }
    appendCounters(details.counters, lane)
    if details.isRepaired { extend(repairedAnnotation, lane) }
    finishSlice(lane)
  }

  func barrierSlice(on lane: Lane, _ range: TimeRange, _ counters: CounterDelta) {
    append(barrier, lane, range)
    appendCounters(counters, lane)
    finishSlice(lane)
  }

  func gapSlice(_ kind: GapKind, on lane: Lane, _ range: TimeRange) {
    append(gaps[kind.position], lane, range)
    finishSlice(lane)
  }

  @inline(__always)
  private func append(_ body: Body, _ lane: Lane, _ range: TimeRange) {
    lanes[lane.index].append(
      time(range.start), time(range.end),
      UnsafeBufferPointer(start: arena.base + body.offset, count: body.count))
  }

  /// A moment of CLOCK_MONOTONIC in the output's clock.
  @inline(__always)
  private func time(_ moment: TraceTime) -> UInt64 { moment.nanoseconds &+ options.bootTimeOffset }

  private func extend(_ body: Body, _ lane: Lane) {
    lanes[lane.index].extend(UnsafeBufferPointer(start: arena.base + body.offset, count: body.count))
  }

  private func appendCounters(_ delta: CounterDelta, _ lane: Lane) {
    guard delta.known != 0 else { return }
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: CounterDelta.capacity * 32) { room in
      guard let start = room.baseAddress else { return }
      var place = start
      for (number, column) in zip(counterNames, options.counters.prefix(CounterDelta.capacity)) {
        guard let value = delta[column.index] else { continue }
        let count = 2 + PacketBytes.count(ofVarint: number) + PacketBytes.count(ofVarint: value)
        place[0] = PacketBytes.annotation
        place[1] = UInt8(truncatingIfNeeded: count)
        place[2] = PacketBytes.nameNumber
        place += 3
        PacketBytes.put(number, at: &place)
        place[0] = PacketBytes.unsignedValue
        place += 1
        PacketBytes.put(value, at: &place)
      }
      lanes[lane.index].extend(UnsafeBufferPointer(start: start, count: place - start))
    }
  }

  /// Bounds what waits on a lane on which nothing comes to be around what is there.
  @inline(__always)
  private func finishSlice(_ lane: Lane) {
    if !lane.isEnclosed, lanes[lane.index].count >= Self.waitingLimit { complete(lane) }
  }

  // MARK: - The rest

  func slice(_ slice: Slice, on lane: Lane) {
    var event = PerfettoTrackEvent()
    if slice.isNameCommon { interned.name(slice.name, of: &event) } else { event.name = slice.name }
    event.categoryIids = [interned.category(slice.category.rawValue)]
    event.debugAnnotations = slice.arguments.map { interned.annotation($0, isRepeated: false) }
    switch slice.flow {
    case .fromStep(_, let graphs): event.flowIds = graphs.map(Self.flow)
    case .toGraph(let graph, _): event.terminatingFlowIds = [Self.flow(graph)]
    case nil: break
    }
    let bytes = serialized(event)
    bytes.withUnsafeBufferPointer {
      lanes[lane.index].append(time(slice.range.start), time(slice.range.end), $0)
    }
    finishSlice(lane)
  }

  /// An arrow's number: 0 is none.
  private static func flow(_ graph: Int) -> UInt64 { UInt64(clamping: graph) + 1 }

  func point(curve: Int, _ time: TraceTime, _ value: Double) {
    var packet = PerfettoTracePacket()
    packet.timestamp = self.time(time)
    packet.sequenceFlags = UInt32(PerfettoTracePacket.SequenceFlags.seqNeedsIncrementalState.rawValue)
    packet.trackEvent.type = .counter
    packet.trackEvent.trackUuid = curves[curve]
    packet.trackEvent.doubleCounterValue = value
    write(packet)
  }

  func complete(_ lane: Lane) {
    guard lanes[lane.index].count > 0 else { return }
    writeInterned()
    lanes[lane.index].write(to: sink)
  }

  func finish(_ shown: [TrackSet.Shown]) {
    writeInterned()
    for index in lanes.indices { lanes[index].write(to: sink) }
    sink.flush()
  }

  /// Strings must be written before the packets that refer to them.
  private func writeInterned() {
    guard interned.hasNew else { return }
    var packet = PerfettoTracePacket()
    packet.sequenceFlags = UInt32(PerfettoTracePacket.SequenceFlags.seqNeedsIncrementalState.rawValue)
    packet.internedData = interned.takeNew()
    write(packet)
  }

  private func write(_ packet: PerfettoTracePacket) {
    var packet = packet
    packet.trustedPacketSequenceID = 1
    sink.append(serialized(PerfettoTrace.with { $0.packet = [packet] }))
  }

  private func serialized(_ message: some Message) -> [UInt8] {
    // No required fields, no extensions, nothing over 2 GiB: there is no way for it to fail.
    (try? message.serializedBytes()) ?? []
  }
}
