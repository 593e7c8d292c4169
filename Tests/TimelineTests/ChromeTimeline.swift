import Foundation
import Testing
import Timeline
import TraceModel

/// A timeline in Trace Event JSON, read back with an independent parser.
struct ChromeTimeline {
  struct Slice {
    var name: String
    var category: String
    var track: Int
    /// Nanoseconds.
    var start: Int
    var duration: Int
    var arguments: [String: Any]
    /// Number of the arrow that goes out of the slice, or into it.
    var flowOut: String?
    var flowIn: String?

    var end: Int { start.addingReportingOverflow(duration).partialValue }
    /// Arguments as text.
    var facts: [String: String] { arguments.mapValues { "\($0)" } }
  }

  /// A point of a curve.
  struct Point: Equatable {
    var name: String
    /// Nanoseconds.
    var time: Int
    var unit: String
    var value: Double
  }

  var slices: [Slice] = []
  var points: [Point] = []
  var trackNames: [Int: String] = [:]
  var processName: String?
  var text = ""

  /// Writes what the closure visits and reads it back.
  init(
    _ options: TimelineOptions = .init(), sourceLocation: SourceLocation = #_sourceLocation,
    _ visit: (inout TimelineWriter) -> Void
  ) throws {
    final class Output { var bytes = Data() }
    let output = Output()
    var writer = TimelineWriter(.chrome, options) { output.bytes.append(contentsOf: $0) }
    visit(&writer)
    writer.finish()
    #expect(writer.byteCount == output.bytes.count, sourceLocation: sourceLocation)
    text = String(decoding: output.bytes, as: UTF8.self)

    let json = try #require(try JSONSerialization.jsonObject(with: output.bytes) as? [String: Any])
    #expect(json["displayTimeUnit"] as? String == "ns", sourceLocation: sourceLocation)
    for event in try #require(json["traceEvents"] as? [[String: Any]]) {
      let arguments = event["args"] as? [String: Any] ?? [:]
      let name = try #require(event["name"] as? String)
      switch (event["ph"] as? String, name) {
      case ("M", "process_name"): processName = arguments["name"] as? String
      case ("M", "thread_name"): trackNames[try #require(event["tid"] as? Int)] = arguments["name"] as? String
      case ("M", "thread_sort_index"): #expect(arguments["sort_index"] is Int, sourceLocation: sourceLocation)
      case ("X", _):
        slices.append(
          Slice(
            name: name, category: try #require(event["cat"] as? String),
            track: try #require(event["tid"] as? Int),
            start: try nanoseconds(event["ts"]), duration: try nanoseconds(event["dur"]),
            arguments: arguments,
            flowOut: event["flow_out"] as? Bool == true ? event["bind_id"] as? String : nil,
            flowIn: event["flow_in"] as? Bool == true ? event["bind_id"] as? String : nil))
      case ("C", _):
        let unit = try #require(arguments.keys.first)
        points.append(
          Point(
            name: name, time: try nanoseconds(event["ts"]), unit: unit,
            value: try #require(arguments[unit] as? Double)))
      default: Issue.record("unexpected event \(event)", sourceLocation: sourceLocation)
      }
    }
    // Viewers sort them, too; the sort keeps the order of equal ones.
    points.sort { $0.time < $1.time }
    #expect(writer.sliceCount == slices.count, sourceLocation: sourceLocation)
  }

  subscript(name: String) -> [Slice] { slices.filter { $0.name == name } }

  /// Pairs of slices on one track that overlap partly.
  var badlyNested: [String] {
    var found: [String] = []
    for (track, slices) in Dictionary(grouping: slices, by: \.track) {
      var open: [Slice] = []
      for slice in slices.sorted(by: { ($0.start, -$0.end) < ($1.start, -$1.end) }) {
        while let last = open.last, last.end <= slice.start { open.removeLast() }
        if let last = open.last, slice.end > last.end {
          found.append("\(track): \(last.name), \(slice.name)")
        }
        open.append(slice)
      }
    }
    return found
  }

  private func nanoseconds(_ value: Any?) throws -> Int {
    let microseconds = try #require(value as? NSNumber)
    // Doubles lose nanoseconds beyond 52 days; a test of such times reads the text instead.
    return Int(exactly: (microseconds.doubleValue * 1000).rounded()) ?? .max
  }
}
