import CTraceRecords
import Foundation
import TraceContainer
import TraceModel
import Testing

@testable import TraceImport

/// What is lost, cut, or makes no sense.
@Suite struct DamageTests {
  /// A decode step of the small graph: three operators of 10 ns each on one thread.
  private func step(_ trace: TraceBuilder, _ time: UInt64, structure: UInt32 = 7) {
    trace.decode(time, tokens: 1)
    trace.graph(time + 10, structure: structure, nodes: 4)
    trace.op(time + 20, 1, 0x1000)
    trace.op(time + 30, 1, 0x12a0)
    trace.op(time + 40, 1, 0x13f0)
    trace.graphEnd(time + 50)
    trace.decodeEnd(time + 60)
  }

  /// Another at 2000, of whose three operators the second is lost.
  private func stepWithALostOperator(_ trace: TraceBuilder) {
    trace.decode(2000, tokens: 1)
    trace.graph(2010, structure: 7, nodes: 4)
    trace.op(2020, 1, 0x1000)
    trace.lose(1, tid: 1)
    trace.op(2140, 1, 0x13f0)
    trace.graphEnd(2150)
    trace.decodeEnd(2160)
  }

  private func traceWithStructure() -> TraceBuilder {
    let trace = TraceBuilder()
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    return trace
  }

  @Test func lostOperatorIsRepairedFromWhatItTookBefore() throws {
    let trace = traceWithStructure()
    step(trace, 1000)
    stepWithALostOperator(trace)
    let run = try trace.run()
    #expect(Array(run.spans().suffix(2)) == ["0 2020-2030 2030 repaired", "3 2140-2150 2150"])
    #expect(run.steps[1].coverage == 2.0 / 3)
    #expect(run.steps[1].operatorCount == 2)
    #expect(run.losses.map(\.lostRecords) == [1])
    #expect(run.losses[0].range.start.nanoseconds == 2020 && run.losses[0].range.end.nanoseconds == 2140)
    #expect(run.statistics.lostRecords == 1)
    #expect(run.statistics[.repairedOperator] == 1)
    #expect(run.statistics[.skippedOperator] == 1)
    #expect(run.statistics.hasLosses)
  }

  /// Records wait for 5 ms of the trace; what they say must not depend on how many chunks come meanwhile.
  @Test(arguments: [0, 1, 3]) func whatWaitsStaysNearItsLoss(chunks: Int) throws {
    let trace = traceWithStructure()
    step(trace, 1000)
    trace.seal()
    stepWithALostOperator(trace)
    trace.seal()
    for number in 0..<UInt64(chunks) {
      trace.bare(99, 2170 + number, 1)
      trace.seal()
    }
    let run = try trace.run()
    #expect(Array(run.spans().suffix(2)) == ["0 2020-2030 2030 repaired", "3 2140-2150 2150"])
    #expect(run.statistics[.repairedOperator] == 1)
  }

