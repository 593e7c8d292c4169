import TraceModel
import Testing

@testable import TraceImport

/// Three operators with a view in between: node 0, 2 and 3 are executed.
let smallGraph = [
  TestTensor(address: 0x1000, op: "MUL_MAT", name: "Qcur-0", sources: [0x9000, 0x9100]),
  TestTensor(address: 0x1150, op: "VIEW", name: "Qcur-0 (view)", sources: [0x1000], viewSource: 0x1000),
  TestTensor(address: 0x12a0, op: "ADD", name: "ffn_out-0", sources: [0x1150, 0x1000]),
  TestTensor(address: 0x13f0, op: "MUL_MAT", name: "result_output", sources: [0x9200, 0x12a0]),
]
let smallConstants = [
  TestTensor(address: 0x9000, op: "NONE", name: "blk.0.attn_q.weight"),
  TestTensor(address: 0x9100, op: "NONE", name: "inp_embd"),
  TestTensor(address: 0x9200, op: "NONE", name: "output.weight"),
]

@Suite struct RunTests {
  @Test func singleThreadWithoutBarriers() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 5)
    trace.ubatch(1010, tokens: 5, position: 0)
    trace.structure(1020, number: 7, nodes: smallGraph, constants: smallConstants)
    trace.graph(1100, structure: 7, nodes: 4)
    trace.op(1110, 1, 0x1000)
    trace.op(1200, 1, 0x12a0)
    trace.op(1250, 1, 0x13f0)
    trace.graphEnd(1400)
    trace.ubatchEnd(1420)
    trace.decodeEnd(1500)
    trace.sample(1510, 1530)
    trace.decode(1600, tokens: 1)
    trace.ubatch(1610, tokens: 1, position: 5)
    trace.graph(1650, structure: 7, nodes: 4)
    trace.op(1660, 1, 0x1000)
    trace.op(1670, 1, 0x12a0)
    trace.op(1680, 1, 0x13f0)
    trace.graphEnd(1700)
    trace.ubatchEnd(1710)
    trace.decodeEnd(1720)
    trace.end(1800)
    let run = try trace.run()

    #expect(
      run.spans() == [
        "0 1110-1200 1200", "2 1200-1250 1250", "3 1250-1400 1400",
        "0 1660-1670 1670", "2 1670-1680 1680", "3 1680-1700 1700",
      ])
    #expect(
      run.gapTexts == [
        "setup 1000-1100", "graph overhead 1100-1110", "finish 1400-1500", "outside the engine 1500-1510",
        "sampling 1510-1530", "outside the engine 1530-1600", "setup 1600-1650", "graph overhead 1650-1660",
        "finish 1700-1720",
      ])
    #expect(run.gaps.map(\.step) == [0, 0, 0, 0, 0, 0, 1, 1, 1])
    #expect(run.steps.map(\.phase) == [.prefill, .decode])
    #expect(run.steps.map(\.tokenCount) == [5, 1])
    #expect(run.steps.map(\.position) == [0, 5])
    #expect(run.steps.map(\.operatorCount) == [3, 3])
    #expect(run.steps.map(\.graphCount) == [1, 1])
    #expect(run.steps.map(\.coverage) == [1, 1])
    #expect(run.steps.allSatisfy { $0.isComplete })
    for step in run.steps { #expect(run.accounted(step) == step.range.duration) }
    // Everything of a step before it, a step before anything of the next.
    #expect(run.order == "S--ooog----T--ooog-T")
    #expect(run.structures.map(\.number) == [7])
    #expect(run.structures[0].isComplete)
    #expect(run.structures[0].nodes.map(\.isExecuted) == [true, false, true, true])
    #expect(run.structures[0].constants.map(\.name) == smallConstants.map(\.name))
    #expect(run.statistics.oddities.occurred.isEmpty)
    #expect(!run.statistics.hasLosses)
    #expect(run.spans.allSatisfy { $0.isMainThread && $0.structure == 7 })
  }

  @Test func twoThreadsWithBarriers() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    trace.structure(1020, number: 7, nodes: smallGraph, constants: smallConstants)
    trace.graph(1100, structure: 7, nodes: 4, threads: 2)
    // Written thread by thread: the import puts them in order.
    trace.op(1110, 1, 0x1000)
    trace.barrier(1150, 1)
    trace.op(1165, 1, 0x12a0)
    trace.barrier(1180, 1)
    trace.op(1190, 1, 0x13f0)
    trace.barrier(1300, 1, final: true)
    trace.op(1115, 2, 0x1000)
    trace.barrier(1160, 2)
    trace.op(1166, 2, 0x12a0)
    trace.barrier(1185, 2)
    trace.op(1191, 2, 0x13f0)
    trace.barrier(1310, 2, final: true)
    trace.graphEnd(1320)
    trace.decodeEnd(1330)
    trace.end(1400)
    let run = try trace.run()
    #expect(run.spans(of: 1) == ["0 1110-1150 1165", "2 1165-1180 1190", "3 1190-1300 1320"])
    #expect(run.spans(of: 2) == ["0 1115-1160 1166", "2 1166-1185 1191", "3 1191-1310 1310"])
    #expect(run.spans.filter { $0.thread.rawValue == 2 }.allSatisfy { !$0.isMainThread && $0.graph == 0 })
    #expect(run.steps[0].operatorCount == 3)
    #expect(run.steps[0].coverage == 1)
    #expect(run.graphs[0].threadCount == 2)
    #expect(run.accounted(run.steps[0]) == 330)
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  @Test func viewAsLastNodeGivesTwoBarriers() throws {
    let trace = TraceBuilder()
    let nodes = Array(smallGraph[0...1])
    trace.decode(1000, tokens: 1)
    trace.structure(1020, number: 7, nodes: nodes, constants: smallConstants)
    trace.graph(1100, structure: 7, nodes: 2, threads: 2)
    trace.op(1110, 1, 0x1000)
    trace.op(1112, 2, 0x1000)
    trace.barrier(1120, 1)
    trace.barrier(1130, 2)
    trace.barrier(1135, 1, final: true)
    trace.barrier(1136, 2, final: true)
    trace.graphEnd(1150)
    trace.decodeEnd(1160)
    let run = try trace.run()
    #expect(run.spans(of: 1) == ["0 1110-1120 1150"])
    #expect(run.spans(of: 2) == ["0 1112-1130 1136"])
    #expect(run.statistics.oddities.occurred.isEmpty)
    #expect(run.accounted(run.steps[0]) == 160)
  }

  @Test func fusedOperatorCountsOnce() throws {
    let trace = TraceBuilder()
    let nodes = [
      TestTensor(address: 0x1000, op: "RMS_NORM", name: "norm-0", sources: [0x9100]),
      TestTensor(address: 0x1150, op: "MUL", name: "attn_norm-0", sources: [0x1000, 0x9000]),
      TestTensor(address: 0x12a0, op: "ADD", name: "l_out-0", sources: [0x1150, 0x1150]),
    ]
    trace.decode(1000, tokens: 1)
    trace.structure(1020, number: 7, nodes: nodes, constants: smallConstants)
    trace.graph(1100, structure: 7, nodes: 3, threads: 2)
    for thread: UInt32 in [1, 2] {
      trace.fused(1110, thread, 0x1000, 0x1150)
      trace.barrier(1120, thread)
      trace.op(1130, thread, 0x12a0)
      trace.barrier(1140, thread, final: true)
    }
    trace.graphEnd(1150)
    trace.decodeEnd(1160)
    let run = try trace.run()
    #expect(run.spans(of: 1) == ["0+1 1110-1120 1130", "2 1130-1140 1150"])
    #expect(run.spans(of: 2) == ["0+1 1110-1120 1130", "2 1130-1140 1140"])
    #expect(run.steps[0].operatorCount == 2)
    #expect(run.steps[0].coverage == 1)
    #expect(run.statistics.oddities.occurred.isEmpty)
    // The unnamed norm belongs to what consumes it.
    #expect(run.structures[0].nodes.map(\.part) == [.attention, .attention, .ffn])
  }

  @Test func microBatchesAreOneStep() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: UInt32.max, api: 2)
    trace.structure(1001, number: 7, nodes: smallGraph, constants: smallConstants)
    for (i, start) in [UInt64(1100), 1200].enumerated() {
      trace.ubatch(start, tokens: 512, position: Int32(i * 512))
      trace.graph(start + 10, structure: 7, nodes: 4)
      trace.op(start + 10, 1, 0x1000)
      trace.op(start + 30, 1, 0x12a0)
      trace.op(start + 40, 1, 0x13f0)
      trace.graphEnd(start + 50)
      trace.ubatchEnd(start + 60)
    }
    trace.decodeEnd(1300, api: 2)
    let run = try trace.run()
    #expect(run.steps.count == 1)
    #expect(run.steps[0].tokenCount == 1024)
    #expect(run.steps[0].position == 0)
    #expect(run.steps[0].graphCount == 2)
    #expect(run.steps[0].operatorCount == 6)
    #expect(run.steps[0].phase == .prefill)
    #expect(run.gapTexts == ["setup 1000-1110", "between graphs 1150-1210", "finish 1250-1300"])
    #expect(run.accounted(run.steps[0]) == 300)
  }

  @Test func nestedCallsAreOneStep() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: UInt32.max, api: 2)
    trace.decode(1010, tokens: 9, api: 1)
    trace.decodeEnd(1090, api: 1)
    trace.decodeEnd(1100, api: 2)
    let run = try trace.run()
    #expect(run.steps.map(\.range.duration) == [100])
    #expect(run.steps[0].tokenCount == 9)
    #expect(run.statistics.nestedCalls == 1)
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  @Test func microBatchSitesAlone() throws {
    let trace = TraceBuilder()
    trace.ubatch(1000, tokens: 4, position: 0)
    trace.ubatchEnd(1100)
    trace.ubatch(1200, tokens: 1, position: 4)
    trace.ubatchEnd(1250)
    let run = try trace.run()
    #expect(run.steps.map(\.tokenCount) == [4, 1])
    #expect(run.steps.map(\.range.duration) == [100, 50])
    #expect(run.steps.allSatisfy { $0.isComplete })
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  @Test func twoContextsAtOnce() throws {
    let trace = TraceBuilder()
    let other = smallGraph.map { tensor -> TestTensor in
      var copy = tensor
      copy.address += 0x100000
      copy.sources = tensor.sources.map { $0 < 0x9000 ? $0 + 0x100000 : $0 }
      if copy.viewSource != 0 { copy.viewSource += 0x100000 }
      return copy
    }
    trace.decode(1000, 1, tokens: 1, context: 0xa)
    trace.decode(1001, 2, tokens: 1, context: 0xb)
    trace.structure(1010, 1, number: 1, nodes: smallGraph, constants: smallConstants)
    trace.structure(1010, 2, number: 2, nodes: other, constants: smallConstants)
    trace.graph(1100, 1, structure: 1, nodes: 4, threads: 2)
    trace.graph(1101, 2, structure: 2, nodes: 4, threads: 2)
    for (i, node) in [0, 2, 3].enumerated() {
      let time = UInt64(1110 + i * 20)
      trace.op(time, 1, smallGraph[node].address)
      trace.op(time + 1, 2, other[node].address)
      trace.op(time + 2, 3, smallGraph[node].address)
      trace.op(time + 3, 4, other[node].address)
      for thread: UInt32 in 1...4 { trace.barrier(time + 10, thread, final: node == 3) }
    }
    trace.graphEnd(1180, 1)
    trace.graphEnd(1181, 2)
    trace.decodeEnd(1200, 1)
    trace.decodeEnd(1210, 2)
    let run = try trace.run()
    #expect(run.steps.count == 2)
    #expect(run.steps.map(\.coverage) == [1, 1])
    #expect(Set(run.spans.filter { [1, 3].contains($0.thread.rawValue) }.map(\.graph)) == [0])
    #expect(Set(run.spans.filter { [2, 4].contains($0.thread.rawValue) }.map(\.graph)) == [1])
    #expect(run.spans.count == 12)
    // The same content at other addresses is the same structure.
    #expect(run.statistics.distinctStructures == 1)
    #expect(run.structures.map(\.number) == [1])
    #expect(run.statistics.oddities.occurred.isEmpty)
    for step in run.steps { #expect(run.accounted(step) == step.range.duration) }
  }

  @Test func backendGraphAroundACPUGraphIsOne() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    trace.graph(1050, structure: 0, kind: 2)
    trace.structure(1055, number: 7, nodes: smallGraph, constants: smallConstants)
    trace.graph(1060, structure: 7, nodes: 4)
    trace.op(1060, 1, 0x1000)
    trace.op(1070, 1, 0x12a0)
    trace.op(1080, 1, 0x13f0)
    trace.graphEnd(1090)
    trace.graphEnd(1095, kind: 2)
    trace.graph(1100, structure: 0, kind: 2)
    trace.graphEnd(1110, kind: 2)
    trace.decodeEnd(1150)
    let run = try trace.run()
    #expect(run.graphs.map(\.backend) == ["CPU", "backend 0xbac0"])
    #expect(run.graphs.map(\.index) == [0, 1])
    #expect(run.statistics.wrappedGraphs == 1)
    #expect(run.gapTexts == ["setup 1000-1060", "between graphs 1090-1100", "finish 1110-1150"])
  }

  @Test func expertsOfEachToken() throws {
    let trace = TraceBuilder()
    let nodes = [
      TestTensor(address: 0x1000, op: "VIEW", name: "ffn_moe_topk-2", viewSource: 0x9100),
      TestTensor(address: 0x1150, op: "MUL_MAT_ID", name: "ffn_moe_up-2", sources: [0x9000, 0x9100, 0x1000]),
      TestTensor(
        address: 0x12a0, op: "MUL_MAT_ID", name: "ffn_moe_gate-2", sources: [0x9000, 0x9100, 0x1000]),
    ]
    trace.decode(1000, tokens: 3)
    trace.structure(1010, number: 7, nodes: nodes, constants: smallConstants)
    for (offset, count) in [(UInt64(0), UInt32(2)), (100, 1)] {
      trace.ubatch(1100 + offset, tokens: count, position: Int32(offset / 50))
      trace.graph(1110 + offset, structure: 7)
      trace.op(1120 + offset, 1, 0x1150)
      for token in 0..<count { trace.experts(1121 + offset, 1, 0x1150, token: token, [Int32(token), 6, 9]) }
      trace.op(1130 + offset, 1, 0x12a0)
      trace.experts(1131 + offset, 1, 0x12a0, token: 0, [4, 4, 4])
      trace.graphEnd(1140 + offset)
      trace.ubatchEnd(1150 + offset)
    }
    trace.decodeEnd(1300)
    trace.experts(1310, 1, 0x1150, token: 0, [1])
    let run = try trace.run()
    #expect(run.activations.map(\.token) == [0, 1, 2])
    #expect(run.activations.map(\.experts) == [[0, 6, 9], [1, 6, 9], [0, 6, 9]])
    #expect(run.activations.allSatisfy { $0.layer == 2 && $0.step == 0 && $0.isComplete })
    #expect(run.activations.allSatisfy { $0.structure == run.structures[0].number && $0.node == 1 })
    #expect(run.statistics[.repeatedExperts] == 2)
    #expect(run.statistics[.expertsOutsideStep] == 1)
  }
}
