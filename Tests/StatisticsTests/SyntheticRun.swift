import TraceModel

/// Builds small runs by hand. Times are nanoseconds.
func time(_ nanoseconds: UInt64) -> TraceTime { TraceTime(nanoseconds: nanoseconds) }

func range(_ start: UInt64, _ end: UInt64) -> TimeRange { TimeRange(start: time(start), end: time(end)) }

func node(
  _ address: UInt64, _ op: String, _ name: String = "", type: String = "f32", shape: [Int64] = [8, 1, 1, 1],
  sources: [UInt64?] = [], layer: Int? = nil, part: ModelPart = .other, executed: Bool = true,
  bytes: Int64 = 32
) -> Node {
  Node(
    address: address, name: name, op: op, type: type, shape: shape, strides: [], sources: sources,
    viewSource: nil, data: nil, isExecuted: executed, byteCount: bytes, layer: layer, part: part)
}

func span(
  _ node: Int32, _ start: UInt64, _ end: UInt64, barrier: UInt64 = 0, step: Int32 = 0, last: Int32? = nil,
  structure: UInt32 = 1, thread: UInt32 = 100, main: Bool = true, repaired: Bool = false
) -> OperatorSpan {
  OperatorSpan(
    graph: 0, step: step, structure: structure, node: node, lastNode: last ?? node, thread: ThreadID(thread),
    range: range(start, end), barrier: range(end, end + barrier), isMainThread: main, isRepaired: repaired)
}

func step(
  _ index: Int, _ phase: Phase, _ start: UInt64, _ end: UInt64, tokens: Int? = 1, context: UInt64 = 0xc0,
  graphs: Int = 1, operators: Int = 2, coverage: Double? = 1, complete: Bool = true
) -> TokenStep {
  TokenStep(
    index: index, thread: ThreadID(100), range: range(start, end), phase: phase, tokenCount: tokens,
    position: nil, context: context, graphCount: graphs, operatorCount: operators, coverage: coverage,
    isComplete: complete)
}

func graph(_ index: Int, step: Int?, _ start: UInt64, _ end: UInt64, structure: UInt32? = 1, threads: Int = 2)
  -> GraphRun
{
  GraphRun(
    index: index, step: step, thread: ThreadID(100), range: range(start, end), structure: structure,
    backend: "CPU", nodeCount: 2, threadCount: threads, isComplete: true)
}

func gap(_ kind: GapKind, step: Int?, _ start: UInt64, _ end: UInt64) -> GapSpan {
  GapSpan(kind: kind, step: step, thread: ThreadID(100), range: range(start, end))
}

/// A q4_1 product `up-0` with its weights, a row look-up, an RMS norm with its product, a soft-max.
let structure1 = GraphStructure(
  number: 1,
  nodes: [
    node(0x10, "MUL_MAT", "up-0", shape: [16, 2, 1, 1], sources: [0x90, 0x91], layer: 0, part: .ffn),
    node(0x20, "RMS_NORM", "norm-0", sources: [0x10], layer: 0, part: .attention),
    node(0x30, "MUL", "attn_norm-0", sources: [0x20, 0x92], layer: 0, part: .attention),
    node(0x40, "SOFT_MAX", "kq-1", sources: [0x30], layer: 1, part: .attention),
  ],
  constants: [
    node(
      0x90, "NONE", "blk.0.ffn_up.weight", type: "q4_1", shape: [8, 16, 1, 1], executed: false, bytes: 80),
    node(0x91, "NONE", "inp", executed: false),
    node(0x92, "NONE", "blk.0.attn_norm.weight", shape: [8, 1, 1, 1], executed: false),
  ], isComplete: true)

extension RunVisitor {
  mutating func spans(_ spans: OperatorSpan...) { for span in spans { operatorSpan(span) } }
}
