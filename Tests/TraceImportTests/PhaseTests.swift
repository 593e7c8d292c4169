import TraceModel
import Testing

@testable import TraceImport

@Suite struct PhaseTests {
  /// A step of `tokens` at `position` with a sampler behind it or not.
  private func step(
    _ trace: TraceBuilder, _ time: UInt64, tokens: UInt32, position: Int32, sampled: Bool = false
  ) {
    trace.decode(time, tokens: tokens)
    trace.ubatch(time + 1, tokens: tokens, position: position)
    trace.ubatchEnd(time + 8)
    trace.decodeEnd(time + 10)
    if sampled { trace.sample(time + 20, time + 30) }
  }

  @Test func announcedWarmup() throws {
    let trace = TraceBuilder()
    trace.bare(RecordType.warmup, 500, 1, ref: 1)
    step(trace, 1000, tokens: 2, position: 0)
    trace.bare(RecordType.warmup, 1500, 1, ref: 0)
    step(trace, 2000, tokens: 5, position: 0)
    #expect(try trace.run().steps.map(\.phase) == [.warmup, .prefill])
  }

  @Test func warmupByPosition() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 2, position: 0)
    step(trace, 2000, tokens: 5, position: 0, sampled: true)
    step(trace, 3000, tokens: 1, position: 5)
    #expect(try trace.run().steps.map(\.phase) == [.warmup, .prefill, .decode])
  }

  @Test func shortPromptIsNoWarmup() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 2, position: 0, sampled: true)
    step(trace, 2000, tokens: 1, position: 2, sampled: true)
    step(trace, 3000, tokens: 4, position: 0, sampled: true)
    #expect(try trace.run().steps.map(\.phase) == [.prefill, .decode, .prefill])
    let continued = TraceBuilder()
    step(continued, 1000, tokens: 2, position: 0)
    step(continued, 2000, tokens: 3, position: 2, sampled: true)
    #expect(try continued.run().steps.map(\.phase) == [.prefill, .prefill])
  }

  @Test func warmupWithoutPositions() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 2, position: -1)
    step(trace, 2000, tokens: 5, position: -1, sampled: true)
    step(trace, 3000, tokens: 1, position: -1, sampled: true)
    #expect(try trace.run().steps.map(\.phase) == [.warmup, .prefill, .decode])
    // Without samplers in the trace nothing tells a warm-up from a short prompt.
    let silent = TraceBuilder()
    step(silent, 1000, tokens: 2, position: -1)
    step(silent, 2000, tokens: 5, position: -1)
    #expect(try silent.run().steps.map(\.phase) == [.prefill, .prefill])
  }

  @Test func lastTokenOfAPromptIsPrefill() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 512, position: 0)
    step(trace, 2000, tokens: 1, position: 512, sampled: true)
    step(trace, 3000, tokens: 1, position: 513, sampled: true)
    #expect(try trace.run().steps.map(\.phase) == [.prefill, .prefill, .decode])
    // Samplers are not recorded: a single token is what it looks like.
    let silent = TraceBuilder()
    step(silent, 1000, tokens: 512, position: 0)
    step(silent, 2000, tokens: 1, position: 512)
    #expect(try silent.run().steps.map(\.phase) == [.prefill, .decode])
  }

  @Test func unknownTokensAndNone() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: UInt32.max, api: 2)
    trace.decodeEnd(1100, api: 2)
    trace.decode(1200, tokens: 0)
    trace.decodeEnd(1300)
    let run = try trace.run()
    #expect(run.steps.map(\.phase) == [.unknown, .unknown])
    #expect(run.steps.map(\.tokenCount) == [nil, 0])
    #expect(run.steps.map(\.coverage) == [nil, nil])
    // No graphs in the trace: what happens inside of a step is not known, so nothing is named.
    #expect(run.gapTexts == ["outside the engine 1100-1200"])
  }
}
