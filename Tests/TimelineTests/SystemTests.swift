import Statistics
import Testing
import Timeline
import TraceModel

/// What is not the engine's own: scheduler, devices, speculation, experts, curves.
@Suite struct SystemTests {
  private func slice(
    _ activity: ThreadActivity, _ start: UInt64, _ end: UInt64, step: Int? = 0, by name: String? = nil
  ) -> ThreadSlice {
    ThreadSlice(
      thread: ThreadID(100), range: range(start, end), activity: activity, cpu: 3, isMigration: false,
      preemptor: name.map { Preemptor(thread: ThreadID(7), process: nil, name: $0) }, step: step,
      inside: .operator)
  }

  @Test func threadStatesHaveATrackOfTheirOwn() throws {
    func run(_ writer: inout TimelineWriter) {
      writer.structure(smallStructure)
      // The slices cross the operator's begin and end.
      writer.operatorSpan(span(2, 1_000, 2_000))
      writer.threadSlice(slice(.running, 500, 1_500))
      writer.threadSlice(slice(.runnable, 1_500, 1_700, by: "a\"\u{1}b"))
      writer.threadSlice(slice(.running, 1_700, 2_500))
      writer.threadSlice(slice(.blocked, 2_500, 3_000))
      #expect(writer.overlappingCount == 0)
    }
    let options = TimelineOptions.with { $0.threadNames = [ThreadID(100): "llama"] }
    let timeline = try ChromeTimeline(options, run)
    #expect(timeline.badlyNested.isEmpty)
    let states = timeline.slices.filter { $0.category == "scheduler" }
    #expect(states.map(\.name) == ["running", "runnable", "running", "blocked"])
    #expect(Set(states.map(\.track)).count == 1 && states[0].track != 100)
    #expect(timeline.trackNames[states[0].track] == "llama, scheduler")
    #expect(states[1].arguments["preempted by"] as? String == "a\"\u{1}b")
    #expect(states[1].facts["its thread"] == "7" && states[1].facts["its process"] == nil)
    #expect(states[1].facts["inside"] == "operator" && states[1].facts["CPU"] == "3")

    let perfetto = try PerfettoTimeline(options, run)
    #expect(Set(perfetto.slices.map { perfetto.path($0) }) == ["llama", "llama > scheduler"])
    #expect(perfetto["runnable"].first?.facts["preempted by"] == "a\"\u{1}b")
  }

  @Test func enqueueingIsLabelledAsThat() throws {
    let timeline = try ChromeTimeline { writer in
      writer.structure(smallStructure)
      for node: Int32 in [2, 99, -1] {
        writer.enqueueSpan(
          EnqueueSpan(
            device: "OpenCL", step: 0, structure: 1, node: node, thread: ThreadID(100),
            range: range(UInt64(node + 10) * 100, UInt64(node + 10) * 100 + 50)))
      }
    }
    #expect(timeline.slices.map(\.name) == ["enqueue Qcur-0 MUL_MAT", "enqueue", "enqueue"])
    #expect(timeline.slices.allSatisfy { $0.category == "enqueue" && $0.facts["device"] == "OpenCL" })
  }

