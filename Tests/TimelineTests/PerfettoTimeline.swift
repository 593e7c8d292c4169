import SwiftProtobuf
import Testing
import TraceModel

@testable import Timeline

/// A timeline in Perfetto's format, read back with the generated code and by the rules of the format: packets in order
/// of time, those of one time in order of the file; a begin opens a slice on its track, an end closes the last one.
struct PerfettoTimeline {
  struct Slice {
    var name: String
    var category: String
    /// Number of the track.
    var track: UInt64
    var start: UInt64
    var end: UInt64?
    var depth: Int
    /// Arguments as text.
    var facts: [String: String]
    var flowsOut: [UInt64]
    var flowsIn: [UInt64]
  }

  struct Point: Equatable {
    var name: String
    var unit: String
    var time: UInt64
    var value: Double
  }

  struct Track {
    /// Thread name, `process`, or its own.
    var name: String
    var parent: UInt64?
    var thread: Int?
  }

  var slices: [Slice] = []
  var points: [Point] = []
  var tracks: [UInt64: Track] = [:]
  var processName: String?
  /// Ends without a begin.
  var strayEnds = 0
  var byteCount = 0

  init(
    _ options: TimelineOptions = .init(), sourceLocation: SourceLocation = #_sourceLocation,
    _ visit: (inout TimelineWriter) -> Void
  ) throws {
    final class Output { var bytes: [UInt8] = [] }
    let output = Output()
    var writer = TimelineWriter(.perfetto, options) { output.bytes.append(contentsOf: $0) }
    visit(&writer)
    writer.finish()
    #expect(writer.byteCount == output.bytes.count, sourceLocation: sourceLocation)
    byteCount = output.bytes.count
    let trace = try PerfettoTrace(serializedBytes: output.bytes)
    #expect(trace.unknownFields.data.isEmpty, sourceLocation: sourceLocation)
    try read(trace)
    #expect(writer.sliceCount == slices.count, sourceLocation: sourceLocation)
    #expect(strayEnds == 0 && slices.allSatisfy { $0.end != nil }, sourceLocation: sourceLocation)
  }

  private mutating func read(_ trace: PerfettoTrace) throws {
    var strings = Strings()
    var events: [(time: UInt64, event: PerfettoTrackEvent, strings: Strings)] = []
    for packet in trace.packet {
      #expect(packet.trustedPacketSequenceID == 1 && packet.unknownFields.data.isEmpty)
      strings.add(packet.internedData)
      switch packet.data {
      case .trackEvent(let event): events.append((packet.timestamp, event, strings))
      case .trackDescriptor(let descriptor): add(descriptor)
      case nil: break
      }
    }
    // The standard library's sort keeps the order of equal elements.
    events.sort { $0.time < $1.time }
    var open: [UInt64: [Int]] = [:]
    for (time, event, strings) in events {
      let track = event.trackUuid
      #expect(tracks[track] != nil)
      switch event.type {
      case .sliceBegin:
        slices.append(try slice(event, time, depth: open[track, default: []].count, strings))
        open[track, default: []].append(slices.count - 1)
      case .sliceEnd:
        if let last = open[track, default: []].popLast() { slices[last].end = time } else { strayEnds += 1 }
      case .counter:
        let unit = units[track] ?? ""
        points.append(
          Point(name: tracks[track]?.name ?? "", unit: unit, time: time, value: event.doubleCounterValue))
      case .unspecified: Issue.record("an event without a type")
      }
    }
  }

  private var units: [UInt64: String] = [:]

  private mutating func add(_ descriptor: PerfettoTrackDescriptor) {
    #expect(tracks[descriptor.uuid] == nil, "a track is introduced once")
    var track = Track(name: descriptor.name, parent: descriptor.hasParentUuid ? descriptor.parentUuid : nil)
    if descriptor.hasProcess {
      track.name = "process"
      processName = descriptor.process.processName
    }
    if descriptor.hasThread {
      track.name = descriptor.thread.threadName
      track.thread = Int(descriptor.thread.tid)
    }
    if descriptor.hasCounter { units[descriptor.uuid] = descriptor.counter.unitName }
    tracks[descriptor.uuid] = track
  }

  private func slice(
    _ event: PerfettoTrackEvent, _ time: UInt64, depth: Int, _ strings: Strings
  ) throws -> Slice {
    let name = event.name.isEmpty ? try #require(strings.names[event.nameIid]) : event.name
    let categoryNumber = try #require(event.categoryIids.first)
    let category = try #require(strings.categories[categoryNumber])
    var facts: [String: String] = [:]
    for annotation in event.debugAnnotations {
      let key =
        annotation.name.isEmpty ? try #require(strings.arguments[annotation.nameIid]) : annotation.name
      facts[key] =
        switch annotation.value {
        case .boolValue(let value): "\(value)"
        case .uintValue(let value): "\(value)"
        case .intValue(let value): "\(value)"
        case .doubleValue(let value): "\(value)"
        case .stringValue(let value): value
        case .pointerValue(let value): "0x" + String(value, radix: 16)
        case .stringValueIid(let number): strings.values[number] ?? "not interned"
        case nil: ""
        }
    }
    return Slice(
      name: name, category: category, track: event.trackUuid, start: time, depth: depth, facts: facts,
      flowsOut: event.flowIds, flowsIn: event.terminatingFlowIds)
  }

  private struct Strings {
    var names: [UInt64: String] = [:]
    var categories: [UInt64: String] = [:]
    var arguments: [UInt64: String] = [:]
    var values: [UInt64: String] = [:]

    mutating func add(_ data: PerfettoInternedData) {
      for entry in data.eventNames { names[entry.iid] = entry.name }
      for entry in data.eventCategories { categories[entry.iid] = entry.name }
      for entry in data.debugAnnotationNames { arguments[entry.iid] = entry.name }
      for entry in data.debugAnnotationStringValues {
        values[entry.iid] = String(decoding: entry.str, as: UTF8.self)
      }
    }
  }

  subscript(name: String) -> [Slice] { slices.filter { $0.name == name } }

  /// The name of a slice's track, behind those that it is below: `main > scheduler`.
  func path(_ slice: Slice) -> String {
    var names: [String] = []
    var track = tracks[slice.track]
    while let current = track, current.name != "process" {
      names.append(current.name)
      track = current.parent.flatMap { tracks[$0] }
    }
    return names.reversed().joined(separator: " > ")
  }
}
