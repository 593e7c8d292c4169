import CLibBPF
import CRecorderShim

/// The counters of `--pmc`: each opened on each CPU, read by the probes there.
///
/// A counter counts what its CPU does, for whatever task; the analyzer takes differences and leaves other tasks
/// out where scheduler events tell it to.
final class Counters {
  struct Counter {
    var name: String
    /// Place of its value behind records; nil: not recorded.
    var column: Int?
    /// Why it is not recorded, or what to know about it.
    var reason: String?
    var events: [ResolvedEvent]
  }

  static let capacity = 8

  private(set) var counters: [Counter] = []
  /// (column, CPU, descriptor)
  private var opened: [(column: Int, cpu: Int, descriptor: Int32)] = []
  private let possibleCPUs: Int

  var columnCount: Int { counters.reduce(0) { $0 + ($1.column == nil ? 0 : 1) } }

  /// Opens what can be opened. What cannot is `unsupported`, with a reason, and gets no column.
  init(_ names: [String], units: [PMU]) throws(RecorderError) {
    possibleCPUs = PMU.cpuLimit
    for name in names {
      var counter = Counter(name: name, column: nil, reason: nil, events: [])
      switch EventName.resolve(name, units: units) {
      case .unsupported(let reason): counter.reason = reason
      case .events(let events, let note):
        counter.reason = note
        try open(events, for: &counter)
      }
      counters.append(counter)
    }
  }

  deinit { for event in opened { shim_close(event.descriptor) } }

  private func open(_ events: [ResolvedEvent], for counter: inout Counter) throws(RecorderError) {
    let column = columnCount
    guard column < Self.capacity else {
      throw .usage("--pmc takes at most \(Self.capacity) counters")
    }
    var failure: Int32 = 0
    for event in events {
      var used = event
      used.cpus = []
      for cpu in event.cpus {
        let descriptor = shim_open_counter(event.type, event.config, Int32(cpu), event.userOnly)
        if descriptor < 0 {
          failure = System.lastError
          continue
        }
        opened.append((column, cpu, descriptor))
        used.cpus.append(cpu)
      }
      if !used.cpus.isEmpty { counter.events.append(used) }
    }
    if !counter.events.isEmpty {
      counter.column = column
      return
    }
    let notPermitted: [Int32] = [1, 13]
    if notPermitted.contains(failure) {
      throw RecorderError(
        "cannot open the counter \(counter.name): \(System.text(of: failure))",
        hints: [
          "run pi-record as root, or give it CAP_PERFMON",
          "kernel.perf_event_paranoid is \(System.line(of: "/proc/sys/kernel/perf_event_paranoid") ?? "unknown")",
        ])
    }
    counter.reason = "the kernel has no such counter: \(System.text(of: failure))"
  }

  /// Hands the events to the programs.
  func install(in map: Int32) throws(RecorderError) {
    for event in opened {
      var key = UInt32(event.column * possibleCPUs + event.cpu)
      var descriptor = event.descriptor
      guard bpf_map_update_elem(map, &key, &descriptor, 0) == 0 else {
        throw RecorderError(
          "cannot hand a counter of --pmc to the probes: \(System.lastErrorText)")
      }
    }
  }

  /// Value, and for how long it counted, of each counter on each CPU.
  func read(_ each: (_ column: Int, _ cpu: Int, shim_counter_value) -> Void) {
    for event in opened {
      var value = shim_counter_value()
      if shim_read_counter(event.descriptor, &value) == 0 { each(event.column, event.cpu, value) }
    }
  }

  func write(to json: inout JSONWriter) {
    json.array("counters") { json in
      for counter in counters {
        json.object { json in
          json.string("name", counter.name)
          if let column = counter.column { json.number("column", column) }
          json.string("state", counter.column == nil ? "unsupported" : "recorded")
          if let reason = counter.reason { json.string("reason", reason) }
          json.array("events") { json in
            for event in counter.events {
              json.object { json in
                json.string("pmu", event.unit)
                json.number("type", event.type)
                json.hex("config", event.config)
                json.bool("user_only", event.userOnly)
                json.array("cpus") { json in for cpu in event.cpus { json.number(nil, cpu) } }
              }
            }
          }
        }
      }
    }
  }
}
