import CTraceRecords
import TraceModel
import Testing

@testable import TraceImport

/// Backends, devices, what the recorder reads, and intervals without operator probes.
@Suite struct DeviceTests {
  static let vulkan: [UInt8] = [
    0xb8, 0xf7, 0x4f, 0x86, 0x40, 0x3c, 0xe1, 0x02, 0x91, 0xc8, 0xdd, 0xe9, 0x02, 0x3f, 0xc0, 0x2b,
  ]

  @Test func graphsHaveTheirBackendsKind() throws {
    let trace = TraceBuilder()
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    trace.decode(1000, tokens: 1)
    trace.backend(1005, address: 0xbac0, guid: Self.vulkan)
    trace.graph(1010, structure: 7, nodes: 4, kind: 2)
    trace.enqueue(1020, 1030, 1, 0x1000)
    trace.enqueue(1031, 1035, 1, 0x7777_0000)
    trace.graphEnd(1040, kind: 2)
    trace.decodeEnd(1100)
    trace.bare(RecordType.enqueueEnd, 1110, 1, flags: 3)
    trace.bare(RecordType.enqueueBegin, 1120, 1, flags: 9)
    let run = try trace.run()
    #expect(run.backends.map(\.kind) == ["Vulkan"])
    #expect(run.info.backends.map(\.kind) == ["Vulkan"])
    #expect(run.graphs.map(\.backend) == ["Vulkan"])
    #expect(run.graphs.map(\.structure) == [7])
    #expect(run.enqueues.map(\.device) == ["Vulkan", "Vulkan"])
    #expect(run.enqueues.map(\.node) == [0, -1])
    #expect(run.enqueues.map(\.range.duration) == [10, 4])
    #expect(run.enqueues.map(\.step) == [0, 0])
    // Enqueueing is no operator.
    #expect(run.spans.isEmpty && run.steps[0].operatorCount == 0)
    #expect(run.statistics[.unmatchedEnqueueEnd] == 1 && run.statistics[.unendedEnqueue] == 1)
  }

  @Test func unknownBackendsKeepTheirAddress() throws {
    let trace = TraceBuilder()
    trace.backend(1005, address: 0xbac0, guid: [])
    trace.graph(1010, structure: 0, kind: 2)
    trace.graphEnd(1040, kind: 2)
    #expect(try trace.run().graphs.map(\.backend) == ["backend 0xbac0"])
  }

  private func step(_ trace: TraceBuilder, _ time: UInt64, operators: Bool = true) {
    trace.decode(time, tokens: 1)
    trace.graph(time + 10, structure: 7, nodes: 4)
    if operators {
      trace.op(time + 20, 1, 0x1000)
      trace.op(time + 30, 1, 0x12a0)
      trace.op(time + 40, 1, 0x13f0)
    }
    trace.graphEnd(time + 50)
    trace.decodeEnd(time + 60)
  }

  @Test func stepsWithoutProbesHaveNoCoverageAndNoLoss() throws {
    let trace = TraceBuilder()
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    step(trace, 1000)
    // Dropped in the middle of a graph.
    trace.decode(2000, tokens: 1)
    trace.graph(2010, structure: 7, nodes: 4)
    trace.op(2020, 1, 0x1000)
    trace.op(2030, 1, 0x12a0)
    trace.probes(2035, dropped: true, speed: 4_500)
    trace.graphEnd(2050)
    trace.decodeEnd(2060)
    step(trace, 3000, operators: false)
    trace.probes(3500, dropped: false, speed: 6_000)
    step(trace, 4000)
    trace.end(5000)
    let run = try trace.run()
    #expect(run.steps.map(\.coverage) == [1, nil, nil, 1])
    #expect(run.steps.map(\.hasOperatorProbes) == [true, false, false, true])
    #expect(
      run.probeGaps == [
        ProbeGap(
          range: TimeRange(start: .init(nanoseconds: 2035), end: .init(nanoseconds: 3500)), droppedAt: 4.5,
          resumedAt: 6)
      ])
    #expect(run.info.probeGaps == run.probeGaps)
    #expect(!run.statistics.hasLosses && run.statistics.oddities.occurred.isEmpty)
    // The operator that was open has no known end; its time has a name all the same.
    #expect(run.spans(of: 1).contains("0 2020-2030 2030"))
    #expect(!run.spans.contains { $0.range.start.nanoseconds == 2030 })
    #expect(run.gapTexts.contains("operators not probed 2030-2050"))
    #expect(run.gapTexts.contains("operators not probed 3010-3050"))
    for step in run.steps { #expect(run.accounted(step) == step.range.duration) }
  }

  @Test func readingsComeInOrder() throws {
    let trace = TraceBuilder(metadata: #"{"counters":[{"name":"cycles","column":0}]}"#)
    trace.decode(1000, tokens: 1)
    trace.append(trace.user(RecordType.frequency, 1050, ref: 1_800_000, cpu: 3))
    trace.append(
      pi_temperature(head: trace.user(RecordType.temperature, 1040, ref: 1), millicelsius: -500, reserved: 0))
    trace.append(
      pi_counter(
        head: trace.user(RecordType.counter, 1060, ref: 0, cpu: 2), value: 7, enabled_ns: 10, running_ns: 5))
    trace.append(
      pi_counter(head: trace.user(RecordType.counter, 1070, ref: 8), value: 7, enabled_ns: 10, running_ns: 5))
    trace.append(trace.user(RecordType.temperature, 1080))
    trace.append(trace.user(RecordType.probes, 1090, flags: 7))
    trace.decodeEnd(1100)
    let run = try trace.run()
    #expect(
      run.readings.map(\.value) == [
        .temperature(zone: 1, millicelsius: -500), .frequency(cpu: 3, kilohertz: 1_800_000),
        .counter(cpu: 2, column: 0, value: 7, enabled: 10, running: 5),
      ])
    #expect(run.statistics[.shortRecord] == 1)
    #expect(run.info.counterReadings.map(\.share) == [0.5])
    #expect(run.statistics.lostRecords == 0)
  }

  @Test func sitesTellWhetherTheyAreSilentOrShared() throws {
    let trace = TraceBuilder(
      metadata: """
        {"sites":[{"index":0,"role":"a"},{"index":1,"role":"b"}],"thermal_zones":[{"index":2,"type":"soc"}],
         "recorder":{"options":{"sched":true,"qos_min_mtps": 2500}}}
        """)
    trace.decode(1000, tokens: 1)
    trace.append(pi_site(head: trace.user(RecordType.site, 1001, flags: 1, ref: 0), hits: 0))
    trace.append(pi_site(head: trace.user(RecordType.site, 1001, flags: 3, ref: 1), hits: 4))
    // It fires later.
    trace.append(pi_site(head: trace.user(RecordType.site, 1002, flags: 0, ref: 0), hits: 1))
    let info = try trace.run().info
    #expect(info.silentSites == [1] && info.sharedSites == [1])
    #expect(info.metadata.thermalZones == [2: "soc"])
    #expect(info.metadata.recordsScheduler == true && info.metadata.leastTokensPerSecond == 2.5)
  }
}
