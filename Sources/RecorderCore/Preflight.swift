import CRecorderShim

/// What must be so before anything is started.
enum Preflight {
  static func check() throws(RecorderError) {
    // CAP_SYS_ADMIN covers everything; since 5.8 CAP_BPF with CAP_PERFMON does, and
    // CAP_SYS_PTRACE opens other processes' maps.
    let administrator: UInt64 = 1 << 21
    let narrow: UInt64 = 1 << 39 | 1 << 38 | 1 << 19
    let capabilities = effectiveCapabilities()
    guard capabilities & administrator != 0 || capabilities & narrow == narrow else {
      throw RecorderError(
        "pi-record needs the right to load BPF programs and to read the target's memory map",
        hints: [
          "run it as root: sudo pi-record …",
          "or give it the capabilities: setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep pi-record",
        ])
    }
    guard System.number(of: "/sys/bus/event_source/devices/uprobe/type") != nil else {
      throw RecorderError(
        "this kernel has no uprobes (no /sys/bus/event_source/devices/uprobe)",
        hints: ["it must be built with CONFIG_UPROBES=y and CONFIG_UPROBE_EVENTS=y"])
    }
  }

  private static func effectiveCapabilities() -> UInt64 {
    let key = Array("CapEff:".utf8)
    guard let status = System.contents(of: "/proc/self/status"),
      let line = status.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) })
    else { return 0 }
    let digits = line.dropFirst(key.count).drop { $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: " ") }
    return UInt64(String(decoding: digits, as: UTF8.self), radix: 16) ?? 0
  }
}
