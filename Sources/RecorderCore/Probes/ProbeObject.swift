import CLibBPF
import CProbeObject
import CRecorderShim
import ProbeSites

/// The BPF programs of a recording, loaded into the kernel, and the maps that they share with it.
final class ProbeObject {
  /// What of the object a recording needs; the rest is not loaded.
  struct Parts {
    /// The sites that will be attached.
    var roles: [SiteRole]
    /// Whether a command is halted while probes are put in.
    var halting: Bool
    var scheduler: Bool
    /// Values behind records: counters times possible CPUs of events.
    var counters: Int
    var bufferBytes: UInt32
  }

  private let object: OpaquePointer
  private let counters: Int32
  private let followed: Int32
  private let halted: Int32
  private let continued: Int32
  private let calibrations: Int32
  /// Of --pmc: takes the descriptor of counter i on CPU c at i times CPUs + c.
  let counterEvents: Int32
  let events: Int32
  /// Shared with the running programs.
  let state: UnsafeMutablePointer<probe_state>
  /// Many probes in one link: Linux 6.6 and later.
  let hasMultiLinks: Bool

  /// Opens the embedded object, switches off the programs that are not needed, and loads it.
  init(settings: probe_settings, parts: Parts, showLog: Bool) throws(RecorderError) {
    if !showLog { shim_quiet_libbpf() }
    hasMultiLinks = shim_has_uprobe_multi()
    let isAtomic = KernelVersion.current >= KernelVersion(5, 12)
    var options = bpf_object_open_opts()
    options.sz = MemoryLayout<bpf_object_open_opts>.size
    let code = probe_object(isAtomic)
    // libbpf is done with it when the programs are loaded.
    defer { probe_object_free(code) }
    guard let object = bpf_object__open_mem(code, Int(probe_object_bytes(isAtomic)), &options) else {
      throw RecorderError("cannot open the BPF programs inside pi-record: \(System.lastErrorText)")
    }
    self.object = object
    ProbeObject.select(parts, in: object, multi: hasMultiLinks)

    func map(_ name: String) throws(RecorderError) -> OpaquePointer {
      guard let map = bpf_object__find_map_by_name(object, name) else {
        throw RecorderError(
          "the BPF programs inside pi-record lack the map \(name): build it again with tools/build")
      }
      return map
    }
    bpf_map__set_max_entries(try map("events"), parts.bufferBytes)
    bpf_map__set_max_entries(
      try map("counter_events"), UInt32(max(parts.counters, 1)) * UInt32(PMU.cpuLimit))
    try ProbeObject.section(try map(".rodata"), as: probe_settings.self).pointee = settings
    _ = try ProbeObject.section(try map(".data"), as: probe_state.self)
    let result = bpf_object__load(object)
    guard result == 0 else {
      bpf_object__close(object)
      throw ProbeObject.loadError(-result)
    }
    events = bpf_map__fd(try map("events"))
    counters = bpf_map__fd(try map("counters"))
    followed = bpf_map__fd(try map("followed"))
    halted = bpf_map__fd(try map("halted"))
    continued = bpf_map__fd(try map("continued"))
    calibrations = bpf_map__fd(try map("calibrations"))
    counterEvents = bpf_map__fd(try map("counter_events"))
    // libbpf's own copy of the section is what the map began with; only its skeletons remap it.
    guard
      let shared = shim_map_shared(bpf_map__fd(try map(".data")), UInt64(MemoryLayout<probe_state>.size))
    else {
      throw RecorderError("cannot map the BPF programs' state: \(System.lastErrorText)")
    }
    state = shared.assumingMemoryBound(to: probe_state.self)
  }

  deinit { bpf_object__close(object) }

  static let haltingPrograms = ["follow_enter", "follow_exit", "follow_exec"]
  static let followingPrograms = ["follow_fork", "follow_end"]
  static let schedulerPrograms = ["sched_switch", "sched_wakeup", "sched_wakeup_new"]
  static let calibrationPrograms = ["calibrate_running", "calibrate_sleeping"]

  private static func select(_ parts: Parts, in object: OpaquePointer, multi: Bool) {
    var unused: [String] = []
    if multi {
      unused += SiteRole.allCases.map { $0.rawValue }
      for name in ["entries", "returns"] {
        if let program = bpf_object__find_program_by_name(object, name) {
          bpf_program__set_expected_attach_type(
            program, bpf_attach_type(rawValue: UInt32(shim_attach_uprobe_multi)))
        }
      }
    } else {
      unused += ["entries", "returns"]
      unused += SiteRole.allCases.filter { !parts.roles.contains($0) }.map { $0.rawValue }
    }
    if !parts.halting { unused += haltingPrograms + followingPrograms }
    if !parts.scheduler { unused += schedulerPrograms }
    if !parts.halting, !parts.scheduler { unused += calibrationPrograms }
    for name in unused {
      if let program = bpf_object__find_program_by_name(object, name) {
        bpf_program__set_autoload(program, false)
      }
    }
  }

  private static func section<Value>(
    _ map: OpaquePointer, as type: Value.Type
  ) throws(RecorderError) -> UnsafeMutablePointer<Value> {
    var bytes = 0
    guard let address = bpf_map__initial_value(map, &bytes), bytes == MemoryLayout<Value>.size else {
      throw RecorderError(
        "the BPF programs inside pi-record and its settings disagree (\(bytes) bytes): build it again with tools/build"
      )
    }
    // const since libbpf 1.0 although the memory is the section itself, as skeletons use it.
    return UnsafeMutablePointer(mutating: address.assumingMemoryBound(to: type))
  }

