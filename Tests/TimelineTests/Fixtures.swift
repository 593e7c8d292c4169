import Timeline
import TraceModel

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

func graph(_ start: UInt64, _ end: UInt64, thread: UInt32 = 100, step: Int? = 0, index: Int = 0) -> GraphRun {
  GraphRun(
    index: index, step: step, thread: ThreadID(thread), range: range(start, end), structure: 1,
    backend: "CPU",
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

/// One decode step on two threads, with one fused operator, in the order in which a run is read.
func decodeOnTwoThreads(_ writer: inout TimelineWriter) {
  writer.structure(smallStructure)
  writer.gap(gap(.setup, 1_000_000_000, 1_000_000_500))
  writer.gap(gap(.graphOverhead, 1_000_000_500, 1_000_001_000))
  writer.operatorSpan(span(0, 1_000_001_000, 1_000_001_333, barrier: 1_000_001_400, last: 1))
  writer.operatorSpan(span(0, 1_000_001_050, 1_000_001_400, thread: 101, last: 1, isMain: false))
  writer.operatorSpan(span(2, 1_000_001_400, 1_000_002_001))
  writer.operatorSpan(
    span(2, 1_000_001_401, 1_000_001_999, barrier: 1_000_002_002, thread: 101, isMain: false))
  writer.graphRun(graph(1_000_000_500, 1_000_003_000))
  writer.gap(gap(.finish, 1_000_003_000, 1_000_004_007))
  writer.tokenStep(step(0, 1_000_000_000, 1_000_004_007))
  writer.gap(gap(.sampling, 1_000_004_100, 1_000_005_000))
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

extension TimelineOptions {
  /// The default ones, changed by the closure.
  static func with(_ change: (inout TimelineOptions) -> Void) -> TimelineOptions {
    var options = TimelineOptions()
    change(&options)
    return options
  }
}
