import Statistics
import TraceModel

@testable import Report

/// Builds small runs by hand. Times are nanoseconds.
func time(_ nanoseconds: UInt64) -> TraceTime { TraceTime(nanoseconds: nanoseconds) }

func range(_ start: UInt64, _ end: UInt64) -> TimeRange { TimeRange(start: time(start), end: time(end)) }

func step(
  _ index: Int, _ phase: Phase, _ start: UInt64, _ duration: UInt64, tokens: Int? = 1, operators: Int = 2
) -> TokenStep {
  TokenStep(
    index: index, thread: ThreadID(100), range: range(start, start + duration), phase: phase,
    tokenCount: tokens, position: index, context: 0xc0, graphCount: 1, operatorCount: operators, coverage: 1,
    isComplete: true)
}

func node(_ address: UInt64, _ op: String, _ name: String, layer: Int?, sources: [UInt64?] = []) -> Node {
  Node(
    address: address, name: name, op: op, type: "f32", shape: [8, 1, 1, 1], strides: [], sources: sources,
    viewSource: nil, data: nil, isExecuted: true, byteCount: 32, layer: layer, part: .attention)
}

/// Two layers of a norm and a product, and a head, under names with `suffix` in them.
func structure(suffix: String = "") -> GraphStructure {
  GraphStructure(
    number: 1,
    nodes: [
      node(0x10, "RMS_NORM", "norm\(suffix)-0", layer: 0),
      node(0x20, "MUL_MAT", "Qcur\(suffix)-0", layer: 0, sources: [0x10]),
      node(0x30, "RMS_NORM", "norm\(suffix)-1", layer: 1, sources: [0x20]),
      node(0x40, "MUL_MAT", "Qcur\(suffix)-1", layer: 1, sources: [0x30]),
      node(0x50, "MUL_MAT", "result\(suffix)", layer: nil, sources: [0x40]),
    ], constants: [], isComplete: true)
}

/// A prefill and `count` decode steps of 1 ms, each with all operators of `structure`; thread 101 helps.
func generation(count: Int, suffix: String = "", workModel: WorkModel? = nil) -> ReportStatistics {
  let length: UInt64 = 1_000_000
  var run = ReportStatistics(range: range(0, length * UInt64(count + 3)), workModel: workModel)
  run.structure(structure(suffix: suffix))
  for index in 0...count {
    let start = length * UInt64(index + 1)
    for (number, thread) in [UInt32(100), 101].enumerated() {
      for node in 0..<5 {
        let begin = start + UInt64(node) * 180_000
        run.operatorSpan(
          OperatorSpan(
            graph: Int32(index), step: Int32(index), structure: 1, node: Int32(node), lastNode: Int32(node),
            thread: ThreadID(thread), range: range(begin, begin + 150_000),
            barrier: range(begin + 150_000, begin + 180_000), isMainThread: number == 0, isRepaired: false))
      }
    }
    run.graphRun(
      GraphRun(
        index: index, step: index, thread: ThreadID(100), range: range(start, start + 900_000), structure: 1,
        backend: "CPU", nodeCount: 5, threadCount: 2, isComplete: true))
    run.tokenStep(step(index, index == 0 ? .prefill : .decode, start, 950_000))
  }
  return run
}

func page(
  _ run: ReportStatistics, facts: ReportFacts = ReportFacts(), _ recording: RecordingFacts = RecordingFacts()
)
  -> String
{
  ReportPage(run, facts: facts, recording: recording).html
}

extension String {
  func count(of part: String) -> Int {
    var (count, rest) = (0, self[...])
    while let found = rest.firstRange(of: part) {
      count += 1
      rest = rest[found.upperBound...]
    }
    return count
  }
}
