import Testing
import TraceModel

@testable import Statistics

/// Each finding on a run that shows the matter and on one that does not.
@Suite struct FindingTests {
  private func find(_ name: String, _ run: TokenRun, _ facts: RecordingFacts = RecordingFacts()) -> Finding? {
    run.summary(facts).findings.first { $0.name == name }
  }

  private func facts(cpus: Int = 8) -> RecordingFacts {
    var facts = RecordingFacts()
    facts.cpuCount = cpus
    return facts
  }

  private func run(_ change: (inout TokenRun.Step) -> Void = { _ in }) -> TokenRun {
    var run = TokenRun()
    run.steps(10..<60, change)
    return run
  }

  @Test func aPlainRunHasNone() {
    // The head is a third of these steps.
    #expect(run { $0.head = 500 }.summary(facts()).findings.isEmpty)
    #expect(
      run {
        $0.head = 500; $0.threads = 2
      }.summary(facts()).findings.isEmpty)
    #expect(TokenRun().summary(facts()).findings.isEmpty)
  }

  @Test func tooManyThreads() throws {
    let crowded = run { step in
      step.threads = 4
      step.taken = [.init(time: 3_000, by: "llama", op: 2, thread: 102)]
    }
    var two = facts(cpus: 2)
    two.processes = [9]
    let finding = try #require(find("more-threads-than-cpus", crowded, two))
    // One of five barriers of each step.
    #expect(finding.evidence.contains("4 threads on 2 CPUs") && finding.evidence.contains("20.0 %"))
    // 3,000 of 8,200 ns a step, and less of the last.
    #expect(finding.effect?.time == 3_000)
    #expect(find("more-threads-than-cpus", crowded, facts(cpus: 4)) == nil)
    let free = try #require(find("oversubscribed-barriers", crowded, facts(cpus: 4)))
    #expect(free.effect?.time == 3_000)
    #expect(find("oversubscribed-barriers", run { $0.threads = 4 }, facts(cpus: 4)) == nil)
    #expect(find("oversubscribed-barriers", crowded, two) == nil)
  }

  @Test func preemption() throws {
    let disturbed = run { $0.taken = [.init(time: 2_000, by: "stress", op: 4)] }
    let finding = try #require(find("preempted", disturbed, facts()))
    #expect(finding.evidence.contains("stress") && finding.evidence.contains("50 tokens later"))
    #expect(finding.effect?.time == 2_000)
    // 5,200 ns each, without the outside behind the last.
    #expect(((finding.effect?.share ?? 0) - 2_000.0 / 7_200).magnitude < 0.001)
    #expect(((finding.effect?.speedUp ?? 0) - 7_200.0 / 5_200).magnitude < 0.002)
    #expect(find("preempted", run { $0.taken = [.init(time: 20, by: "stress", op: 4)] }, facts()) == nil)
  }

  @Test func theRecorderItself() throws {
    let disturbed = run { $0.taken = [.init(time: 300, by: "pi-record", op: 4)] }
    let finding = try #require(find("recorder-cost", disturbed, facts()))
    #expect(finding.evidence.contains("50 tokens later") && finding.effect?.time == 300)
    #expect(find("recorder-cost", run { $0.taken = [.init(time: 300, by: "stress", op: 4)] }, facts()) == nil)
    var long = facts()
    long.duration = 20_000_000_000
    long.recorderTime = 2_000_000_000
    let used = try #require(find("recorder-cost", run(), long))
    #expect(used.evidence.contains("10.0 % of one CPU") && used.effect == nil)
  }

  @Test func idleThreads() throws {
    func idle(_ work: UInt64) -> TokenRun {
      var run = TokenRun()
      run.visit { statistics in
        statistics.structure(structure1)
        for index in 0..<100 {
          let start = UInt64(index) * 1_000
          statistics.spans(
            span(0, start, start + work, barrier: 800 - work, step: 0, thread: 101, main: false),
            span(0, start, start + 800, step: 0))
        }
        statistics.graphRun(graph(0, step: 0, 0, 100_000))
        statistics.tokenStep(step(0, .decode, 0, 100_000))
      }
      return run
    }
    let finding = try #require(find("idle-threads", idle(20), facts()))
    #expect(finding.evidence.contains("1 of 2 threads") && finding.evidence.contains("thread 101"))
    #expect(finding.advice.contains("-t 1") && finding.effect == nil)
    #expect(find("idle-threads", idle(500), facts()) == nil)
  }

  @Test func cpuFallback() throws {
    func offloaded(_ backends: [String]) -> TokenRun {
      var run = TokenRun()
      run.visit { statistics in
        statistics.structure(structure1)
        for index in 0..<6 {
          let start = UInt64(index) * 1_000
          for (place, backend) in backends.enumerated() {
            let from = start + UInt64(place) * 100
            statistics.graphRun(
              GraphRun(
                index: index * 10 + place, step: index, thread: ThreadID(100), range: range(from, from + 100),
                structure: 1, backend: backend, nodeCount: 4, threadCount: 1, isComplete: true,
                isCPUGraph: backend == "CPU"))
          }
          statistics.tokenStep(step(index, .decode, start, start + 900, operators: 0))
        }
      }
      return run
    }
    let finding = try #require(
      find("cpu-fallback", offloaded(["CPU", "Vulkan", "CPU", "Vulkan", "CPU"]), facts()))
    #expect(
      finding.evidence.hasPrefix("1.0 times a token step, the graph goes from Vulkan to the CPU and back"))
    #expect(finding.evidence.contains("SOFT_MAX"))
    // Of 900 ns.
    #expect(finding.effect?.time == 100)
    // Embedding before and head behind the device's graph are no way back.
    #expect(find("cpu-fallback", offloaded(["CPU", "Vulkan", "CPU"]), facts()) == nil)
  }

  @Test func expertsOnADisk() throws {
    func mixture(major: UInt64, op: String = "MUL_MAT_ID") -> Summary {
      var statistics = RunStatistics(counters: TokenRun.counters)
      statistics.structure(
        GraphStructure(
          number: 1, nodes: [node(1, op, "ffn_moe_up-0", layer: 0)], constants: [], isComplete: true))
      for index in 0..<40 {
        let start = UInt64(index) * 10_000
        let isSlow = index % 4 == 0
        let span = span(0, start, start + (isSlow ? 5_000 : 1_000), step: Int32(index))
        statistics.operatorSpan(span)
        statistics.operatorCounters(
          TokenRun.delta(isSlow ? 9 : 0, isSlow ? major : 0), barrier: TokenRun.delta(0, 0), of: span)
        statistics.experts(
          ExpertActivation(step: index, token: 0, layer: 0, experts: [Int32(index % 8)], isComplete: true))
        statistics.graphRun(graph(index, step: index, start, start + 5_000))
        var step = step(index, .decode, start, start + (isSlow ? 5_000 : 1_000))
        step.counters = TokenRun.delta(isSlow ? 9 : 0, isSlow ? major : 0)
        statistics.tokenStep(step)
      }
      return Summary(statistics, facts: facts())
    }
    let finding = try #require(mixture(major: 2).findings.first { $0.name == "disk-bound-experts" })
    #expect(
      finding.evidence.contains("20 of 90 faults read a disk") && finding.evidence.contains("8 routings"))
    #expect(finding.effect?.time == 1_000)
    #expect(!mixture(major: 0).findings.contains { $0.name == "disk-bound-experts" })
    let dense = mixture(major: 2, op: "MUL_MAT").findings
    #expect(dense.map(\.name).contains("page-faults") && !dense.map(\.name).contains("disk-bound-experts"))
    let slow = try #require(mixture(major: 2).slowest.first)
    #expect(slow.mainCauses.map(\.cause) == [.expertMisses])
  }

  @Test func growingContext() throws {
    func context(_ slope: UInt64) -> TokenRun {
      var run = TokenRun()
      run.steps(0..<400) { $0.attention = 500 + slope * UInt64($0.position ?? 0) }
      return run
    }
    let finding = try #require(find("context-growth", context(10), facts()))
    #expect(finding.evidence.contains("FLASH_ATTN_EXT carries 100.0 %"))
    // On average half of 2 × 10 × 399 ns.
    #expect(((finding.effect?.time ?? 0) - 3_990).magnitude < 20)
    #expect(find("context-growth", context(1), facts()) == nil)
  }

  @Test func headAndSampling() throws {
    // 8.5 bits a weight, of which 4.5 are left.
    let head = try #require(find("head", run { $0.head = 6_000 }, facts()))
    #expect(head.evidence.contains("q8_0") && head.evidence.contains("4000"))
    #expect(((head.effect?.share ?? 0) - 6_000.0 / 9_150 * (1 - 4.5 / 8.5)).magnitude < 0.01)
    #expect(find("head", run { $0.head = 300 }, facts()) == nil)
    let sampling = try #require(find("sampling", run { $0.sampling = 2_000 }, facts()))
    #expect(sampling.effect?.time == 2_000)
    #expect(find("sampling", run(), facts()) == nil)
    let outside = try #require(find("outside-engine", run { $0.outside = 5_000 }, facts()))
    #expect(outside.effect?.time == 4_900)
    #expect(find("outside-engine", run(), facts()) == nil)
  }

  @Test func waitingBetweenRequestsIsNoCost() {
    var run = TokenRun()
    for request in 0..<20 {
      run.add(.init(phase: .prefill, position: 0, tokens: 9, head: 300))
      run.add(.init(position: 9, head: 300, outside: 1_000_000))
      _ = request
    }
    #expect(find("outside-engine", run, facts()) == nil)
  }

  @Test func probeCostAndClock() throws {
    var costly = facts()
    costly.probeTime = 50 * 1_000
    let finding = try #require(find("probe-cost", run(), costly))
    #expect(((finding.effect?.share ?? 0) - 1_000.0 / 5_150).magnitude < 0.001)
    costly.probeTime = 50 * 100
    #expect(find("probe-cost", run(), costly) == nil)
    var hot = run()
    let end = hot.clock
    hot.visit {
      $0.reading(Reading(time: time(1_000_000), value: .frequency(cpu: 0, kilohertz: 2_000_000)))
      $0.reading(Reading(time: time(end - 100), value: .frequency(cpu: 0, kilohertz: 1_500_000)))
    }
    #expect(((find("frequency-fell", hot, facts())?.effect?.share ?? 0) - 0.25).magnitude < 0.001)
    #expect(find("frequency-fell", run(), facts()) == nil)
  }

  @Test func largestEffectFirst() {
    var lossy = facts()
    lossy.lostRecords = 3
    let findings = run { step in
      step.sampling = 2_000
      step.taken = [.init(time: 9_000, by: "stress", op: 4)]
    }.summary(lossy).findings
    #expect(
      findings.map(\.name) == ["preempted", "sampling", "losses"] || findings.first?.name == "preempted")
    let shares = findings.map { $0.effect?.share ?? -1 }
    #expect(shares == shares.sorted(by: >) && findings.last?.name == "losses")
  }
}
