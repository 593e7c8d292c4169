import CRecorderShim

/// `pi-record list-pmc`: the counters of every PMU of this machine, and which are really implemented.
public enum CounterList {
  /// Prints them. A counter is opened and counts a moment's work: the kernel accepts events that the processor lacks,
  /// and those stay at 0.
  public static func run() -> Int32 {
    let units = PMU.all()
    for unit in units {
      Console.print("\(unit.name): CPUs \(unit.cpus.map { String($0) }.joined(separator: ","))\n")
      for event in unit.events {
        show(event.name, code: event.config, type: unit.type, cpus: unit.cpus, userOnly: true)
      }
      for event in EventName.generic where !unit.events.contains(where: { $0.name == event.name }) {
        guard case .events(let events, _) = EventName.resolve(event.name, units: [unit]),
          let first = events.first
        else { continue }
        show(event.name, code: first.config, type: first.type, cpus: unit.cpus, userOnly: true)
      }
      Console.print("\n")
    }
    if units.isEmpty {
      Console.print("no hardware counters: this machine shows no core PMU\n\n")
    }
    Console.print("software: counted by the kernel, all CPUs\n")
    for event in EventName.software where event.name != "faults" {
      show(event.name, code: event.config, type: 1, cpus: Array(0..<Int(shim_cpu_count())), userOnly: false)
    }
    Console.print(
      "\nAny other code of a PMU: raw:0x2a. Behind a name: :u user space (the default of hardware), :k kernel, :uk both.\n"
    )
    return 0
  }

  private static func show(_ name: String, code: UInt64, type: UInt32, cpus: [Int], userOnly: Bool) {
    var descriptors: [Int32] = []
    var failure: Int32 = 0
    var place: Int32 = -1
    for cpu in cpus {
      let descriptor = shim_open_counter(type, code, Int32(cpu), userOnly)
      if descriptor >= 0 {
        descriptors.append(descriptor)
        place = Int32(cpu)
      } else {
        failure = System.lastError
      }
    }
    defer { for descriptor in descriptors { shim_close(descriptor) } }
    let state: String
    if descriptors.isEmpty {
      state = "unsupported: \(System.text(of: failure))"
    } else {
      // Where clusters differ, a counter sees nothing of what another cluster does.
      shim_run_on(place)
      work()
      shim_run_on(-1)
      var total: UInt64 = 0
      var multiplexed = false
      for descriptor in descriptors {
        var value = shim_counter_value()
        guard shim_read_counter(descriptor, &value) == 0 else { continue }
        total &+= value.value
        multiplexed = multiplexed || value.running_ns < value.enabled_ns
      }
      state =
        total > 0
        ? "counts" + (multiplexed ? ", shares its register just now" : "")
        : "opened, and counted nothing of a moment's work"
    }
    Console.print(
      "  " + Doctor.padded(name, 28) + Doctor.padded("0x" + String(code, radix: 16), 10) + state + "\n")
  }

  /// Loads, stores, branches, misses and page faults.
  private static func work() {
    shim_touch_pages(64)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    var sum = 0
    for round in 0..<4 {
      var index = round
      while index < bytes.count {
        bytes[index] &+= UInt8(truncatingIfNeeded: index)
        if bytes[index] & 1 == 1 { sum &+= index }
        index += 61
      }
    }
    shim_sleep_ns(sum == 0 ? 1 : 1000)
  }
}