  private static func loadError(_ error: Int32) -> RecorderError {
    let reason = System.text(of: error)
    let permission: Int32 = 1
    if error == permission {
      return RecorderError(
        "the kernel does not let this process load BPF programs: \(reason)",
        hints: ["run pi-record as root (sudo), or give it CAP_BPF and CAP_PERFMON"])
    }
    return RecorderError(
      "the kernel refused the BPF programs: \(reason)",
      hints: ["run again with -v to see the kernel's reason", "pi-record needs Linux 5.10 or later"])
  }

  func program(_ name: String) throws(RecorderError) -> OpaquePointer {
    guard let program = optionalProgram(name) else {
      throw RecorderError("no BPF program \(name) inside pi-record: build it again with tools/build")
    }
    return program
  }

  func optionalProgram(_ name: String) -> OpaquePointer? { bpf_object__find_program_by_name(object, name) }

  // MARK: Processes

  func follow(_ pid: Int32) {
    var key = UInt32(bitPattern: pid)
    var one: UInt8 = 1
    if bpf_map_update_elem(followed, &key, &one, 0) != 0 { state.pointee.not_followed += 1 }
    state.pointee.has_children = 1
  }

  /// The process has ended: its number may come again for a stranger.
  func unfollow(_ pid: Int32) {
    var key = UInt32(bitPattern: pid)
    bpf_map_delete_elem(followed, &key)
    forgetHalts(of: pid)
  }

  /// How often the process has halted.
  func halts(of pid: Int32) -> UInt32 { count(of: pid, in: halted) }

  private func count(of pid: Int32, in map: Int32) -> UInt32 {
    var process = UInt32(bitPattern: pid)
    var count: UInt32 = 0
    return bpf_map_lookup_elem(map, &process, &count) == 0 ? count : 0
  }

  /// The processes that have halted and were not continued yet.
  func haltedProcesses() -> [Int32] {
    var processes: [Int32] = []
    var process: UInt32 = 0
    var found = bpf_map_get_next_key(halted, nil, &process)
    // Behind an entry that was deleted meanwhile the kernel begins again: so not without an end.
    var left = 8192
    while found == 0, processes.count < 1024, left > 0 {
      let pid = Int32(bitPattern: process)
      if halts(of: pid) != count(of: pid, in: continued) { processes.append(pid) }
      var previous = process
      found = bpf_map_get_next_key(halted, &previous, &process)
      left -= 1
    }
    return processes
  }

  /// Continues a process that has halted so often. If it has halted again, it stays in the list: also when the
  /// signal has taken that halt back.
  func resume(_ pid: Int32, after halts: UInt32) {
    guard shim_kill(pid, shim_sigcont) == 0 else { return forgetHalts(of: pid) }
    // Only now: the watchdog continues it should this process die in between.
    var process = UInt32(bitPattern: pid)
    var count = halts
    bpf_map_update_elem(continued, &process, &count, 0)
    // It has ended meanwhile, and follow_end has deleted its entries: the number may come again for another.
    if self.halts(of: pid) == 0 { forgetHalts(of: pid) }
  }

  /// The process has ended.
  func forgetHalts(of pid: Int32) {
    var process = UInt32(bitPattern: pid)
    bpf_map_delete_elem(halted, &process)
    bpf_map_delete_elem(continued, &process)
  }

  /// Puts a process that is about to be stopped into the list, so that the watchdog knows it.
  func noteHalt(of pid: Int32) {
    var process = UInt32(bitPattern: pid)
    var count = halts(of: pid) + 1
    bpf_map_update_elem(halted, &process, &count, 0)
  }

  func resumeAll() {
    for pid in haltedProcesses() { resume(pid, after: halts(of: pid)) }
  }

  /// Sees to it that nobody stays halted should this process die before it can continue them.
  ///
  /// - Returns: a descriptor; closing it ends the watch. Negative when there is no watch.
  func startWatchdog() -> Int32 {
    shim_start_watchdog(halted, continued, Unmanaged.passUnretained(self).toOpaque()) { context in
      guard let context else { return }
      Unmanaged<ProbeObject>.fromOpaque(context).takeUnretainedValue().resumeAll()
    }
  }

  // MARK: Counts

  /// One value per possible CPU.
  func readCounters() -> [probe_counters] {
    var values = [probe_counters](repeating: probe_counters(), count: Int(max(libbpf_num_possible_cpus(), 1)))
    var key: UInt32 = 0
    guard bpf_map_lookup_elem(counters, &key, &values) == 0 else { return [] }
    return values
  }

  /// The copy of a task_struct that a calibration program took in this round, nil while there is none.
  func calibration(round: UInt32) -> [UInt8]? {
    let taken = MemoryLayout<UInt64>.size
    var copy = [UInt8](repeating: 0, count: taken + Int(PROBE_TASK_BYTES))
    var key = round
    guard bpf_map_lookup_elem(calibrations, &key, &copy) == 0, copy[0] != 0 else { return nil }
    return Array(copy[taken...])
  }

  /// The programs take another copy in this round.
  func forgetCalibration(round: UInt32) {
    var none = [UInt8](repeating: 0, count: MemoryLayout<UInt64>.size + Int(PROBE_TASK_BYTES))
    var key = round
    bpf_map_update_elem(calibrations, &key, &none, 0)
  }
}
