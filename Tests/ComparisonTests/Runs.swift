import Comparison
import TraceModel

/// A run made by hand: decode steps of given nodes, each with a time, one after the other.
struct MadeRun {
  /// Name, operator, nanoseconds; names are ggml's, so `ffn_out-3` is of layer 3.
  var nodes: [(name: String, op: String, time: Int64)]
  var steps = 200
  var firstPosition = 10
  /// Nanoseconds at most that each node takes longer by chance.
  var noise: Int64 = 0
  var seed: UInt64 = 1
  var setup: Int64 = 500
  var barrier: Int64 = 7
  var sampling: Int64 = 90
  var outside: Int64 = 40
  var threads = 2
  /// What the first node of every tenth step takes longer, nanoseconds.
  var disturbance: Int64 = 0
  /// Nodes that run as one operator.
  var fused: (first: Int, last: Int)?

  func samples() -> StepSamples {
    var result = StepSamples()
    result.structure(
      GraphStructure(
        number: 1,
        nodes: nodes.enumerated().map { index, node in
          let layer = node.name.split(separator: "-").dropFirst().last.flatMap { Int($0) }
          return Node(
            address: UInt64(index + 1), name: node.name, op: node.op, type: "f32", shape: [8, 1, 1, 1],
            strides: [], sources: [], viewSource: nil, data: nil, isExecuted: true, byteCount: 32,
            layer: layer,
            part: .other)
        }, constants: [], isComplete: true))
    var random = Chance(state: seed)
    var clock: UInt64 = 1000
    for step in 0..<steps {
      let start = clock
      func advance(_ time: Int64) -> TimeRange {
        defer { clock += UInt64(time) }
        return TimeRange(start: .init(nanoseconds: clock), end: .init(nanoseconds: clock + UInt64(time)))
      }
      result.gap(GapSpan(kind: .setup, step: step, thread: ThreadID(1), range: advance(setup)))
      var index = 0
      while index < nodes.count {
        let last = fused.map { $0.first == index ? $0.last : index } ?? index
        let extra = noise > 0 ? Int64(random.next() % UInt64(noise)) : 0
        let disturbed = index == 0 && step % 10 == 3 ? disturbance : 0
        let range = advance(nodes[index].time + extra + disturbed)
        result.operatorSpan(
          OperatorSpan(
            graph: 0, step: Int32(step), structure: 1, node: Int32(index), lastNode: Int32(last),
            thread: ThreadID(1), range: range, barrier: advance(barrier), isMainThread: true,
            isRepaired: false))
        index = last + 1
      }
      // Without a name.
      clock += 11
      result.tokenStep(
        TokenStep(
          index: step, thread: ThreadID(1),
          range: TimeRange(start: .init(nanoseconds: start), end: .init(nanoseconds: clock)), phase: .decode,
          tokenCount: 1, position: firstPosition + step, context: 1, graphCount: 1,
          operatorCount: nodes.count,
          coverage: 1, isComplete: true))
      result.gap(GapSpan(kind: .sampling, step: step, thread: ThreadID(1), range: advance(sampling)))
      result.gap(GapSpan(kind: .outsideEngine, step: step, thread: ThreadID(1), range: advance(outside)))
    }
    result.finish()
    return result
  }

  func compared(_ name: String = "made") -> ComparedRun {
    var facts = RunFacts(file: name)
    facts.threads = threads
    return ComparedRun(facts: facts, samples: samples())
  }
}

/// A linear congruential generator (Knuth's MMIX constants): not the one under test.
struct Chance {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 33
  }
}

let base: [(name: String, op: String, time: Int64)] = [
  ("norm-0", "RMS_NORM", 300), ("attn_norm-0", "MUL", 200), ("Qcur-0", "MUL_MAT", 2000),
  ("ffn_out-0", "MUL_MAT", 3000), ("node_4", "ADD", 100), ("ffn_out-1", "MUL_MAT", 3000),
  ("result_output", "MUL_MAT", 5000),
]

func decode(_ comparison: RunComparison) -> PhaseComparison? {
  comparison.phases.first { $0.phase == .decode }
}
