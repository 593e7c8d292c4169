import CRecorderShim

/// What `--pmc` needs.
extension MachineCheck {
  static var counters: MachineCheck {
    let units = PMU.all()
    if units.isEmpty {
      return MachineCheck(
        subject: "counters", verdict: .limited, finding: "no hardware counters, software events only",
        hint:
          "a virtual machine without PMU, or no driver: CONFIG_ARM_PMU, CONFIG_HW_PERF_EVENTS and a device tree node"
      )
    }
    let names = units.map { "\($0.name) (\($0.cpus.count) CPUs)" }.joined(separator: ", ")
    return MachineCheck(subject: "counters", verdict: .good, finding: names, hint: nil)
  }

  static var counterPermission: MachineCheck {
    let taskClock: UInt64 = 1
    let descriptor = shim_open_counter(1, taskClock, 0, false)
    if descriptor >= 0 {
      shim_close(descriptor)
      return MachineCheck(
        subject: "counter access", verdict: .good, finding: "counters can be opened", hint: nil)
    }
    let notImplemented: Int32 = 38
    let error = System.lastError
    let paranoid = System.line(of: "/proc/sys/kernel/perf_event_paranoid") ?? "unknown"
    return MachineCheck(
      subject: "counter access", verdict: .limited,
      finding: "counters cannot be opened: \(System.text(of: error))",
      hint: "--pmc does not work; "
        + (error == notImplemented
          ? "the kernel must be built with CONFIG_PERF_EVENTS=y"
          : "kernel.perf_event_paranoid is \(paranoid): run it as root, or with CAP_PERFMON"))
  }
}
