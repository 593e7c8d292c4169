import TraceModel
import Testing

@testable import TraceImport

@Suite struct SpeculationTests {
  private func step(_ trace: TraceBuilder, _ time: UInt64, tokens: UInt32, context: UInt64 = 0xc000) {
    trace.decode(time, tokens: tokens, context: context)
    trace.decodeEnd(time + 10)
  }

  private func draft(_ trace: TraceBuilder, _ time: UInt64, steps: UInt64) {
    trace.bare(RecordType.draftBegin, time, 1)
    for i in 0..<steps { step(trace, time + 10 + i * 20, tokens: 1, context: 0xd000) }
    trace.bare(RecordType.draftEnd, time + 10 + steps * 20, 1)
  }

  @Test func draftAndVerifyPhases() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 9)
    draft(trace, 2000, steps: 3)
    step(trace, 2200, tokens: 4)
    trace.bare(RecordType.accept, 2220, 1, ref: 2)
    // Nothing drafted: the step verifies nothing but its own token.
    draft(trace, 3000, steps: 0)
    step(trace, 3100, tokens: 1)
    trace.bare(RecordType.accept, 3120, 1, ref: 0)
    // Without a draft it is decoding as ever.
    step(trace, 4000, tokens: 1)
    let run = try trace.run()
    #expect(
      run.steps.map(\.phase) == [.prefill, .draft, .draft, .draft, .verify, .verify, .decode])
    #expect(run.rounds.map(\.drafted) == [3, 0])
    #expect(run.rounds.map(\.accepted) == [2, 0])
    #expect(run.rounds.map(\.draftSteps) == [3, 0])
    #expect(run.rounds.map(\.verifyStep) == [4, 5])
    #expect(run.rounds.map(\.draftTime) == [70, 10])
    #expect(run.rounds.map(\.range.start.nanoseconds) == [2000, 3000])
    #expect(run.rounds.map(\.range.end.nanoseconds) == [2220, 3120])
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  /// The draft model gets the prompt, and what was verified, outside of drafting.
  @Test func theDraftModelIsFedToo() throws {
    let trace = TraceBuilder()
    step(trace, 1000, tokens: 9)
    step(trace, 1100, tokens: 9, context: 0xd000)
    trace.seal()
    draft(trace, 2000, steps: 1)
    step(trace, 2200, tokens: 2)
    step(trace, 2250, tokens: 2, context: 0xd000)
    // Accepted in part, the target model computes it again.
    step(trace, 2300, tokens: 2)
    trace.bare(RecordType.accept, 2320, 1, ref: 1)
    step(trace, 3000, tokens: 1)
    let run = try trace.run()
    #expect(run.steps.map(\.phase) == [.prefill, .draft, .draft, .verify, .draft, .verify, .decode])
    #expect(run.rounds.map(\.drafted) == [1] && run.rounds.map(\.accepted) == [1])
    #expect(run.rounds.map(\.draftSteps) == [1] && run.rounds.map(\.verifyStep) == [3])
  }

  /// Without ACCEPT in the trace only the step behind the draft is known to verify.
  @Test func withoutAcceptance() throws {
    let trace = TraceBuilder()
    draft(trace, 2000, steps: 1)
    step(trace, 2200, tokens: 2)
    step(trace, 2300, tokens: 1)
    let run = try trace.run()
    #expect(run.steps.map(\.phase) == [.draft, .verify, .decode])
    #expect(run.rounds.map(\.accepted) == [nil])
  }

  /// A server drafts for two sequences before one step verifies both.
  @Test func twoSequencesAreOneRound() throws {
    let trace = TraceBuilder()
    draft(trace, 2000, steps: 2)
    draft(trace, 2100, steps: 3)
    step(trace, 2200, tokens: 7)
    trace.bare(RecordType.accept, 2220, 1, ref: 1)
    trace.bare(RecordType.accept, 2221, 1, ref: 3)
    let run = try trace.run()
    #expect(run.rounds.map(\.draftCalls) == [2])
    #expect(run.rounds.map(\.drafted) == [5])
    #expect(run.rounds.map(\.accepted) == [4])
  }

  /// One call drafts for all sequences: each of them is accepted by itself.
  @Test func oneCallForTwoSequences() throws {
    let trace = TraceBuilder()
    draft(trace, 2100, steps: 3)
    step(trace, 2200, tokens: 7)
    trace.bare(RecordType.accept, 2220, 1, ref: 1)
    trace.bare(RecordType.accept, 2221, 1, ref: 3)
    #expect(try trace.run().rounds.map(\.drafted) == [5])
  }

  @Test func roundsThatMakeNoSense() throws {
    let trace = TraceBuilder()
    trace.bare(RecordType.accept, 900, 1, ref: 1)
    trace.bare(RecordType.draftEnd, 950, 1)
    draft(trace, 1000, steps: 1)
    trace.bare(RecordType.accept, 1100, 1, ref: 1)
    step(trace, 1200, tokens: 2)
    // More accepted than drafted.
    trace.bare(RecordType.accept, 1300, 1, ref: 0xffff_ffff)
    draft(trace, 2000, steps: 1)
    let run = try trace.run()
    #expect(run.statistics[.unmatchedAccept] == 2)
    #expect(run.statistics[.unmatchedDraftEnd] == 1)
    #expect(run.rounds.map(\.drafted) == [nil, nil])
    #expect(run.rounds.map(\.accepted) == [0xffff_ffff, nil])
    #expect(run.rounds[1].verifyStep == nil)
  }
}
