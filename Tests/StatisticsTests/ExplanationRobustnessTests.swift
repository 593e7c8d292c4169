import Testing
import TraceModel

@testable import Statistics

/// Explanations of runs that are odd, or that no import makes.
@Suite struct ExplanationRobustnessTests {
  @Test func twoModelsInOneProcess() throws {
    var run = TokenRun()
    for position in 10..<40 {
      run.add(.init(context: 0xa, position: position))
      run.add(.init(context: 0xb, position: position, product: 9_000, threads: 2))
    }
    run.add(.init(context: 0xa, position: 40, product: 9_000))
    #expect(try explain(run, 60).mainCauses.first?.cause == .operators)
    #expect(try explain(run, 59).mainCauses.isEmpty)
    #expect(run.explainer().drifts.isEmpty)
    #expect(run.explainer().slowest(9).map(\.step.index) == [60])
  }

  @Test func stepsWithoutRoomAreCounted() throws {
    var run = StepAccounts(limit: 20 * TimeUse.allCases.count)
    for index in 0..<30 {
      let start = UInt64(index) * 1_000
      run.tokenStep(step(index, .decode, start, start + 500, graphs: 0, operators: 0))
    }
    #expect(run.steps.count == 20 && run.omittedSteps == 10)
    #expect(Explainer(run, facts: RecordingFacts()).explanation(ofStep: 25) == nil)
    #expect(Explainer(run, facts: RecordingFacts()).all().count == 20)
  }

  @Test func aClockJumpIsTimeOutsideOrInWhatWasOpen() throws {
    var run = TokenRun()
    run.steps(10..<30)
    run.add(.init(position: 30, outside: 1 << 55))
    run.add(.init(position: 31, product: 1 << 55))
    run.steps(32..<40)
    #expect(try explain(run, 20).mainCauses.first?.cause == .outside)
    #expect(try explain(run, 21).mainCauses.first?.cause == .operators)
    #expect(try explain(run, 25).excess == 0)
    let findings = run.summary().findings
    #expect(findings.map { $0.effect?.share ?? 0 }.allSatisfy { (0...1).contains($0) })
  }

  /// Events in any order with any values, as no import makes them: nothing traps, and every explanation adds
  /// up.
  @Test func whateverComesAddsUp() {
    var random = SplitMix(state: 7)
    for _ in 0..<60 {
      var run = RunStatistics(counters: TokenRun.counters)
      run.structure(structure1)
      for _ in 0..<600 { add(&run, &random) }
      let summary = Summary(run, facts: RecordingFacts())
      #expect(summary.findings.allSatisfy { (0...1).contains($0.effect?.share ?? 0) })
      for explanation in Explainer(run.accounts, facts: RecordingFacts()).all() { expectExact(explanation) }
    }
  }

  private struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var mixed = (state ^ state >> 30) &* 0xbf58_476d_1ce4_e5b9
      mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
      return mixed ^ mixed >> 31
    }
  }

  private func add(_ run: inout RunStatistics, _ random: inout SplitMix) {
    func any(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }
    // Mostly near each other, sometimes anywhere.
    func moment() -> UInt64 {
      any(40) == 0 ? UInt64.random(in: 0...(1 << 60), using: &random) : UInt64(any(20_000))
    }
    let (a, b, c) = (moment(), moment(), moment())
    let step = any(12) - 1
    let thread = UInt32(100 + any(3))
    switch any(8) {
    case 0...2:
      var span = span(
        Int32(any(6) - 1), a, b, step: Int32(step), structure: UInt32(any(3)), thread: thread,
        main: any(2) == 0)
      span.barrier = range(b, c)
      span.graph = Int32(any(4) - 1)
      run.operatorSpan(span)
      if any(3) == 0 {
        run.operatorCounters(TokenRun.delta(UInt64(any(3)), a), barrier: CounterDelta(), of: span)
      }
    case 3:
      run.threadSlice(
        ThreadSlice(
          thread: ThreadID(thread), range: range(a, b), activity: ThreadActivity.allCases[any(3)],
          cpu: any(3) == 0 ? nil : any(3) - 1,
          preemptor: any(2) == 0 ? nil : Preemptor(thread: ThreadID(7), process: nil, name: "migration/1"),
          successor: any(2) == 0 ? nil : Preemptor(thread: ThreadID(8), process: 8, name: "x"),
          nextCPU: any(3), step: step < 0 ? nil : step, inside: any(2) == 0 ? .operator : .barrier))
    case 4:
      run.gap(gap(GapKind.allCases[any(GapKind.allCases.count)], step: step < 0 ? nil : step, a, b))
    case 5:
      var graph = graph(any(4), step: step < 0 ? nil : step, a, b, structure: UInt32(any(3)), threads: any(3))
      graph.isCPUGraph = any(3) > 0
      run.graphRun(graph)
    case 6:
      run.reading(
        Reading(time: time(a), value: .frequency(cpu: any(3) - 1, kilohertz: UInt32(any(3) * 1_000_000))))
    default:
      guard step >= 0 else { return }
      run.tokenStep(
        TokenStep(
          index: step, thread: ThreadID(thread), range: range(a, b), phase: any(4) == 0 ? .verify : .decode,
          tokenCount: 1, position: any(9) == 0 ? nil : any(400), context: UInt64(any(2)), graphCount: 1,
          operatorCount: 4, coverage: nil, isComplete: any(9) > 0))
    }
  }

  @Test func hostileTimesDoNotTrap() {
    var run = StepAccounts()
    run.structure(structure1)
    let end = UInt64(1) << 60
    for index in 0..<8 {
      run.threadSlice(
        ThreadSlice(
          thread: ThreadID(100), range: range(5, end), activity: .runnable, cpu: .max, isMigration: true,
          nextCPU: .min, step: index, inside: .barrier))
      run.threadSlice(
        ThreadSlice(thread: ThreadID(100), range: range(end, 5), activity: .running, cpu: -7))
      run.operatorSpan(span(1, end, 5, barrier: end, step: Int32(index)))
      run.operatorSpan(span(3, 5, end, step: Int32(index), thread: 101, main: false))
      run.operatorSpan(span(0, 5, end, step: .max))
      run.gap(gap(.outsideEngine, step: index, end, 5))
      run.graphRun(graph(0, step: index, 7, end))
      run.experts(
        ExpertActivation(step: index, token: 0, layer: .max, experts: [.min, .max], isComplete: true))
      run.tokenStep(step(index, .decode, 0, end))
    }
    for explanation in Explainer(run, facts: RecordingFacts()).all() { expectExact(explanation) }
  }
}
