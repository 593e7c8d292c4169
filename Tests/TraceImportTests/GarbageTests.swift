import CTraceRecords
import Testing

@testable import TraceImport

/// Records that no recorder wrote.
@Suite struct GarbageTests {
  /// Any records in any order: no trap, no hang, nothing negative.
  @Test(arguments: 0..<90) func garbage(seed: Int) throws {
    var random = Xorshift(state: UInt64(seed) &* 0x9e37_79b9_7f4a_7c15 | 1)
    let trace = seed % 3 == 0 ? TraceBuilder() : TraceBuilder.withCounters()
    trace.structure(1, number: 7, nodes: smallGraph, constants: smallConstants)
    for _ in 0..<600 {
      // One in three traces as the recorder of 1.0 could have written them.
      let choice = random.next()
      let kind = seed % 3 == 0 ? UInt8(choice % 18) : UInt8(choice % 10 == 0 ? 136 + choice % 4 : choice % 28)
      var size = [24, 24, 32, 40, 56, 72, 376][Int(random.next() % 7)]
      if kind == RecordType.nodeList { size = 544 }
      var record = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next() % 3 == 0 ? random.next() : 0)
      }
      let head = pi_record(
        time_ns: random.next() % 100_000_000, tid: UInt32(random.next() % 5), cpu: UInt16(random.next() % 3),
        type: kind, flags: UInt8(random.next() % 3),
        sequence: UInt32(truncatingIfNeeded: random.next() % 900),
        ref: [0, 7, 0x100, 0x12a, 0x13f, 0xffff_ffff][Int(random.next() % 6)])
      withUnsafeBytes(of: head) { for (i, byte) in $0.enumerated() { record[i] = byte } }
      trace.append(record)
      if random.next() % 100 == 0 { trace.seal() }
    }
    let run = try trace.run()
    #expect(run.spans.allSatisfy { $0.range.duration >= 0 && $0.barrier.duration >= 0 })
    #expect(run.steps.allSatisfy { $0.range.duration >= 0 && ($0.coverage ?? 0) <= 1 })
    #expect(run.graphs.allSatisfy { $0.range.duration >= 0 })
    #expect(run.gaps.allSatisfy { $0.range.duration > 0 })
    #expect(run.slices.allSatisfy { $0.range.duration >= 0 })
    #expect(run.enqueues.allSatisfy { $0.range.duration >= 0 })
    #expect(run.rounds.allSatisfy { $0.range.duration >= 0 && ($0.drafted ?? 0) >= 0 })
    #expect(run.probeGaps.allSatisfy { $0.range.duration >= 0 })
    #expect(Set(run.steps.map(\.index)).count == run.steps.count)
    // A step comes after its operators, and before anything of the next step on its thread.
    let byThread = Dictionary(grouping: run.steps, by: \.thread)
    for steps in byThread.values { #expect(steps.map(\.index) == steps.map(\.index).sorted()) }
  }
}

struct Xorshift {
  var state: UInt64
  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state >> 11
  }
}
