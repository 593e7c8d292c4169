import CTraceRecords
import TraceModel
import Testing

@testable import TraceImport

/// Oddities that need no run around them.
@Suite struct OddityTests {
  @Test func lateRecords() throws {
    let trace = TraceBuilder()
    trace.decode(10_000_000_000, tokens: 1)
    trace.seal()
    // More than the hold-back before what its thread did already.
    trace.decodeEnd(20_000_000_000)
    trace.decode(20_000_000_100, tokens: 1)
    trace.seal()
    trace.bare(RecordType.sampleBegin, 9_000_000_000, 1, flags: 1)
    trace.decodeEnd(20_000_000_200)
    let run = try trace.run()
    #expect(run.statistics[.timeReversed] == 1)
    #expect(run.steps.allSatisfy { $0.range.duration >= 0 })
  }

  @Test func repeatedSequenceAndMissingChunk() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    trace.append(
      pi_record(time_ns: 1100, tid: 1, cpu: 1, type: RecordType.tokenEnd, flags: 1, sequence: 0, ref: 0))
    #expect(try trace.run().statistics[.repeatedSequence] == 1)

    let whole = TraceBuilder()
    whole.decode(1000, tokens: 1)
    whole.seal()
    let from = whole.bytes.count
    whole.decodeEnd(1100)
    whole.seal()
    let to = whole.bytes.count
    whole.decode(1200, tokens: 1)
    whole.decodeEnd(1300)
    let run = try Run(Array(whole.bytes[..<from] + whole.bytes[to...]))
    #expect(run.statistics[.missingChunk] == 1)
    #expect(run.steps.map(\.isComplete) == [false, true])
    #expect(run.statistics.lostRecords == 1)
  }

  @Test func lateSequencesAreNoLoss() throws {
    let trace = TraceBuilder()
    for (sequence, time) in [(UInt32(0), UInt64(1000)), (2, 1010), (1, 1011), (3, 1020)] {
      trace.append(
        pi_record(
          time_ns: time, tid: 1, cpu: 1, type: RecordType.warmup, flags: 0, sequence: sequence, ref: 0))
    }
    let run = try trace.run()
    #expect(run.losses.isEmpty && run.statistics.lostRecords == 0)
  }

  @Test func sequencesWrap() throws {
    var account = SequenceAccount()
    account.add(0, first: 0, last: 0x7fff_fffe, count: 0x7fff_ffff)
    account.add(0, first: 0x7fff_ffff, last: 0xffff_fffd, count: 0x7fff_ffff)
    let gapless = account.add(0, first: 0xffff_fffe, last: 1, count: 4)
    #expect(!gapless)
    #expect(account.cpus[0]?.numbersGiven == 0x1_0000_0002)
    #expect(account.cpus[0]?.records == 0x1_0000_0002)
    let gap = account.add(0, first: 3, last: 3, count: 1)
    #expect(gap)
  }

  @Test func expertsThatCannotBe() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    trace.append(
      pi_experts(
        head: trace.head(RecordType.experts, 1010, 1), token: 0, token_count: 1, used: 900, reserved: 0))
    #expect(try trace.run().statistics[.malformedExperts] == 1)
  }

  @Test func walkWithoutEnd() throws {
    let trace = TraceBuilder()
    for number: UInt32 in [1, 2] {
      trace.append(
        pi_structure_begin(
          head: trace.head(RecordType.structureBegin, 1000, 1, ref: number), cgraph: 0, nodes: 0, uid: 0,
          n_nodes: 4, n_leafs: 0))
    }
    let run = try trace.run()
    #expect(run.statistics[.unendedWalk] == 2)
    #expect(run.structures.isEmpty)
  }

  @Test func moreGraphsThanCanBeFollowed() throws {
    let trace = TraceBuilder()
    for thread: UInt32 in 1...70 { trace.graph(1000 + UInt64(thread), thread, structure: 0) }
    let run = try trace.run()
    #expect(run.statistics[.tooMany] == 6)
    #expect(run.graphs.count == 64)
    #expect(run.statistics[.unendedGraph] == 64)
  }

  @Test func holdBackGivesWayToMemory() throws {
    let trace = TraceBuilder()
    // 35 MB of records in the same millisecond.
    let tail = [UInt8](repeating: 0, count: 4000)
    for i in 0..<8800 {
      trace.append(trace.head(99, 10_000_000 + UInt64(i), 1), tail: tail)
    }
    let run = try trace.run()
    #expect(run.statistics[.holdBackOverflow] >= 1)
    #expect(run.statistics[.unknownRecordType] == 8800)
  }

  @Test func lossesAreTold() {
    var statistics = ImportStatistics()
    #expect(!statistics.hasLosses)
    statistics.oddities[.timeReversed] = 1
    #expect(!statistics.hasLosses)
    statistics.oddities[.droppedOperator] = 1
    #expect(!statistics.hasLosses)
    statistics.oddities[.repairedOperator] = 1
    #expect(statistics.hasLosses)
    #expect(
      statistics.oddities.occurred.map(\.oddity) == [.timeReversed, .repairedOperator, .droppedOperator])
  }
}
