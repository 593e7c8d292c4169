import ChromeTrace
import Foundation
import Testing
import TraceModel

/// A timeline read back with an independent JSON parser.
struct Timeline {
  struct Slice {
    var name: String
    var category: String
    var track: Int
    /// Nanoseconds.
    var start: Int
    var duration: Int
    var arguments: [String: Any]

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
    _ options: ChromeTraceWriter.Options = .init(), sourceLocation: SourceLocation = #_sourceLocation,
    _ visit: (inout ChromeTraceWriter) -> Void
  ) throws {
    final class Output { var bytes = Data() }
    let output = Output()
    var writer = ChromeTraceWriter(options) { output.bytes.append(contentsOf: $0) }
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
            start: try nanoseconds(event["ts"]), duration: try nanoseconds(event["dur"]), arguments: arguments
          ))
      case ("C", _):
        let unit = try #require(arguments.keys.first)
        points.append(
          Point(
            name: name, time: try nanoseconds(event["ts"]), unit: unit,
            value: try #require(arguments[unit] as? Double)))
      default: Issue.record("unexpected event \(event)", sourceLocation: sourceLocation)
      }
    }
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

func range(_ start: UInt64, _ end: UInt64) -> TimeRange {
  TimeRange(start: TraceTime(nanoseconds: start), end: TraceTime(nanoseconds: end))
}

func node(
  _ name: String, _ op: String, address: UInt64, sources: [UInt64?] = [], shape: [Int64] = [8, 1],
  layer: Int? = nil,
  type: String = "f32"
) -> Node {
  Node(
    address: address, name: name, op: op, type: type, shape: shape, strides: [], sources: sources,
    viewSource: nil,
    data: nil, isExecuted: true, byteCount: 0, layer: layer, part: .attention)
}

func span(
  _ node: Int32, _ start: UInt64, _ end: UInt64, barrier: UInt64? = nil, thread: UInt32 = 100,
  step: Int32 = 0,
  last: Int32? = nil, structure: UInt32 = 1, isMain: Bool = true, isRepaired: Bool = false
) -> OperatorSpan {
  OperatorSpan(
    graph: 0, step: step, structure: structure, node: node, lastNode: last ?? node, thread: ThreadID(thread),
    range: range(start, end), barrier: range(end, barrier ?? end), isMainThread: isMain,
    isRepaired: isRepaired)
}

func graph(_ start: UInt64, _ end: UInt64, thread: UInt32 = 100, step: Int? = 0) -> GraphRun {
  GraphRun(
    index: 0, step: step, thread: ThreadID(thread), range: range(start, end), structure: 1, backend: "CPU",
    nodeCount: 3,
    threadCount: 2, isComplete: true)
}

func step(_ index: Int, _ start: UInt64, _ end: UInt64, thread: UInt32 = 100, phase: Phase = .decode)
  -> TokenStep
{
  TokenStep(
    index: index, thread: ThreadID(thread), range: range(start, end), phase: phase, tokenCount: 1,
    position: 41,
    context: 0xffff_8000_0000_0010, graphCount: 1, operatorCount: 3, coverage: 1, isComplete: true)
}

func gap(_ kind: GapKind, _ start: UInt64, _ end: UInt64, step: Int? = 0, thread: UInt32 = 100) -> GapSpan {
  GapSpan(kind: kind, step: step, thread: ThreadID(thread), range: range(start, end))
}

let smallStructure = GraphStructure(
  number: 1,
  nodes: [
    node("norm-0", "RMS_NORM", address: 0x10, sources: [0x100], layer: 0),
    node("attn_norm-0", "MUL", address: 0x20, sources: [0x10, 0x200], layer: 0),
    node(
      "Qcur-0", "MUL_MAT", address: 0x30, sources: [0x300, nil, 0x20, 0x999], shape: [576, 2, 1, 1], layer: 0),
  ],
  constants: [
    node("inp_embd", "NONE", address: 0x100), node("blk.0.attn_norm.weight", "NONE", address: 0x200),
    node("blk.0.attn_q.weight", "NONE", address: 0x300, shape: [576, 576], type: "q4_1"),
  ], isComplete: true)
