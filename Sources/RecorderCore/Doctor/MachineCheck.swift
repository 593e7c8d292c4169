import CRecorderShim

/// One thing that recording needs or profits from, and whether this machine has it.
struct MachineCheck {
  enum Verdict {
    case good
    /// Recording works; something of it will be missing.
    case limited
    /// Recording does not work.
    case missing
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
      typeInformation,
      counters,
      counterPermission, frequency, temperature,
    ]
  }

  /// What `pi-record` refuses to start without.
  static func essential() -> [MachineCheck] { [permission, processNumbers, uprobes, bpf] }

  private static var kernel: MachineCheck {
    let release = String(cString: shim_kernel_release())
    guard KernelVersion.current >= KernelVersion(5, 10) else {
      return MachineCheck(
        subject: "kernel", verdict: .missing, finding: "Linux \(release)",
        hint: "pi-record needs Linux 5.10 or later")
    }
    return MachineCheck(subject: "kernel", verdict: .good, finding: "Linux \(release)", hint: nil)
  }

  /// CAP_SYS_ADMIN covers everything; since 5.8 CAP_BPF with CAP_PERFMON does, and CAP_SYS_PTRACE opens other
  /// processes' maps.
  private static var permission: MachineCheck {
    let administrator: UInt64 = 1 << 21
    let narrow: UInt64 = 1 << 39 | 1 << 38 | 1 << 19
    let capabilities = effectiveCapabilities()
    if capabilities & administrator != 0 || capabilities & narrow == narrow {
      return MachineCheck(subject: "permission", verdict: .good, finding: "may load BPF programs", hint: nil)
    }
    return MachineCheck(
      subject: "permission", verdict: .missing,
      finding: "no right to load BPF programs and to read the target's memory map",
      hint: "run it as root (sudo pi-record …), or: setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep pi-record")
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

  private static func effectiveCapabilities() -> UInt64 {
    let key = Array("CapEff:".utf8)
    guard let status = System.contents(of: "/proc/self/status"),
      let line = status.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) })
    else { return 0 }
    let digits = line.dropFirst(key.count).drop { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
    return UInt64(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
  }

  private static var uprobes: MachineCheck {
    guard System.number(of: "/sys/bus/event_source/devices/uprobe/type") != nil else {
      return MachineCheck(
        subject: "uprobes", verdict: .missing, finding: "no /sys/bus/event_source/devices/uprobe",
        hint:
          "the kernel must be built with CONFIG_UPROBES=y and CONFIG_UPROBE_EVENTS=y, and sysfs be mounted")
    }
    return MachineCheck(subject: "uprobes", verdict: .good, finding: "present", hint: nil)
  }

  private static var bpf: MachineCheck {
    switch shim_try_bpf() {
    case 0: return MachineCheck(subject: "BPF", verdict: .good, finding: "a program can be loaded", hint: nil)
    case let error:
      let disabled = System.number(of: "/proc/sys/kernel/unprivileged_bpf_disabled") ?? 0
      let notImplemented: Int32 = 38
      return MachineCheck(
        subject: "BPF", verdict: .missing, finding: "no program can be loaded: \(System.text(of: error))",
        hint: error == notImplemented
          ? "the kernel must be built with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y"
          : disabled > 0
            ? "kernel.unprivileged_bpf_disabled is \(disabled): run it as root, or with CAP_BPF and CAP_PERFMON"
            : "run it as root")
    }
  }

  private static var lockdown: MachineCheck {
    // "none [integrity] confidentiality"
    let modes = System.line(of: "/sys/kernel/security/lockdown") ?? "[none]"
    let chosen = modes.utf8.drop { $0 != UInt8(ascii: "[") }.dropFirst().prefix { $0 != UInt8(ascii: "]") }
    let mode = String(decoding: Array(chosen), as: UTF8.self)
    if mode == "confidentiality" {
      return MachineCheck(
        subject: "lockdown", verdict: .missing, finding: "confidentiality: BPF may not read memory",
        hint: "boot with lockdown=integrity or without it")
    }
    return MachineCheck(subject: "lockdown", verdict: .good, finding: mode.isEmpty ? "none" : mode, hint: nil)
  }

  private static var manyProbes: MachineCheck {
    if shim_has_uprobe_multi() {
      return MachineCheck(
        subject: "probe links", verdict: .good, finding: "many probes a link (Linux 6.6)", hint: nil)
    }
    return MachineCheck(
      subject: "probe links", verdict: .limited, finding: "one probe a link",
      hint: "attaching and leaving take longer, up to seconds on a busy machine; Linux 6.6 is faster")
  }

  private static var tracepoints: MachineCheck {
    let needed = [
      "sys_enter", "sys_exit", "sched_process_exec", "sched_process_fork", "sched_switch", "sched_wakeup",
    ]
    let missing = needed.filter { shim_try_tracepoint($0) != 0 }
    if missing.isEmpty {
      return MachineCheck(
        subject: "tracepoints", verdict: .good, finding: "system calls and scheduler (tracefs is not needed)",
        hint: nil)
    }
    return MachineCheck(
      subject: "tracepoints", verdict: .limited, finding: "none for \(missing.joined(separator: ", "))",
      hint: "the first token of a command may be missed, and --sched may not work; "
        + "CONFIG_FTRACE_SYSCALLS=y and CONFIG_SCHED_TRACER or CONFIG_TRACING bring them")
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

  private static var counters: MachineCheck {
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

  private static var counterPermission: MachineCheck {
    let taskClock: UInt64 = 1
    let descriptor = shim_open_counter(1, taskClock, 0, false)
    if descriptor >= 0 {
      shim_close(descriptor)
      return MachineCheck(
        subject: "counter access", verdict: .good, finding: "counters can be opened", hint: nil)
    }
    let paranoid = System.line(of: "/proc/sys/kernel/perf_event_paranoid") ?? "unknown"
    return MachineCheck(
      subject: "counter access", verdict: .limited,
      finding: "counters cannot be opened: \(System.lastErrorText)",
      hint:
        "--pmc does not work; kernel.perf_event_paranoid is \(paranoid): run it as root, or with CAP_PERFMON")
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
