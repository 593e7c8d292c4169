import CRecorderShim

/// What loading and attaching BPF programs needs. What can be tried is tried: files and versions tell less.
extension MachineCheck {
  /// The capabilities that recording needs where CAP_SYS_ADMIN does not cover everything (Linux 5.8).
  private static let narrowCapabilities: [(bit: UInt64, name: String)] = [
    (39, "CAP_BPF"), (38, "CAP_PERFMON"), (19, "CAP_SYS_PTRACE"),
  ]

  private static var missingCapabilities: [String] {
    let administrator: UInt64 = 21
    let own = effectiveCapabilities()
    if own >> administrator & 1 == 1 { return [] }
    return narrowCapabilities.filter { own >> $0.bit & 1 == 0 }.map { $0.name }
  }

  private static func effectiveCapabilities() -> UInt64 {
    let key = Array("CapEff:".utf8)
    guard let status = System.contents(of: "/proc/self/status"),
      let line = status.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) })
    else { return 0 }
    let digits = line.dropFirst(key.count).drop { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
    return UInt64(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
  }

  static var permission: MachineCheck {
    let missing = missingCapabilities
    if missing.isEmpty {
      return MachineCheck(
        subject: "permission", verdict: .good, finding: "may load BPF programs and read memory maps",
        hint: nil)
    }
    return MachineCheck(
      subject: "permission", verdict: .missing, finding: "lacks \(missing.joined(separator: ", "))",
      hint: "run it as root (sudo pi-record …), or: setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep pi-record")
  }

  /// Links with many uprobes are proof; those of older kernels go through perf, whose type is in sysfs.
  static var uprobes: MachineCheck {
    let unit = "/sys/bus/event_source/devices/uprobe"
    if System.number(of: unit + "/type") != nil || shim_has_uprobe_multi() {
      return MachineCheck(subject: "uprobes", verdict: .good, finding: "present", hint: nil)
    }
    return MachineCheck(
      subject: "uprobes", verdict: .missing, finding: "no \(unit)",
      hint: "the kernel must be built with CONFIG_UPROBES=y and CONFIG_UPROBE_EVENTS=y, and sysfs be mounted")
  }

  static var bpf: MachineCheck {
    let error = shim_try_bpf()
    guard error != 0 else {
      return MachineCheck(subject: "BPF", verdict: .good, finding: "a program can be loaded", hint: nil)
    }
    let notPermitted: Int32 = 1
    let notImplemented: Int32 = 38
    let disabled = System.number(of: "/proc/sys/kernel/unprivileged_bpf_disabled") ?? 0
    let hint =
      switch error {
      case notImplemented: "the kernel must be built with CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y"
      case notPermitted where missingCapabilities.isEmpty:
        "the capabilities are there, so a user namespace, a seccomp filter (both: containers) or a security "
          + "module forbids it: run pi-record on the host, or docker run --privileged --pid=host"
      case _ where disabled > 0:
        "kernel.unprivileged_bpf_disabled is \(disabled): run it as root, or with CAP_BPF and CAP_PERFMON"
      case _: "run it as root, or with CAP_BPF and CAP_PERFMON"
      }
    return MachineCheck(
      subject: "BPF", verdict: .missing, finding: "no program can be loaded: \(System.text(of: error))",
      hint: hint)
  }

  /// What securityfs says is only shown: it is often not mounted, and what counts is what the verifier allows.
  static var lockdown: MachineCheck {
    // "none [integrity] confidentiality"
    let modes = System.line(of: "/sys/kernel/security/lockdown") ?? ""
    let chosen = modes.utf8.drop { $0 != UInt8(ascii: "[") }.dropFirst().prefix { $0 != UInt8(ascii: "]") }
    let mode = String(decoding: Array(chosen), as: UTF8.self)
    if shim_try_bpf() != 0 { return untried("lockdown") }
    if shim_try_kernel_read() != 0 {
      return MachineCheck(
        subject: "lockdown", verdict: .missing,
        finding: (mode.isEmpty ? "confidentiality" : mode) + ": BPF may not read memory",
        hint: "boot without lockdown=confidentiality (integrity may stay); a kernel with "
          + "CONFIG_LOCK_DOWN_KERNEL_FORCE_CONFIDENTIALITY=y must be replaced")
    }
    return MachineCheck(
      subject: "lockdown", verdict: .good, finding: mode.isEmpty ? "BPF may read memory" : mode, hint: nil)
  }

  static var manyProbes: MachineCheck {
    if shim_has_uprobe_multi() {
      return MachineCheck(
        subject: "probe links", verdict: .good, finding: "many probes a link (Linux 6.6)", hint: nil)
    }
    if shim_try_bpf() != 0 { return untried("probe links") }
    return MachineCheck(
      subject: "probe links", verdict: .limited, finding: "one probe a link",
      hint: "attaching and leaving take longer, up to seconds on a busy machine; Linux 6.6 is faster")
  }

  static var tracepoints: MachineCheck {
    if shim_try_bpf() != 0 { return untried("tracepoints") }
    let needed = [
      "sys_enter", "sys_exit", "sched_process_exec", "sched_process_fork", "sched_process_exit",
      "sched_switch",
      "sched_wakeup", "sched_wakeup_new",
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
        + "CONFIG_FTRACE=y with CONFIG_FTRACE_SYSCALLS=y brings them (CONFIG_TRACEPOINTS)")
  }

  private static func untried(_ subject: String) -> MachineCheck {
    MachineCheck(
      subject: subject, verdict: .unknown, finding: "cannot be tried while no program can be loaded",
      hint: nil)
  }
}
