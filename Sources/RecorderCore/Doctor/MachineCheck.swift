import CRecorderShim

/// One thing that recording needs or profits from, and whether this machine has it.
struct MachineCheck {
  enum Verdict {
    case good
    /// Recording works; something of it will be missing.
    case limited
    /// Recording does not work.
    case missing
    /// Cannot be told before something else is mended.
    case unknown
  }

  var subject: String
  var verdict: Verdict
  /// What was found.
  var finding: String
  /// What to do about it.
  var hint: String?

  /// Everything at once: somebody who has to build a kernel wants to do it once.
  static func all() -> [MachineCheck] {
    [
      kernel, permission, processNumbers, uprobes, bpf, lockdown, manyProbes, tracepoints, followsChildren,
      typeInformation, counters, counterPermission, frequency, temperature,
    ]
  }

  /// What `pi-record` refuses to start without.
  static func essential() -> [MachineCheck] { [kernel, permission, processNumbers, uprobes, bpf, lockdown] }

  private static var kernel: MachineCheck {
    let release = String(cString: shim_kernel_release())
    guard KernelVersion.current >= KernelVersion(5, 10) else {
      return MachineCheck(
        subject: "kernel", verdict: .missing, finding: "Linux \(release)",
        hint: "pi-record needs Linux 5.10 or later")
    }
    return MachineCheck(subject: "kernel", verdict: .good, finding: "Linux \(release)", hint: nil)
  }

  /// The programs see processes numbered as the initial PID namespace does, whose own number never changes
  /// (PROC_PID_INIT_INO).
  private static var processNumbers: MachineCheck {
    let initial = "pid:[4026531836]"
    let own = System.link(at: "/proc/self/ns/pid") ?? initial
    if own == initial {
      return MachineCheck(
        subject: "processes", verdict: .good, finding: "numbered as the kernel numbers them", hint: nil)
    }
    return MachineCheck(
      subject: "processes", verdict: .missing,
      finding: "a PID namespace of its own (\(own)): a container",
      hint:
        "run pi-record on the host (--pid takes the host's number), or share its namespace: docker run --pid=host"
    )
  }

  private static var followsChildren: MachineCheck {
    if System.line(of: "/proc/self/task/\(shim_own_pid())/children") != nil {
      return MachineCheck(subject: "children", verdict: .good, finding: "can be listed", hint: nil)
    }
    return MachineCheck(
      subject: "children", verdict: .limited, finding: "cannot be listed",
      hint: "engines in child processes of the command are not found; CONFIG_PROC_CHILDREN=y lists them")
  }

  private static var typeInformation: MachineCheck {
    let present = System.link(at: "/sys/kernel/btf") != nil || !System.names(in: "/sys/kernel/btf").isEmpty
    return MachineCheck(
      subject: "BTF", verdict: .good, finding: present ? "present (not needed)" : "absent (not needed)",
      hint: nil)
  }

  private static var frequency: MachineCheck {
    if System.number(of: "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq") != nil {
      return MachineCheck(subject: "clock rate", verdict: .good, finding: "recorded once a second", hint: nil)
    }
    return MachineCheck(
      subject: "clock rate", verdict: .limited, finding: "the kernel does not tell it",
      hint: "throttling cannot be seen; CONFIG_CPU_FREQ and the platform's driver tell it")
  }

  private static var temperature: MachineCheck {
    let zones = DeviceState().zones
    if zones.isEmpty {
      return MachineCheck(
        subject: "temperature", verdict: .limited, finding: "no thermal zone",
        hint: "heat cannot be seen; CONFIG_THERMAL and the platform's driver tell it")
    }
    return MachineCheck(
      subject: "temperature", verdict: .good, finding: zones.map { $0.type }.joined(separator: ", "),
      hint: nil)
  }
}
