import ChromeTrace
import Testing
import TraceModel

/// What is not the engine's own: scheduler, devices, speculation, curves.
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
    let timeline = try Timeline { writer in
      writer.structure(smallStructure)
      // The slices cross the operator's begin and end.
      writer.operatorSpan(span(2, 1_000, 2_000))
      writer.threadSlice(slice(.running, 500, 1_500))
      writer.threadSlice(slice(.runnable, 1_500, 1_700, by: "a\"\u{1}b"))
      writer.threadSlice(slice(.running, 1_700, 2_500))
      writer.threadSlice(slice(.blocked, 2_500, 3_000))
      writer.threadNames = [ThreadID(100): "llama"]
      #expect(writer.overlappingCount == 0)
    }
    #expect(timeline.badlyNested.isEmpty)
    let states = timeline.slices.filter { $0.category == "scheduler" }
    #expect(states.map(\.name) == ["running", "runnable", "running", "blocked"])
    #expect(Set(states.map(\.track)).count == 1 && states[0].track != 100)
    #expect(timeline.trackNames[states[0].track] == "llama, scheduler")
    #expect(states[1].arguments["preempted by"] as? String == "a\"\u{1}b")
    #expect(states[1].facts["its thread"] == "7" && states[1].facts["its process"] == nil)
    #expect(states[1].facts["inside"] == "operator" && states[1].facts["CPU"] == "3")
  }

  @Test func enqueueingIsLabelledAsThat() throws {
    let timeline = try Timeline { writer in
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
    let timeline = try Timeline { writer in
      writer.speculativeRound(
        SpeculativeRound(
          index: 4, thread: ThreadID(100), range: range(100, 200), draftTime: 50, draftCalls: 1,
          draftSteps: 3,
          verifyStep: 9, drafted: 3, accepted: nil))
      writer.probeGap(ProbeGap(range: range(300, 400), droppedAt: 4.5, resumedAt: nil))
    }
    #expect(timeline.slices.map(\.name) == ["round 4", "no operator probes"])
    #expect(timeline.slices[0].facts == ["draft steps": "3", "drafted": "3"])
    #expect(timeline.slices[1].facts == ["dropped at tokens/s": "4.5"])
    #expect(Set(timeline.trackNames.values) == ["thread 100, speculation", "operator probes"])
  }

  private func counter(_ time: UInt64, _ value: UInt64, running: UInt64) -> Reading {
    Reading(
      time: TraceTime(nanoseconds: time),
      value: .counter(cpu: 2, column: 0, value: value, enabled: time, running: running))
  }

  @Test func curves() throws {
    let timeline = try Timeline(.init(showsSpeed: true)) { writer in
      writer.counterNames = [0: "cycles\""]
      writer.zoneNames = [1: "soc"]
      writer.reading(
        Reading(time: TraceTime(nanoseconds: 10), value: .frequency(cpu: 1, kilohertz: 1_800_000)))
      writer.reading(
        Reading(time: TraceTime(nanoseconds: 20), value: .temperature(zone: 1, millicelsius: -1_500)))
      writer.reading(counter(1_000, 500, running: 1_000))
      // 300 in 100 ns of its own time: three a nanosecond; then it did not run, then it went backwards.
      writer.reading(counter(2_000, 800, running: 1_100))
      writer.reading(counter(3_000, 900, running: 1_100))
      writer.reading(counter(4_000, 100, running: 1_200))
      writer.tokenStep(step(0, 5_000, 5_500))
      writer.tokenStep(step(1, 6_000, 6_500, phase: .prefill))
    }
    #expect(
      timeline.points == [
        .init(name: "frequency CPU 1", time: 10, unit: "MHz", value: 1800),
        .init(name: "temperature soc", time: 20, unit: "°C", value: -1.5),
        .init(name: "cycles\"/s CPU 2", time: 2_000, unit: "a second", value: 3e9),
        .init(name: "tokens/s", time: 5_000, unit: "tokens/s", value: 2e6),
      ])
  }

  @Test func windowsCutCurvesAndStates() throws {
    let timeline = try Timeline(.init(tokens: 1...1, showsSpeed: true)) { writer in
      for (index, time) in [UInt64(500), 1_500, 2_500].enumerated() {
        writer.reading(
          Reading(
            time: TraceTime(nanoseconds: time), value: .frequency(cpu: index, kilohertz: 1_000_000)))
        writer.threadSlice(slice(.running, time, time + 100, step: index))
        writer.tokenStep(step(index, time - 400, time + 400))
      }
    }
    #expect(timeline.points.map(\.name) == ["frequency CPU 1", "tokens/s"])
    #expect(timeline.slices.filter { $0.category == "scheduler" }.map(\.start) == [1_500])
  }

  @Test func withoutSpeedThereAreNoCurves() throws {
    #expect(try Timeline { $0.tokenStep(step(0, 5_000, 5_500)) }.points.isEmpty)
  }
}
