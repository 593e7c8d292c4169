import Foundation
import TraceModel
import Testing

@testable import TraceImport

/// A run is the same, event by event, whether chunks are prepared ahead on another thread or not.
@Suite struct ThreadTests {
  /// Many chunks: two threads that compute, counters of the recorder, losses, structure.
  private static let trace: [UInt8] = {
    let trace = TraceBuilder()
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    for step in 0..<400 {
      let start = UInt64(1000 + step * 1_000_000)
      trace.decode(start, tokens: 1)
      trace.graph(start + 10, structure: 7, nodes: 4, threads: 2)
      for (offset, address) in [(UInt64(20), UInt64(0x1000)), (40, 0x12a0), (60, 0x13f0)] {
        for thread: UInt32 in [1, 2] {
          trace.op(start + offset + UInt64(thread), thread, address)
          trace.barrier(start + offset + 10, thread)
        }
      }
      trace.graphEnd(start + 90)
      trace.decodeEnd(start + 95)
      if step % 50 == 7 { trace.lose(5, tid: 2) }
      if step % 9 == 0 { trace.seal() }
    }
    trace.end(500_000_000)
    return trace.bytes
  }()

  private func log(_ bytes: [UInt8], threads: Int) throws -> [String] {
    let path = NSTemporaryDirectory() + "/threads-\(UUID().uuidString).pitrace"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let trace = try TraceFile(path: path)
    var log = EventLog()
    let statistics = try importRun(trace, threads: threads, into: &log)
    return log.events + ["\(statistics)"]
  }

  @Test func wholeTrace() throws {
    let one = try log(Self.trace, threads: 1)
    #expect(one.count > 3000)
    #expect(try log(Self.trace, threads: 2) == one)
  }

  @Test(arguments: 0..<24)
  func damagedTrace(seed: Int) throws {
    var bytes = Self.trace
    var state = UInt64(seed + 1) &* 0x9e37_79b9_7f4a_7c15
    func random(_ bound: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    switch seed % 3 {
    case 0: bytes.removeLast(random(bytes.count - 64))
    case 1: for _ in 0..<5 { bytes[64 + random(bytes.count - 64)] ^= UInt8(1 << random(8)) }
    default:
      let first = 64 + random(bytes.count / 2)
      bytes.removeSubrange(first..<first + random(bytes.count / 4))
    }
    #expect(try log(bytes, threads: 2) == log(bytes, threads: 1))
  }

  /// Nothing of a source that is no longer needed may be left behind, and nothing may trap.
  @Test func manySources() throws {
    for _ in 0..<20 { _ = try log(Self.trace, threads: 2) }
  }
}

/// Every event as text, in order.
private struct EventLog: RunVisitor {
  private(set) var events: [String] = []

  private mutating func add(_ event: some Any) { events.append("\(event)") }

  mutating func structure(_ structure: GraphStructure) { add(structure) }
  mutating func operatorSpan(_ span: OperatorSpan) { add(span) }
  mutating func graphRun(_ run: GraphRun) { add(run) }
  mutating func gap(_ gap: GapSpan) { add(gap) }
  mutating func experts(_ activation: ExpertActivation) { add(activation) }
  mutating func lossGap(_ gap: LossGap) { add(gap) }
  mutating func tokenStep(_ step: TokenStep) { add(step) }
  mutating func operatorCounters(_ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan) {
    add((counters, barrier, span))
  }
  mutating func threadSlice(_ slice: ThreadSlice) { add(slice) }
  mutating func backend(_ backend: Backend) { add(backend) }
  mutating func enqueueSpan(_ span: EnqueueSpan) { add(span) }
  mutating func speculativeRound(_ round: SpeculativeRound) { add(round) }
  mutating func reading(_ reading: Reading) { add(reading) }
  mutating func probeGap(_ gap: ProbeGap) { add(gap) }
}