  @Test func roundsAndProbes() throws {
    let timeline = try ChromeTimeline { writer in
      writer.speculativeRound(
        SpeculativeRound(
          index: 4, thread: ThreadID(100), range: range(100, 200), draftTime: 50, draftCalls: 1,
          draftSteps: 3, verifyStep: 9, drafted: 3, accepted: nil))
      writer.speculativeRound(
        SpeculativeRound(
          index: 5, thread: ThreadID(100), range: range(200, 300), draftTime: 50, draftCalls: 2,
          draftSteps: 3,
          verifyStep: 10, drafted: 6, accepted: 3, sequences: 2))
      writer.probeGap(ProbeGap(range: range(300, 400), droppedAt: 4.5, resumedAt: nil))
    }
    #expect(timeline.slices.map(\.name) == ["round 4", "round 5", "no operator probes"])
    #expect(
      timeline.slices[0].facts == ["draft steps": "3", "draft ns": "50", "verify step": "9", "drafted": "3"])
    // Three accepted, and one of the target model for each of two sequences. Whether something was decoded without
    // probes is not known: the curve does not fall.
    #expect(timeline.points.map(\.value) == [5e7] && timeline.points.map(\.time) == [200])
    #expect(timeline.slices[2].facts == ["dropped at tokens/s": "4.5"])
    #expect(Set(timeline.trackNames.values) == ["thread 100, speculation", "operator probes"])
  }

  @Test func arrowsGoFromTheStepToItsGraphs() throws {
    let timeline = try ChromeTimeline { writer in
      writer.graphRun(graph(0, 10, index: 7))
      writer.graphRun(graph(10, 20, thread: 200, index: 8))
      writer.tokenStep(step(0, 0, 30))
      writer.graphRun(graph(40, 50, step: nil, index: 9))
      writer.tokenStep(step(1, 60, 70))
    }
    #expect(timeline["graph CPU"].map(\.flowIn) == ["0x0", "0x0", nil])
    // No arrow where there is no graph to go to.
    #expect(timeline.slices.filter { $0.category == "token step" }.map(\.flowOut) == ["0x0", nil])
  }

  // MARK: - Experts

  private func activation(_ token: Int, _ experts: [Int32], layer: Int? = 0, step: Int = 0)
    -> ExpertActivation
  {
    ExpertActivation(step: step, token: token, layer: layer, experts: experts, isComplete: true)
  }

  @Test func expertsOfRoutedProducts() throws {
    var structure = smallStructure
    structure.nodes[2].op = "MUL_MAT_ID"
    var other = structure.nodes[2]
    other.layer = 1
    other.name = "Qcur-1"
    structure.nodes.append(other)
    let timeline = try ChromeTimeline { writer in
      writer.structure(structure)
      writer.experts(activation(0, [3, 7]))
      writer.experts(activation(0, [1, 2], layer: 1))
      writer.operatorSpan(span(2, 10, 20))
      writer.operatorSpan(span(2, 11, 21, thread: 101))
      writer.operatorSpan(span(3, 20, 30))
      // The next micro-batch of the same step.
      for token in 1...12 { writer.experts(activation(token, [Int32(token), 0])) }
      writer.operatorSpan(span(2, 40, 50))
      writer.tokenStep(step(0, 0, 60))
      // Of the next step nothing was recorded.
      writer.operatorSpan(span(2, 70, 80, step: 1))
    }
    let many = "1, 0; 2, 0; 3, 0; 4, 0; 5, 0; 6, 0; 7, 0; 8, 0; … 12 tokens, 13 experts"
    let operators = timeline.slices.filter { $0.category == "operator" }
    #expect(operators.map { $0.facts["experts"] } == ["3, 7", "3, 7", "1, 2", many, nil])
    #expect(operators.allSatisfy { $0.facts["op"] == "MUL_MAT_ID" })
  }

  // MARK: - Counters

  private let columns = [CounterColumn(index: 0, name: "cycles\""), CounterColumn(index: 3, name: "faults")]

  private func counted(_ cycles: UInt64, _ faults: UInt64?) -> CounterDelta {
    CounterDelta(
      values: SIMD8(cycles, 0, 0, faults ?? 9, 0, 0, 0, 0), known: faults == nil ? 1 : 9,
      mayIncludeOtherTasks: false)
  }

  @Test func countersOfOperatorsBarriersGraphsAndSteps() throws {
    func run(_ writer: inout TimelineWriter) {
      writer.structure(smallStructure)
      let first = span(2, 10, 20, barrier: 25)
      writer.operatorSpan(first)
      writer.operatorCounters(counted(.max, nil), barrier: counted(5, 0), of: first)
      let second = span(7, 30, 40, barrier: 41, structure: 9, isRepaired: true)
      writer.operatorSpan(second)
      writer.operatorCounters(CounterDelta(), barrier: CounterDelta(), of: second)
      // Without the counters that should follow: still drawn.
      writer.operatorSpan(span(2, 50, 60))
      var run = graph(5, 100)
      run.counters = counted(70, 1)
      writer.graphRun(run)
      var step = step(0, 0, 1_000)
      step.counters = counted(80, nil)
      writer.tokenStep(step)
    }
    let options = TimelineOptions.with { $0.counters = columns }
    let chrome = try ChromeTimeline(options, run)
    let perfetto = try PerfettoTimeline(options, run)
    for all in [
      chrome.slices.map { ($0.start, $0.name, $0.facts) },
      perfetto.slices.map { (Int($0.start), $0.name, $0.facts) },
    ] {
      let found = all.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map {
        "\($0.1): \($0.2["cycles\""] ?? "-") \($0.2["faults"] ?? "-")"
      }
      #expect(
        found == [
          "decode 0: 80 -", "graph CPU: 70 1", "Qcur-0 MUL_MAT: 18446744073709551615 -", "barrier wait: 5 0",
          "operator: - -", "barrier wait: - -", "Qcur-0 MUL_MAT: - -",
        ])
    }
    #expect(chrome["operator"].first?.facts["end"] == "repaired")
    #expect(perfetto["operator"].first?.facts["end"] == "repaired")
    #expect(
      chrome.points.map { "\($0.name) \($0.unit) \($0.time) \($0.value)" } == [
        "decode speed tokens/s 0 1000000.0", "cycles\" in token steps a second 0 80000000.0",
        "decode speed tokens/s 1000 0.0",
      ])
  }

  private func counter(_ time: UInt64, _ value: UInt64, running: UInt64) -> Reading {
    Reading(
      time: TraceTime(nanoseconds: time),
      value: .counter(cpu: 2, column: 0, value: value, enabled: time - 500, running: running))
  }

  @Test func curves() throws {
    let options = TimelineOptions.with {
      $0.counters = columns
      $0.zoneNames = [1: "soc"]
    }
    let timeline = try ChromeTimeline(options) { writer in
      writer.reading(
        Reading(time: TraceTime(nanoseconds: 10), value: .frequency(cpu: 1, kilohertz: 1_800_000)))
      writer.reading(
        Reading(time: TraceTime(nanoseconds: 20), value: .temperature(zone: 1, millicelsius: -1_500)))
      // Since it was opened, at 500.
      writer.reading(counter(1_000, 500, running: 1_000))
      // 300 in 100 ns of its own time: three a nanosecond; then it did not run, then it went backwards.
      writer.reading(counter(2_000, 800, running: 1_100))
      writer.reading(counter(3_000, 900, running: 1_100))
      writer.reading(counter(4_000, 100, running: 1_200))
      writer.tokenStep(step(0, 5_000, 5_500))
      writer.tokenStep(step(1, 6_000, 6_500, phase: .prefill))
      // A pause longer than the step before it: the curve falls.
      writer.tokenStep(step(2, 7_000, 7_250))
      writer.tokenStep(step(3, 7_300, 7_550))
    }
    #expect(
      timeline.points == [
        .init(name: "frequency CPU 1", time: 10, unit: "MHz", value: 1800),
        .init(name: "temperature soc", time: 20, unit: "°C", value: -1.5),
        .init(name: "cycles\" CPU 2", time: 500, unit: "a second", value: 5e8),
        .init(name: "cycles\" CPU 2", time: 1_000, unit: "a second", value: 3e9),
        .init(name: "decode speed", time: 5_000, unit: "tokens/s", value: 2e6),
        .init(name: "decode speed", time: 5_500, unit: "tokens/s", value: 0),
        .init(name: "decode speed", time: 7_000, unit: "tokens/s", value: 4e6),
        .init(name: "decode speed", time: 7_300, unit: "tokens/s", value: 4e6),
        .init(name: "decode speed", time: 7_550, unit: "tokens/s", value: 0),
      ])
  }

  /// Bytes over the time from an operator's start to the end of the wait behind it, of those whose bytes are known.
  @Test func bandwidth() throws {
    let options = TimelineOptions.with {
      $0.workModel = { structure in
        structure.nodes.map { node in
          OperatorWork(bytes: node.op == "MUL_MAT" ? 3_000 : node.op == "MUL" ? nil : 500, flops: 7)
        }
      }
    }
    let timeline = try ChromeTimeline(options) { writer in
      writer.structure(smallStructure)
      writer.operatorSpan(span(0, 0, 300, barrier: 400))
      writer.operatorSpan(span(2, 400, 900, barrier: 1_000))
      // Another thread's share of the same operator, and one whose bytes nobody knows.
      writer.operatorSpan(span(2, 400, 1_000, thread: 101, isMain: false))
      writer.operatorSpan(span(1, 1_000, 9_000))
      writer.graphRun(graph(0, 10_000))
      // Nothing known: no point.
      writer.graphRun(graph(10_000, 10_100, index: 1))
    }
    // Nor a 0 behind the first: a graph ran there.
    #expect(timeline.points == [.init(name: "modelled bandwidth", time: 0, unit: "GB/s", value: 3.5)])
    #expect(timeline["graph CPU"].map { $0.facts["modelled bytes"] } == ["3500", nil])
    #expect(timeline["Qcur-0 MUL_MAT"].first?.facts["bytes"] == "3000")
    #expect(timeline["attn_norm-0 MUL"].first?.facts["bytes"] == nil)
  }

  /// A 0 is a claim: that nothing ran. Losses are told after what comes behind them.
  @Test func curvesDoNotFallWhereRecordsAreLost() throws {
    let timeline = try ChromeTimeline { writer in
      writer.tokenStep(step(0, 0, 100))
      writer.tokenStep(step(1, 1_000, 1_100))
      writer.tokenStep(step(2, 2_000, 2_100))
      writer.lossGap(LossGap(cpu: 0, range: range(150, 900), lostRecords: 7))
      writer.probeGap(ProbeGap(range: range(2_500, 2_600), droppedAt: 1, resumedAt: 2))
      writer.tokenStep(step(3, 3_000, 3_100))
      var torn = step(4, 4_000, 4_100)
      torn.isComplete = false
      writer.tokenStep(torn)
      writer.tokenStep(step(5, 5_000, 5_100))
    }
    let zeros = timeline.points.filter { $0.value == 0 }.map(\.time)
    #expect(zeros == [1_100, 5_100])
    #expect(timeline.points.count == 5 + zeros.count)
  }

  /// Each of a hundred thousand steps has a pause behind it.
  @Test func fallsAreBounded() throws {
    let timeline = try ChromeTimeline { writer in
      for index in 0..<100_000 {
        writer.tokenStep(step(index, UInt64(index) * 1_000, UInt64(index) * 1_000 + 100))
      }
    }
    #expect(timeline.points.filter { $0.value == 0 }.map(\.time) == (0..<100_000).map { $0 * 1_000 + 100 })
  }

  // MARK: - Windows

  @Test func windowsCutCurvesAndStates() throws {
    let timeline = try ChromeTimeline(.with { $0.tokens = 1...2 }) { writer in
      writer.threadSlice(slice(.blocked, 0, 1_300, step: nil))
      for index in 0..<4 {
        let time = UInt64(index * 1_000 + 500)
        writer.reading(
          Reading(time: TraceTime(nanoseconds: time), value: .frequency(cpu: index, kilohertz: 1_000_000)))
        writer.threadSlice(slice(.running, time + 800, time + 900, step: index))
        writer.lossGap(LossGap(cpu: index, range: range(time, time + 1), lostRecords: 1))
        writer.tokenStep(step(index, time - 400, time + 400))
      }
      writer.threadSlice(slice(.runnable, 2_800, 9_000, step: 2))
      writer.threadSlice(slice(.runnable, 2_950, 9_000, step: 2))
      #expect(writer.droppedCount == 0)
    }
    // The window is 1100 to 2900.
    #expect(
      timeline.points.map { "\($0.name) \($0.time)" } == [
        "decode speed 1100", "frequency CPU 1 1500", "decode speed 2100", "frequency CPU 2 2500",
        "decode speed 2900",
      ])
    let states = timeline.slices.filter { $0.category == "scheduler" }
    #expect(
      states.map { "\($0.name) \($0.start)+\($0.duration) \($0.facts["goes on outside"] ?? "-")" } == [
        "blocked 1100+200 1", "running 1300+100 -", "running 2300+100 -", "runnable 2800+100 1",
      ])
    #expect(timeline.slices.filter { $0.category == "loss" }.map(\.start) == [1_500, 2_500])
    #expect(timeline.badlyNested.isEmpty)
  }

  /// A window far into a run with millions of readings before it.
  @Test func whatWaitsForAWindowIsBounded() throws {
    let timeline = try ChromeTimeline(.with { $0.tokens = 500...500 }) { writer in
      for index in 0..<501 {
        let base = UInt64(index) * 1_000_000
        for tick in 0..<500 as Range<UInt64> {
          writer.threadSlice(slice(.running, base + tick, base + tick + 1, step: nil))
        }
        writer.tokenStep(step(index, base, base + 400))
      }
      #expect(writer.droppedCount == 0)
    }
    #expect(timeline.slices.count == 402)
  }
}
