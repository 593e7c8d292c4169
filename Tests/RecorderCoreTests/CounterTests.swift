import Testing

@testable import RecorderCore

/// Names of `--pmc` on made-up machines.
@Suite struct CounterTests {
  private let big = PMU(
    name: "armv8_cortex_a76", type: 9, cpus: [4, 5, 6, 7],
    events: [
      ("cpu_cycles", 0x11), ("inst_retired", 0x08), ("l3d_cache_refill", 0x2a), ("stall_backend", 0x24),
    ], listsOnlyWhatExists: true)
  private let little = PMU(
    name: "armv8_cortex_a55", type: 8, cpus: [0, 1, 2, 3],
    events: [("cpu_cycles", 0x11), ("inst_retired", 0x08)], listsOnlyWhatExists: true)
  private let desktop = PMU(
    name: "cpu", type: 4, cpus: [0, 1], events: [("cpu-cycles", 0x3c)], listsOnlyWhatExists: false)

  private func events(_ name: String, _ units: [PMU]) -> [ResolvedEvent]? {
    guard case .events(let events, _) = EventName.resolve(name, units: units) else { return nil }
    return events
  }

  private func reason(_ name: String, _ units: [PMU]) -> String? {
    guard case .unsupported(let reason) = EventName.resolve(name, units: units) else { return nil }
    return reason
  }

  @Test func eachClusterHasItsOwnUnit() throws {
    let found = try #require(events("cycles", [little, big]))
    #expect(found.map(\.type) == [8, 9])
    #expect(found.map(\.config) == [0x11, 0x11])
    #expect(found.map(\.cpus) == [[0, 1, 2, 3], [4, 5, 6, 7]])
    #expect(found.map(\.userOnly) == [true, true])
  }

  /// The small cores lack the event: it is recorded on the big ones, and the reason says where it is not.
  @Test func aClusterMayLackAnEvent() throws {
    for name in ["l3d_cache_refill", "raw:0x2a", "raw:42"] {
      guard case .events(let found, let note) = EventName.resolve(name, units: [little, big]) else {
        Issue.record("\(name) was not found")
        continue
      }
      #expect(found.map(\.unit) == ["armv8_cortex_a76"])
      #expect(found.map(\.config) == [0x2a])
      #expect(note?.contains("armv8_cortex_a55") == true)
    }
  }

  /// The kernel would take the code, and it would count nothing.
  @Test func architecturalEventsThatNoCoreHasAreUnsupported() {
    #expect(reason("raw:0x37", [little, big])?.contains("does not implement event 0x37") == true)
    #expect(reason("ref-cycles", [little, big]) != nil)
    #expect(reason("no-such-event", [little, big])?.contains("no-such-event") == true)
    #expect(reason("raw:zz", [desktop]) != nil)
  }

  /// Of a core's own events nobody tells; they are recorded, with a warning.
  @Test func implementationDefinedCodesAreTakenOnTrust() throws {
    guard case .events(let found, let note) = EventName.resolve("raw:0xc4", units: [big]) else {
      Issue.record("not found")
      return
    }
    #expect(found.map(\.config) == [0xc4])
    #expect(note != nil)
  }

  @Test func genericNamesWhereTheUnitListsOthers() throws {
    let found = try #require(events("instructions", [desktop]))
    #expect(found.map(\.type) == [0])
    #expect(found.map(\.config) == [1])
  }

  @Test func softwareEventsAndModifiers() throws {
    let faults = try #require(events("page-faults", []))
    #expect(faults.map(\.type) == [1])
    #expect(faults.map(\.config) == [2])
    #expect(faults.map(\.userOnly) == [false])
    for (name, userOnly) in [("cycles:k", false), ("cycles:uk", false), ("page-faults:u", true)] {
      let found = try #require(events(name, [big]))
      #expect(found.map(\.userOnly) == [userOnly])
    }
    #expect(reason("cycles", [])?.contains("no hardware counters") == true)
  }

  @Test func listsOfCPUsAndBits() {
    #expect(PMU.parseCPUList("0-3,6") == [0, 1, 2, 3, 6])
    #expect(PMU.parseCPUList("") == [])
    #expect(PMU.parseCPUList("3-1,x,9999999") == [])
    #expect(PMU.place(0x2a, format: "config:0-15") == 0x2a)
    // Bits of a field may lie apart.
    #expect(PMU.place(0b111, format: "config:0-1,8") == 0x103)
    #expect(PMU.place(0x1ff, format: "config:0-7") == nil)
    #expect(PMU.place(1, format: "config1:0-7") == nil)
  }
}
