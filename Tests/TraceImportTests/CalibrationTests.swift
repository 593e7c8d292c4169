import CTraceRecords
import Foundation
import Testing
import TraceModel

@testable import TraceImport

private let measured = #"""
  {"calibration":{"recorder_version":"0.1.0","machine":{"architecture":"aarch64","cpu_model":"Orange Pi 5","cpus":8,
  "kernel":"5.10.160"},"measured_realtime_ns":1790000000000000000,"duration_ns":3000000000,
  "instructions":{"read":"NEON loads, 128 bits","f32":"NEON FMA, 128 bits"},
  "ceilings":[{"cpus":[4],"cache_bytes":3145728,"read":{"best":12000000000,"median":11900000000,
  "worst":11000000000,"windows":5,"undisturbed":5},"f32":{"best":37000000000}},
  {"cpus":[4,5],"read":{"best":19000000000}}],
  "probes":[{"cpu":4,"link":"perf_event","return_ns":900,"classes":[
  {"class":"singleStepped","hit_ns":3000,"before_ns":900,"after_ns":2000},
  {"class":"call","hit_ns":1500,"before_ns":700,"after_ns":750},
  {"class":"jump","hit_ns":1400}]}]}}
  """#

@Suite struct CalibrationTests {
  @Test func everyFactIsRead() throws {
    let calibration = try #require(Calibration(json: Array(measured.utf8)))
    #expect((calibration.architecture, calibration.cpuModel) == ("aarch64", "Orange Pi 5"))
    #expect(calibration.measuredAt == 1_790_000_000_000_000_000)
    #expect(calibration.instructions == [.read: "NEON loads, 128 bits", .f32: "NEON FMA, 128 bits"])
    #expect(calibration.ceilings.map(\.cpus) == [[4], [4, 5]])
    #expect(calibration.ceilings.map(\.cacheBytes) == [3_145_728, nil])
    #expect(
      calibration.ceilings[0].rates[.read]
        == Calibration.Rate(best: 12e9, median: 11.9e9, worst: 11e9, windows: 5, undisturbed: 5))
    // What was left out is the same as the best.
    #expect(calibration.ceilings[0].rates[.f32]?.worst == 37e9)
    #expect(calibration.ceilings[0].rates[.int8] == nil)
    #expect(calibration.probes.first?.functionReturn == 900)
    #expect(
      calibration.probes.first?.classes["call"] == Calibration.ProbePrice(hit: 1500, before: 700, after: 750))
    #expect(calibration.probes.first?.classes["jump"]?.before == nil)
  }

  @Test(arguments: [
    "", "{}", "[]", "{\"calibration\":3}", "{\"calibration\":{}}", "{\"calibration\":{\"ceilings\":[]}}",
    "{\"calibration\":{\"ceilings\":[3,{\"cpus\":[]},{\"cpus\":\"0\"},{\"cpus\":[-1,null,1e99]}]}}",
  ])
  func whatIsNoCalibration(json: String) {
    #expect(Calibration(json: Array(json.utf8)) == nil)
  }

  @Test func hostileNumbersAreLeftOut() throws {
    let json = """
      {"calibration":{"measured_realtime_ns":-5,"ceilings":[{"cpus":[0,-3],"cache_bytes":-1,"read":{"best":-1},
      "f32":{"best":1e300},"f16":{"best":0},"int8":{"best":"7"},"read_cache":7}],
      "probes":[{"classes":[{"class":"push","hit_ns":-1},{"class":"call","hit_ns":1e18},{"hit_ns":3},
      {"class":"jump","hit_ns":5,"before_ns":-1,"after_ns":1.5}]},3]}}
      """
    let calibration = try #require(Calibration(json: Array(json.utf8)))
    #expect(calibration.measuredAt == nil)
    #expect(calibration.ceilings == [Calibration.Ceiling(cpus: [0], cacheBytes: nil, rates: [:])])
    #expect(calibration.probes.first?.classes == ["jump": Calibration.ProbePrice(hit: 5)])
  }

  /// A trace of one operator, with its sites and how often they fired.
  private func info(
    classes: [String: String], hits: [String: UInt64], counters: Bool = false, calibrated: Bool = true
  ) throws -> TraceInfo {
    let trace = TraceBuilder()
    let roles = classes.keys.sorted()
    let sites = roles.enumerated().map { index, role in
      #"{"index":\#(index),"role":"\#(role)","class":"\#(classes[role]!)","expected_ns":1500,"#
        + #""expected_source":"measured"}"#
    }
    trace.add(metadata: #"{"target":{"cpus":[4,5]},"sites":[\#(sites.joined(separator: ","))]}"#)
    if counters { trace.add(metadata: #"{"counters":[{"name":"cycles","column":0,"state":"recorded"}]}"#) }
    if calibrated { trace.add(metadata: measured) }
    trace.decode(1000, tokens: 1)
    trace.decodeEnd(1100)
    for (index, role) in roles.enumerated() {
      trace.append(
        pi_site(
          head: trace.user(RecordType.site, 1200, ref: UInt32(index)), hits: hits[role] ?? 0))
    }
    trace.end(1300)
    return try trace.run().info
  }

  @Test func whatProbesAddToOperators() throws {
    let classes = ["op_begin": "singleStepped", "op_fused": "call", "barrier_loop": "call"]
    let two = try info(classes: classes, hits: ["op_begin": 100])
    let cost = try #require(two.probeCost(two.metadata.calibration).cost)
    #expect(
      cost
        == ProbeCost(
          begin: .init(before: 900, after: 2000), fused: .init(before: 700, after: 750),
          barrier: .init(before: 700, after: 750)))
    // The operator: behind the stamp at its begin, up to the stamp at the barrier. The wait: the other two parts.
    #expect(cost.insideOperator(isFused: false, hasBarrier: true) == 2000 + 700)
    #expect(cost.insideOperator(isFused: true, hasBarrier: true) == 750 + 700)
    #expect(cost.insideWait == 750 + 900)
    // Where barriers are not probed it ends where the next one begins.
    #expect(cost.insideOperator(isFused: false, hasBarrier: false) == 2000 + 900)
    let without = try info(classes: ["op_begin": "call"], hits: [:])
    #expect(without.probeCost(without.metadata.calibration).cost?.barrier == nil)
    #expect(two.metadata.sites.map(\.isPriceMeasured) == [true, true, true])
    #expect(two.metadata.targetCPUs == [4, 5])
  }

  @Test func whereItIsNotKnown() throws {
    let classes = ["op_begin": "call", "barrier_loop": "call"]
    let hits: [String: UInt64] = ["op_begin": 10, "barrier_loop": 10]
    func reason(_ info: TraceInfo) -> String {
      let known = info.probeCost(info.metadata.calibration)
      return known.cost == nil ? known.reason ?? "" : "known"
    }
    let uncalibrated = try info(classes: classes, hits: hits, calibrated: false)
    #expect(reason(uncalibrated).contains("not measured"))
    let counted = try info(classes: classes, hits: hits, counters: true)
    #expect(reason(counted).contains("counters"))
    // Its parts were not measured, or nothing of such an instruction.
    let partly = try info(classes: ["op_begin": "jump"], hits: hits)
    #expect(reason(partly).contains("operators begin with were not measured"))
    let unknown = try info(classes: ["op_begin": "call", "barrier_loop": "nop"], hits: hits)
    #expect(reason(unknown).contains("barriers are probed at were not measured"))
  }
}
