/// The slices of a lane that wait to be written in order.
///
/// The format has a begin and an end for each slice, which viewers take for a call stack: of two slices that begin
/// at the same moment the outer one must be written first, but it is known last.
struct PerfettoLane {
  private struct Waiting {
    var start: UInt64
    var end: UInt64
    /// Place of the event's body.
    var body: Int
    var bodyCount: Int
  }

  /// Identifies the track in the output.
  let track: UInt64
  private var waiting: [Waiting] = []
  private var bodies: [UInt8] = []
  private var openEnds: [UInt64] = []

  init(track: UInt64) { self.track = track }

  var count: Int { waiting.count }

  mutating func append(_ start: UInt64, _ end: UInt64, _ body: UnsafeBufferPointer<UInt8>) {
    waiting.append(Waiting(start: start, end: end, body: bodies.count, bodyCount: body.count))
    bodies.append(contentsOf: body)
  }

  /// Lengthens the body of the slice appended last.
  mutating func extend(_ more: UnsafeBufferPointer<UInt8>) {
    waiting[waiting.count - 1].bodyCount += more.count
    bodies.append(contentsOf: more)
  }

  /// Writes everything, each slice's begin before what is in it and its end behind.
  mutating func write(to sink: ByteSink) {
    guard !waiting.isEmpty else { return }
    let order = waiting.indices.sorted { a, b in
      let (x, y) = (waiting[a], waiting[b])
      if x.start != y.start { return x.start < y.start }
      // Of slices with the same times the one that came later is around the other.
      return x.end != y.end ? x.end > y.end : a > b
    }
    openEnds.removeAll(keepingCapacity: true)
    bodies.withUnsafeBufferPointer { bodies in
      for index in order {
        let slice = waiting[index]
        while let end = openEnds.last, end <= slice.start {
          writeEnd(end, to: sink)
          openEnds.removeLast()
        }
        writeBegin(
          slice.start, UnsafeBufferPointer(rebasing: bodies[slice.body..<slice.body + slice.bodyCount]),
          to: sink)
        openEnds.append(slice.end)
      }
    }
    for end in openEnds.reversed() { writeEnd(end, to: sink) }
    waiting.removeAll(keepingCapacity: true)
    bodies.removeAll(keepingCapacity: true)
  }

  private func writeBegin(_ time: UInt64, _ body: UnsafeBufferPointer<UInt8>, to sink: ByteSink) {
    guard var place = sink.claim(PacketBytes.room) else { return }
    PacketBytes.putEvent(
      UInt8(PerfettoTrackEvent.TypeEnum.sliceBegin.rawValue), track: track, time: time, bodyCount: body.count,
      at: &place)
    sink.advance(to: place)
    sink.append(body)
  }

  private func writeEnd(_ time: UInt64, to sink: ByteSink) {
    guard var place = sink.claim(PacketBytes.room) else { return }
    PacketBytes.putEvent(
      UInt8(PerfettoTrackEvent.TypeEnum.sliceEnd.rawValue), track: track, time: time, bodyCount: 0, at: &place
    )
    sink.advance(to: place)
  }
}
