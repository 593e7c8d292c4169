import SwiftProtobuf

/// Frames what swift-protobuf serialised into packets of a trace, and writes the few fields that differ from packet to
/// packet: a message object for each of a hundred million slices would cost more than all the rest.
///
/// Field numbers are those of `formats/perfetto/timeline.proto`; the tests read the output back with the generated code.
enum PacketBytes {
  /// Bytes of a field number and wire type, below field 16.
  static func tag(_ field: UInt8, _ wire: Wire) -> UInt8 { field << 3 | wire.rawValue }

  enum Wire: UInt8 {
    case varint = 0
    case lengthDelimited = 2
  }

  static let packet = tag(1, .lengthDelimited)
  // TracePacket
  static let timestamp = tag(8, .varint)
  static let sequence = tag(10, .varint)
  static let sequenceFlags = tag(13, .varint)
  static let trackEvent = tag(11, .lengthDelimited)
  // TrackEvent
  static let type = tag(9, .varint)
  static let track = tag(11, .varint)
  static let annotation = tag(4, .lengthDelimited)
  // DebugAnnotation
  static let nameNumber = tag(1, .varint)
  static let unsignedValue = tag(3, .varint)

  /// Bytes that a packet takes at most around the body of its event: four tags with lengths or 64-bit numbers, and
  /// four with one byte.
  static let room = 64

  @inline(__always)
  static func count(ofVarint value: UInt64) -> Int { (70 - (value | 1).leadingZeroBitCount) / 7 }

  @inline(__always)
  static func put(_ value: UInt64, at place: inout UnsafeMutablePointer<UInt8>) {
    var rest = value
    while rest >= 0x80 {
      place.pointee = UInt8(truncatingIfNeeded: rest) | 0x80
      place += 1
      rest >>= 7
    }
    place.pointee = UInt8(truncatingIfNeeded: rest)
    place += 1
  }

  /// Writes a packet with a track event up to the event's body.
  @inline(__always)
  static func putEvent(
    _ event: UInt8, track: UInt64, time: UInt64, bodyCount: Int, at place: inout UnsafeMutablePointer<UInt8>
  ) {
    let eventCount = 3 + count(ofVarint: track) + bodyCount
    let packetCount =
      1 + count(ofVarint: time) + 4 + 1 + count(ofVarint: UInt64(eventCount)) + eventCount
    place[0] = packet
    place += 1
    put(UInt64(packetCount), at: &place)
    place[0] = timestamp
    place += 1
    put(time, at: &place)
    place[0] = sequence
    place[1] = 1
    place[2] = sequenceFlags
    place[3] = UInt8(PerfettoTracePacket.SequenceFlags.seqNeedsIncrementalState.rawValue)
    place[4] = trackEvent
    place += 5
    put(UInt64(eventCount), at: &place)
    place[0] = type
    place[1] = event
    place[2] = Self.track
    place += 3
    put(track, at: &place)
  }
}
