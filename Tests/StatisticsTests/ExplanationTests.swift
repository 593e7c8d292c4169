import Testing
import TraceModel

@testable import Statistics

@Suite struct ExplanationTests {
  @Test func whatTookLongerIsNamed() throws {
    var run = TokenRun()
    run.steps(10..<30)
    run.add(.init(position: 30, product: 1_400, setup: 300, sampling: 80))
    run.steps(31..<40)
    let slow = try explain(run, 20)
    #expect(slow.duration == 6_150)
    // Steps take 5,150 ns, and 50 ns behind them; nothing was taken from any.
    #expect(slow.explained == 6_250 && slow.expected == 5_200 && slow.typical == 5_200)
    #expect(causes(slow) == [.operators: 800, .setup: 200, .sampling: 50])
    #expect(slow.parts.first { $0.cause == .operators }?.details.map(\.name) == ["MUL_MAT up"])
    #expect(slow.mainCauses.map(\.cause) == [.operators])
    #expect(slow.peers == 30)
    #expect(run.explainer().slowest(5).map(\.step.index) == [20])
    // Not recorded is nil, and said how to record.
    #expect(slow.time(.preemption) == nil && slow.time(.pageFaults) == nil && slow.time(.frequency) == nil)
    #expect(
      slow.missing.contains { $0.contains("--sched") } && slow.missing.contains { $0.contains("--pmc") })
    #expect(try explain(run, 19).excess == 0)
  }

  @Test func whoTookTheCPUIsNamedAndNotCountedTwice() throws {
    var run = TokenRun()
    run.steps(10..<30)
    run.add(
      .init(
        position: 30,
        taken: [
          .init(time: 7_000, by: "stress", op: 0), .init(time: 400, by: "cc1", op: 1),
          .init(time: 90, by: nil, op: 4),
        ]))
    run.steps(31..<40) { $0.taken = [.init(time: 1, by: "stress")] }
    let slow = try explain(run, 20)
    #expect(causes(slow) == [.preemption: 7_490])
    let takers = slow.parts.first { $0.cause == .preemption }?.details ?? []
    #expect(takers.map(\.name) == ["stress", "cc1", "woken, and no CPU was free"])
    #expect(takers.map(\.time) == [7_000, 400, 90] && takers.map(\.count) == [1, 1, 1])
    #expect(slow.time(.migration) == 0)
  }

  @Test func mostStepsDisturbedExpectWhatNoneWould() throws {
    var run = TokenRun()
    run.steps(10..<40) { $0.taken = [.init(time: 20_000, by: "stress", op: 2)] }
    let slow = try explain(run, 5)
    #expect(slow.expected == 5_200)
    #expect(causes(slow) == [.preemption: 20_000])
  }

  @Test func theTargetsOwnThreadsAreOne() throws {
    var facts = RecordingFacts()
    facts.processes = [9]
    var run = TokenRun()
    run.steps(10..<30) { $0.taken = [.init(time: 10, by: "python"), .init(time: 5, by: "llama", op: 1)] }
    let slow = try explain(run, 5, facts: facts)
    #expect(slow.parts.first { $0.cause == .preemption }?.details.map(\.name) == ["the target's own threads"])
  }

  @Test func aWaitForAThreadWithoutACPUIsItsPreemption() throws {
    var run = TokenRun()
    run.steps(10..<30) { $0.threads = 2 }
    // The other thread comes 9,000 ns later: the main one waits for it.
    run.add(.init(position: 30, threads: 2, taken: [.init(time: 9_000, by: "stress", op: 2, thread: 101)]))
    // Both are late: the main thread's own is what counts.
    run.add(
      .init(
        position: 31, threads: 2,
        taken: [
          .init(time: 9_000, by: "stress", op: 2, thread: 101), .init(time: 6_000, by: "cc1", op: 2),
        ]))
    // Off its CPU while it waits: no harm, up to the release.
    run.add(
      .init(
        position: 32, threads: 2,
        taken: [
          .init(time: 4_000, by: "stress", op: 2, thread: 101),
          .init(time: 3_000, by: "cc1", op: 2, isAtBarrier: true),
        ]))
    run.add(
      .init(
        position: 33, threads: 2,
        taken: [
          .init(time: 4_000, by: "stress", op: 2, thread: 101),
          .init(time: 4_500, by: "cc1", op: 2, isAtBarrier: true),
        ]))
    run.steps(34..<50) { $0.threads = 2 }
    func takers(_ explanation: Explanation) -> [String: Int64] {
      let details = explanation.parts.first { $0.cause == .preemption }?.details ?? []
      return Dictionary(uniqueKeysWithValues: details.map { ($0.name, $0.time ?? -1) })
    }
    #expect(causes(try explain(run, 20)) == [.preemption: 9_000])
    #expect(takers(try explain(run, 21)) == ["stress": 3_000, "cc1": 6_000])
    #expect(causes(try explain(run, 21)) == [.preemption: 9_000])
    #expect(takers(try explain(run, 22)) == ["stress": 4_000])
    #expect(takers(try explain(run, 23)) == ["stress": 4_000, "cc1": 500])
    let lateness = run.accounts.threads.lateness
    #expect(lateness[ThreadID(101)]?.heldUp == Int64(9_000 + 3_000 + 4_000 + 4_000))
    #expect(run.accounts.threads.oversubscribed == 4)
    let costs = try #require(run.explainer().interference)
    #expect(costs.preempted == 26_500 && costs.forOthers == 20_000)
    #expect(costs.takers.map(\.name) == ["stress", "cc1"] && costs.takers.map(\.steps) == [4, 2])
  }

  @Test func aThreadThatGoesOnLateAfterTheBarrierIsLate() throws {
    var run = TokenRun()
    run.steps(10..<30) { $0.threads = 2 }
    // It arrives in time at the barrier of operator 1, has no CPU at the release, and begins operator 2 late:
    // that is a stretch at the barrier that goes on into the time of the next operator.
    run.add(
      .init(
        position: 30, threads: 2,
        taken: [
          .init(time: 800, by: "stress", op: 2, thread: 101),
          .init(time: 300, by: "cc1", op: 1, thread: 101, isAtBarrier: true),
        ]))
    run.steps(31..<40) { $0.threads = 2 }
    // 300 ns before the release cost nothing: only the 800 ns count.
    #expect(causes(try explain(run, 20)) == [.preemption: 800 + 300 - 300])
  }

  @Test func workDoneForAThreadWithoutACPUIsItsPreemptionToo() throws {
    var run = TokenRun()
    run.steps(10..<30) { $0.threads = 2 }
    // The main thread takes over what the other one does not do: the product takes 700 ns longer, and the
    // other one has no CPU for 1,500 ns of it.
    run.add(
      .init(
        position: 30, product: 1_700, threads: 2,
        taken: [.init(time: 600, by: "stress", op: 0, thread: 101)]))
    run.steps(31..<40) { $0.threads = 2 }
    let slow = try explain(run, 20)
    // 600 ns at the barrier; of the 1,400 ns that two products took longer, 600 ns are those without a CPU.
    #expect(causes(slow) == [.preemption: 1_200, .operators: 800])
  }

  @Test func sleepInAnOperatorIsNoWork() throws {
    var run = TokenRun(hasCounters: true)
    run.steps(10..<30) { $0.counters = TokenRun.delta(0, 0) }
    run.add(.init(position: 30, taken: [.init(time: 5_000, by: nil, op: 1, isAsleep: true)]))
    run.add(
      .init(
        position: 31, taken: [.init(time: 5_000, by: nil, op: 1, isAsleep: true)],
        faults: [.init(op: 1, count: 3, major: 2)], counters: TokenRun.delta(3, 2)))
    run.steps(32..<40)
    #expect(causes(try explain(run, 20)) == [.blocked: 5_000])
    let faulted = try explain(run, 21)
    #expect(causes(faulted) == [.pageFaults: 5_000])
    #expect(faulted.parts.first { $0.cause == .pageFaults }?.details.map(\.count) == [3, 2])
  }

  @Test func faultsClaimWhatTheirOperatorsTookLonger() throws {
    var run = TokenRun(hasCounters: true)
    run.steps(10..<30) { $0.counters = TokenRun.delta(0, 0) }
    // Both products are slow, one of them had faults.
    run.add(
      .init(position: 30, product: 3_000, faults: [.init(op: 2, count: 7)], counters: TokenRun.delta(7, 0)))
    // Faults without harm claim nothing.
    run.add(.init(position: 31, faults: [.init(op: 2, count: 7)], counters: TokenRun.delta(7, 0)))
    run.steps(32..<40) { $0.counters = TokenRun.delta(0, 0) }
    #expect(causes(try explain(run, 20)) == [.pageFaults: 2_000, .operators: 2_000])
    #expect(causes(try explain(run, 21)) == [:])
    #expect(try explain(run, 21).time(.expertMisses) == nil)
    let costs = try #require(run.explainer().faultCosts)
    #expect(costs.operators == 2_000 && costs.faults == 14 && costs.majorFaults == 0 && costs.experts == 0)
  }

  @Test func aPeersFaultsHoldTheMainThreadUp() throws {
    var run = TokenRun(hasCounters: true)
    run.steps(10..<30) { $0.threads = 2 }
    run.add(
      .init(
        position: 30, threads: 2, taken: [.init(time: 4_000, by: nil, op: 0, thread: 101, isAsleep: true)],
        faults: [.init(op: 0, count: 2, thread: 101)]))
    run.steps(31..<40) { $0.threads = 2 }
    #expect(causes(try explain(run, 20)) == [.pageFaults: 4_000])
    // Without faults it may have slept for the main thread: then it is a wait at the barrier.
    run.add(
      .init(
        position: 40, threads: 2, taken: [.init(time: 4_000, by: nil, op: 0, thread: 101, isAsleep: true)]))
    #expect(causes(try explain(run, 30)) == [.barrier: 4_000])
  }

  @Test func aSlowClockClaimsAtMostItsShare() throws {
    var run = TokenRun()
    func read(_ kilohertz: UInt32) {
      let time = run.clock
      run.visit {
        $0.reading(
          Reading(time: TraceTime(nanoseconds: time), value: .frequency(cpu: 0, kilohertz: kilohertz)))
      }
    }
    read(2_000_000)
    run.steps(10..<30)
    read(1_000_000)
    // At half the clock all operators take twice as long, and the head three times.
    run.add(.init(position: 30, product: 2_000, attention: 1_000, head: 6_000))
    read(2_000_000)
    run.steps(31..<40)
    let slow = try explain(run, 20)
    #expect(causes(slow) == [.frequency: 5_000, .operators: 2_000])
    #expect(
      slow.parts.first { $0.cause == .frequency }?.details.first?.name == "at 1.00 GHz instead of 2.00 GHz")
    #expect(try explain(run, 19).time(.frequency) == 0)
  }

  @Test func aSlowerKindOfCPUClaimsAtMostItsShare() throws {
    var facts = RecordingFacts()
    facts.capacities = [0: 1024, 4: 512]
    facts.clusters = [0: "big", 4: "little"]
    var run = TokenRun()
    func onCPU(_ cpu: Int, _ start: UInt64, _ end: UInt64, moved: Bool) {
      run.visit {
        $0.threadSlice(
          ThreadSlice(
            thread: ThreadID(100), range: range(start, end), activity: .running, cpu: cpu, isMigration: moved)
        )
      }
    }
    let begin = run.clock
    run.steps(10..<30)
    onCPU(0, begin, run.clock, moved: false)
    let moved = run.clock
    run.add(.init(position: 30, product: 2_000, attention: 1_000, head: 4_000))
    onCPU(4, moved, run.clock, moved: true)
    let back = run.clock
    run.steps(31..<40)
    onCPU(0, back, run.clock, moved: true)
    let slow = try explain(run, 20, facts: facts)
    #expect(causes(slow) == [.migration: 5_000])
    let threads = ThreadTable(
      run.run.operators, phases: [.decode], names: [:], scheduler: run.run.scheduler, clusters: facts.clusters
    )
    #expect(threads.rows[0].clusterMigrations == 2 && threads.rows[0].scheduled?.migrations == 2)
    // Of one kind all CPUs are alike.
    #expect(
      ThreadTable(run.run.operators, phases: [.decode], names: [:], scheduler: run.run.scheduler).rows[0]
        .clusterMigrations == nil)
  }

  @Test func theKernelsMigrationsAreNoPreemption() throws {
    var run = TokenRun()
    run.steps(10..<30)
    run.add(.init(position: 30, taken: [.init(time: 250, by: "migration/3", op: 1)]))
    run.steps(31..<40)
    let slow = try explain(run, 20)
    #expect(causes(slow) == [.migration: 250])
    #expect(run.explainer().interference?.preempted == 0 && run.explainer().interference?.migrating == 250)
  }

  @Test func theContextIsWhatItsPositionCosts() throws {
    var run = TokenRun()
    run.steps(0..<600) { step in
      let position = step.position ?? 0
      step.cells = position / 256 * 256 + 256
      step.attention = UInt64(500 + position + 2 * step.cells)
    }
    run.add(.init(position: 600, cells: 768, head: 9_000))
    let first = try explain(run, 0)
    let last = try explain(run, 599)
    // Two layers; from 0 to 599 positions and from 256 to 768 cells.
    let rise = Int64(2 * (599 + 2 * 512))
    #expect(((last.time(.contextGrowth) ?? 0) - (first.time(.contextGrowth) ?? 0) - rise).magnitude < 40)
    #expect((last.surprise ?? .max).magnitude < 40)
    #expect((last.excess ?? 0) > 1_000)
    #expect(last.mainCauses.map(\.cause) == [.contextGrowth])
    #expect(try explain(run, 600).mainCauses.first?.cause == .operators)
    #expect(run.explainer().slowest(1).map(\.step.index) == [600])
  }

  @Test func nothingToCompareWith() throws {
    var run = TokenRun()
    run.add(.init(phase: .prefill, position: 0, tokens: 40))
    run.steps(40..<44)
    run.add(.init(position: 44, isComplete: false))
    for step in 0..<6 {
      let explanation = try explain(run, step)
      #expect(explanation.excess == nil && explanation.parts.isEmpty && !explanation.notes.isEmpty)
    }
    #expect(run.explainer().explanation(ofStep: 6) == nil)
    #expect(run.explainer().slowest(3).isEmpty)
    #expect(TokenRun().explainer().all().isEmpty)
  }

  @Test func contextsPhasesAndTokensAreKeptApart() throws {
    var run = TokenRun()
    for position in 10..<30 {
      run.add(.init(phase: .draft, context: 0xd, position: position, product: 100, head: 100))
      run.add(.init(phase: .verify, context: 0xc, position: position, tokens: 4, product: 4_000))
    }
    #expect(try explain(run, 8).expected == 1_500)
    #expect(try explain(run, 9).expected == 11_200)
    #expect(try explain(run, 9).peers == 20)
  }

  @Test func withoutStructureOrOperatorsTheRestIsExplained() throws {
    var plain = TokenRun()
    plain.steps(10..<30) { $0.hasStructure = false }
    plain.add(.init(position: 30, product: 3_000, hasStructure: false))
    let slow = try explain(plain, 20)
    #expect(causes(slow) == [.operators: 4_000])
    #expect(slow.missing.contains { $0.contains("--no-structure") })

    var run = StepAccounts()
    for index in 0..<20 {
      let start = UInt64(index) * 1_000
      run.tokenStep(step(index, .decode, start, start + (index == 9 ? 900 : 500), graphs: 0, operators: 0))
    }
    let bare = try #require(Explainer(run, facts: RecordingFacts()).explanation(ofStep: 9))
    #expect(bare.time(.unexplained) == 400 && bare.excess == 400)
    #expect(bare.missing.contains { $0.contains("--level op") })
  }

  @Test func graphsAreOneBlockWhereOperatorsWereNotRecorded() throws {
    var run = StepAccounts()
    for index in 0..<20 {
      let start = UInt64(index) * 2_000
      let longer: UInt64 = index == 9 ? 300 : 0
      run.gap(gap(.setup, step: index, start, start + 100))
      if index == 9 {
        run.threadSlice(
          ThreadSlice(
            thread: ThreadID(100), range: range(start + 200, start + 320), activity: .runnable, cpu: 0,
            preemptor: Preemptor(thread: ThreadID(7), process: 7, name: "cc1"), step: 9))
      }
      run.graphRun(graph(index, step: index, start + 100, start + 900 + longer))
      run.tokenStep(step(index, .decode, start, start + 900 + longer, operators: 0))
    }
    let slow = try #require(Explainer(run, facts: RecordingFacts()).explanation(ofStep: 9))
    #expect(causes(slow) == [.graphs: 180, .preemption: 120])
    expectExact(slow)
  }

  @Test func lossesAndMissingProbesAreSaid() throws {
    var run = TokenRun()
    run.steps(10..<30)
    let clock = run.clock
    run.visit { $0.lossGap(LossGap(cpu: 0, range: range(clock - 100, clock + 50), lostRecords: 12)) }
    run.add(.init(position: 30))
    #expect(try explain(run, 20).notes.contains { $0.contains("12 records lost") })
    #expect(try explain(run, 10).notes.isEmpty)
  }
}