  @Test func lostBarriersAndOperator() throws {
    let trace = traceWithStructure()
    for (start, isLossy) in [(UInt64(1000), false), (2000, true)] {
      trace.decode(start, tokens: 1)
      trace.graph(start + 10, structure: 7, nodes: 4, threads: 2)
      for thread: UInt32 in [1, 2] {
        trace.op(start + 20, thread, 0x1000)
        if isLossy && thread == 2 {
          // Its barrier and the next operator are lost: what follows is that operator's barrier.
          trace.lose(2, tid: 2)
        } else {
          trace.barrier(start + 30, thread)
          trace.op(start + 40, thread, 0x12a0)
        }
        trace.barrier(start + 80, thread)
        trace.op(start + 90, thread, 0x13f0)
        trace.barrier(start + 95, thread, final: true)
      }
      trace.graphEnd(start + 100)
      trace.decodeEnd(start + 110)
    }
    let run = try trace.run()
    #expect(
      Array(run.spans(of: 2).suffix(2)) == ["0 2020-2030 2030 repaired", "3 2090-2095 2095"])
    #expect(run.steps[1].operatorCount == 3)
    #expect(run.steps[1].coverage == 5.0 / 6)
    #expect(run.accounted(run.steps[1]) == 110)
  }

  @Test func lossesAtTheEndOfACPU() throws {
    let trace = traceWithStructure()
    step(trace, 1000)
    trace.append(
      pi_loss(
        head: trace.user(RecordType.loss, 5000, cpu: 1), lost_records: 4, unreadable: 0, experts_cut: 0,
        last_sequence: 18))
    let bytes = trace.bytes
    let run = try Run(bytes)
    // The walk is 1 + 1 + 7 + 1 records, the step 7.
    #expect(run.statistics.lostRecords == 1)
    #expect(run.losses.map(\.lostRecords) == [1])
    let info = try info(bytes)
    #expect(info.cpus.map(\.missing) == [1])
    #expect(info.cpus.map(\.reported) == [4])
    #expect(info.warnings.count == 1)
  }

  @Test func cutInsideAStep() throws {
    let trace = traceWithStructure()
    step(trace, 1000)
    trace.decode(2000, tokens: 1)
    trace.graph(2010, structure: 7, nodes: 4)
    trace.op(2020, 1, 0x1000)
    trace.op(2030, 1, 0x12a0)
    let run = try trace.run()
    #expect(run.steps.map(\.isComplete) == [true, false])
    #expect(run.graphs.map(\.isComplete) == [true, false])
    #expect(run.spans().last == "0 2020-2030 2030")
    #expect(run.steps[1].range.end.nanoseconds == 2030)
    #expect(run.statistics[.droppedOperator] == 1)
    #expect(run.statistics[.unendedToken] == 1)
    #expect(run.statistics[.unendedGraph] == 1)
    // Recording may stop anywhere; a trace that was cut short lacks its end record, which is told apart.
    #expect(!run.statistics.hasLosses)
  }

  @Test func unmatchedEnds() throws {
    let trace = traceWithStructure()
    trace.decodeEnd(100)
    trace.ubatchEnd(110)
    trace.graphEnd(120)
    trace.bare(RecordType.sampleEnd, 130, 1, flags: 1)
    trace.barrier(140, 1)
    trace.op(150, 1, 0x1000)
    step(trace, 1000)
    let run = try trace.run()
    for oddity in [
      Oddity.unmatchedTokenEnd, .unmatchedUbatchEnd, .unmatchedGraphEnd, .unmatchedSampleEnd,
      .barrierWithoutOperator, .operatorOutsideGraph,
    ] { #expect(run.statistics[oddity] == 1, "\(oddity)") }
    #expect(run.steps.count == 1)
    #expect(run.steps[0].coverage == 1)
    #expect(run.spans[0].graph == -1 && run.spans[0].step == -1)
  }

  @Test func lostEndsAreClosedByWhatFollows() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1)
    trace.ubatch(1005, tokens: 1, position: 3)
    trace.graph(1010, structure: 7, nodes: 4)
    trace.op(1020, 1, 0x1000)
    trace.lose(3, tid: 1)
    step(trace, 2000)
    trace.bare(RecordType.sampleBegin, 2100, 1, flags: 1)
    trace.lose(1, tid: 1)
    trace.bare(RecordType.sampleBegin, 2200, 1, flags: 1)
    trace.bare(RecordType.sampleEnd, 2210, 1, flags: 1)
    let run = try trace.run()
    #expect(run.steps.map(\.isComplete) == [false, true])
    #expect(run.statistics[.unendedToken] == 1)
    #expect(run.statistics[.unendedUbatch] == 1)
    #expect(run.statistics[.unendedGraph] == 1)
    #expect(run.statistics[.unendedSample] == 1)
    #expect(run.gapTexts.last == "sampling 2200-2210")
    // What lost its end goes as far as its thread was heard of, and the time behind it has no name.
    #expect(run.steps[0].range.end.nanoseconds == 1020)
    #expect(run.graphs[0].range.end.nanoseconds == 1020)
    #expect(run.gaps.allSatisfy { $0.range.start.nanoseconds != 1020 })
    #expect(run.spans.allSatisfy { $0.range.duration >= 0 && $0.range.duration <= 100 })
  }

  @Test func callWhoseBeginIsMissing() throws {
    let trace = TraceBuilder()
    trace.ubatchEnd(900)
    trace.ubatch(1000, tokens: 4, position: 0)
    trace.ubatchEnd(1100)
    trace.decodeEnd(1200)
    trace.decode(1300, tokens: 1)
    trace.decodeEnd(1400)
    let run = try trace.run()
    #expect(run.statistics[.orphanUbatch] == 1)
    #expect(run.steps.map(\.isComplete) == [false, true])
  }

  @Test func unknownAndDisorderedOperators() throws {
    let trace = traceWithStructure()
    trace.decode(1000, tokens: 1)
    trace.graph(1010, structure: 7, nodes: 4)
    trace.op(1020, 1, 0x13f0)
    trace.op(1030, 1, 0x1000)
    trace.op(1040, 1, 0x777_0000)
    trace.fused(1045, 1, 0x12a0, 0x888_0000)
    trace.graphEnd(1050)
    trace.graph(1060, structure: 99, nodes: 4)
    trace.op(1065, 1, 0x1000)
    trace.graphEnd(1070)
    trace.decodeEnd(1080)
    let run = try trace.run()
    #expect(run.spans.map(\.node) == [3, 0, -1, 2, -1])
    #expect(run.statistics[.operatorOutOfOrder] == 1)
    #expect(run.statistics[.unknownOperator] == 2)
    #expect(run.statistics[.unknownStructure] == 1)
    // No loss was seen, so nothing is repaired.
    #expect(run.statistics[.repairedOperator] == 0)
    #expect(run.steps[0].coverage == nil)
  }

  @Test func incompleteStructures() throws {
    let trace = TraceBuilder()
    trace.structure(
      900, number: 7, nodes: smallGraph, constants: smallConstants, omitting: [0x12a0, 0x9200])
    step(trace, 1000)
    trace.bare(RecordType.structureEnd, 1100, 1, ref: 7)
    let run = try trace.run()
    #expect(run.structures.map(\.isComplete) == [false])
    #expect(run.structures[0].nodes[2].op == "UNKNOWN")
    #expect(run.spans.map(\.node) == [0, 2, 3])
    #expect(run.statistics[.incompleteStructure] == 1)
    #expect(run.statistics[.strayStructureRecord] == 1)
  }

  @Test func tensorsOfAnotherLayout() throws {
    let trace = TraceBuilder(metadata: #"{"layout":{"tensor_bytes":512},"notes":"text"}"#)
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    let run = try trace.run()
    #expect(run.statistics[.undecodableTensor] == 7)
    #expect(run.info.warnings.count == 1)
  }

  @Test func walksOfTheSameContentAreOneStructure() throws {
    let trace = TraceBuilder()
    for number: UInt32 in 1...20 {
      // The builds without uids: walked each time, only a cache's view has moved.
      var nodes = smallGraph
      nodes[1].data = UInt64(number) * 4096
      let time = UInt64(number) * 10_000
      trace.structure(time, number: number, nodes: nodes, constants: smallConstants)
      step(trace, time + 100, structure: number)
    }
    let run = try trace.run()
    #expect(run.structures.map(\.number) == [1])
    #expect(run.statistics.structuresWalked == 20)
    #expect(run.statistics.distinctStructures == 1)
    #expect(run.steps.allSatisfy { $0.coverage == 1 })
    #expect(run.spans.allSatisfy { $0.structure == 1 })
  }

  @Test func oneAddressTwoShapes() throws {
    let trace = TraceBuilder()
    trace.structure(900, number: 1, nodes: smallGraph, constants: smallConstants)
    step(trace, 1000, structure: 1)
    let other = [
      TestTensor(address: 0x1000, op: "ADD", name: "l_out-0", ne: [4, 9, 1, 1], sources: [0x9000]),
      TestTensor(address: 0x1150, op: "MUL", name: "l_out-1", sources: [0x1000]),
    ]
    trace.structure(1900, number: 2, nodes: other, constants: smallConstants)
    trace.decode(2000, tokens: 9)
    trace.graph(2010, structure: 2, nodes: 2)
    trace.op(2020, 1, 0x1000)
    trace.op(2030, 1, 0x1150)
    trace.graphEnd(2040)
    trace.decodeEnd(2050)
    let run = try trace.run()
    #expect(run.structures.map(\.number) == [1, 2])
    #expect(run.spans.map(\.structure) == [1, 1, 1, 2, 2])
    #expect(run.steps.map(\.coverage) == [1, 1])
  }

  @Test func unknownTypesAndShortRecordsAreSkipped() throws {
    let trace = traceWithStructure()
    trace.append(trace.head(77, 950, 1))
    trace.append(trace.head(RecordType.tokenBegin, 960, 1, flags: 1, ref: 1))
    trace.append(trace.head(RecordType.graphBegin, 961, 1, flags: 1, ref: 1))
    trace.append(trace.head(RecordType.operatorFused, 962, 1))
    trace.append(trace.head(RecordType.experts, 963, 1))
    trace.append(trace.head(RecordType.structureBegin, 964, 1))
    trace.bare(RecordType.operatorBegin, 1 << 62, 1)
    step(trace, 1000)
    let run = try trace.run()
    #expect(run.statistics[.unknownRecordType] == 1)
    #expect(run.statistics[.shortRecord] == 5)
    #expect(run.statistics[.impossibleTime] == 1)
    #expect(run.steps.map(\.coverage) == [1])
  }

  @Test func recordsHeldBackAcrossChunks() throws {
    let trace = traceWithStructure()
    trace.decode(1_000_000, tokens: 1)
    trace.graph(1_000_010, structure: 7, nodes: 4, threads: 2)
    for (i, node) in [0, 2, 3].enumerated() {
      let time = UInt64(1_000_100 + i * 100)
      // The worker's records come a chunk later than the main thread's.
      trace.op(time, 1, smallGraph[node].address)
      trace.barrier(time + 50, 1, final: node == 3)
    }
    trace.graphEnd(1_000_400)
    trace.seal()
    for (i, node) in [0, 2, 3].enumerated() {
      let time = UInt64(1_000_100 + i * 100)
      trace.op(time + 5, 2, smallGraph[node].address)
      trace.barrier(time + 50, 2, final: node == 3)
    }
    trace.decodeEnd(1_000_500)
    trace.end(2_000_000)
    let run = try trace.run()
    #expect(run.steps.map(\.coverage) == [1])
    #expect(run.spans(of: 2).first == "0 1000105-1000150 1000205")
    #expect(run.statistics.carriedRecords > 0)
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  @Test func damagedChunkIsPassedOver() throws {
    let trace = traceWithStructure()
    step(trace, 10_000_000)
    trace.seal()
    let begin = trace.bytes.count
    step(trace, 20_000_000)
    trace.seal()
    let end = trace.bytes.count
    step(trace, 30_000_000)
    trace.end(40_000_000)
    var bytes = trace.bytes
    bytes[(begin + end) / 2 + 40] ^= 0xff
    let run = try Run(bytes)
    #expect(run.statistics[.damagedChunk] == 1)
    #expect(run.statistics.damage[0].offset >= UInt64(begin))
    #expect(run.statistics.hasLosses)
    #expect(run.steps.filter(\.isComplete).count == 2)
    #expect(run.statistics.lostRecords == 7)
  }

  private func info(_ bytes: [UInt8]) throws -> TraceInfo {
    let path = NSTemporaryDirectory() + "/info-\(UUID().uuidString).pitrace"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try TraceInfo(TraceFile(path: path))
  }

  /// Cut at every byte: an error at the header, a partial result behind it.
  @Test func everyPrefix() throws {
    let trace = traceWithStructure()
    step(trace, 10_000_000)
    trace.seal()
    step(trace, 20_000_000)
    trace.end(40_000_000)
    let bytes = trace.bytes
    for length in stride(from: 0, to: bytes.count, by: 7) {
      if length < 64 {
        #expect(throws: TraceFileError.self) { try Run(Array(bytes[..<length])) }
      } else {
        let run = try Run(Array(bytes[..<length]))
        #expect(run.steps.count <= 2)
      }
    }
  }
}
