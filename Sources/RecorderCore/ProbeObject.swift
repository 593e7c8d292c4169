import CLibBPF
import CProbeObject
import CRecorderShim
import ProbeSites

/// The BPF programs of a recording, loaded into the kernel.
final class ProbeObject {
  private let object: OpaquePointer
  private var links: [OpaquePointer] = []
  private var haltLinks: [OpaquePointer] = []
  private let counters: Int32
  private let followed: Int32
  private let halted: Int32
  private let possibleCPUs: Int
  let events: Int32
  /// Shared with the running programs.
  let state: UnsafeMutablePointer<probe_state>

  /// Opens the embedded object, switches off the programs that are not needed, and loads it.
  ///
  /// - Parameters:
  ///   - roles: the sites that will be attached.
  ///   - canHalt: whether `haltOnMapping` will be asked for.
  init(
    settings: probe_settings, roles: [SiteRole], canHalt: Bool, bufferBytes: UInt32, showLog: Bool
  ) throws(RecorderError) {
    if !showLog { libbpf_set_print(nil) }
    var options = bpf_object_open_opts()
    options.sz = MemoryLayout<bpf_object_open_opts>.size
    guard let object = bpf_object__open_mem(probe_object(), Int(probe_object_bytes()), &options) else {
      throw RecorderError("cannot open the BPF programs inside pi-record: \(System.lastErrorText)")
    }
    self.object = object
    var unused = SiteRole.allCases.filter { !roles.contains($0) }.map { $0.rawValue }
    if !canHalt { unused += Self.haltPrograms.map { $0.name } }
    for name in unused {
      if let program = bpf_object__find_program_by_name(object, name) {
        bpf_program__set_autoload(program, false)
      }
    }
    guard let ring = bpf_object__find_map_by_name(object, "events"),
      let counterMap = bpf_object__find_map_by_name(object, "counters"),
      let followedMap = bpf_object__find_map_by_name(object, "followed"),
      let haltedMap = bpf_object__find_map_by_name(object, "halted"),
      let rodata = bpf_object__find_map_by_name(object, ".rodata"),
      let data = bpf_object__find_map_by_name(object, ".data")
    else {
      throw RecorderError("the BPF programs inside pi-record lack a map: build it again with tools/build")
    }
    bpf_map__set_max_entries(ring, bufferBytes)
    try ProbeObject.section(rodata, as: probe_settings.self).pointee = settings
    _ = try ProbeObject.section(data, as: probe_state.self)
    let result = bpf_object__load(object)
    guard result == 0 else {
      bpf_object__close(object)
      throw ProbeObject.loadError(-result)
    }
    events = bpf_map__fd(ring)
    counters = bpf_map__fd(counterMap)
    followed = bpf_map__fd(followedMap)
    halted = bpf_map__fd(haltedMap)
    possibleCPUs = Int(libbpf_num_possible_cpus())
    // libbpf's own copy of the section is what the map began with; only its skeletons remap it.
    guard let shared = shim_map_shared(bpf_map__fd(data), UInt64(MemoryLayout<probe_state>.size)) else {
      throw RecorderError("cannot map the BPF programs' state: \(System.lastErrorText)")
    }
    state = shared.assumingMemoryBound(to: probe_state.self)
  }

  deinit {
    detach()
    bpf_object__close(object)
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

  /// Attaches the role's program at a site. `path` must reach the very file that the process has mapped.
  func attach(_ site: Site, path: String, pid: Int32) throws(RecorderError) {
    guard let program = bpf_object__find_program_by_name(object, site.role.rawValue) else {
      throw RecorderError("no BPF program for \(site.role.rawValue)")
    }
    var options = bpf_uprobe_opts()
    options.sz = MemoryLayout<bpf_uprobe_opts>.size
    options.retprobe = site.kind == .functionReturn
    guard
      let link = bpf_program__attach_uprobe_opts(program, pid, path, Int(site.fileOffset), &options)
    else {
      throw RecorderError("cannot probe \(site.function) in \(path): \(System.lastErrorText)")
    }
    links.append(link)
  }

  private static let haltPrograms: [(name: String, tracepoint: String)] = [
    ("follow_enter", "sys_enter"), ("follow_exit", "sys_exit"), ("follow_exec", "sched_process_exec"),
  ]

  /// From now on the followed processes halt whenever they have mapped code, until `takeHalted`'s caller
  /// continues them.
  ///
  /// - Returns: false where the kernel cannot (built without system call tracepoints).
  func haltOnMapping() -> Bool {
    for (name, tracepoint) in Self.haltPrograms {
      guard let program = bpf_object__find_program_by_name(object, name),
        let link = bpf_program__attach_raw_tracepoint(program, tracepoint)
      else {
        stopHalting()
        return false
      }
      haltLinks.append(link)
    }
    return true
  }

  func stopHalting() {
    for link in haltLinks { bpf_link__destroy(link) }
    haltLinks.removeAll()
  }

  /// Whether the process has halted since it was last taken; takes it.
  func takeHalted(_ pid: Int32) -> Bool {
    var process = UInt32(bitPattern: pid)
    return bpf_map_delete_elem(halted, &process) == 0
  }

  /// The processes that halted since the last call.
  func takeHalted() -> [Int32] {
    var processes: [Int32] = []
    var process: UInt32 = 0
    while bpf_map_get_next_key(halted, nil, &process) == 0, bpf_map_delete_elem(halted, &process) == 0 {
      processes.append(Int32(bitPattern: process))
    }
    return processes
  }

  /// Removes every probe. The target goes on.
  func detach() {
    stopHalting()
    for link in links { bpf_link__destroy(link) }
    links.removeAll()
  }

  func follow(_ pid: Int32) {
    var key = UInt32(bitPattern: pid)
    var one: UInt8 = 1
    bpf_map_update_elem(followed, &key, &one, 0)
  }

  /// One value per possible CPU.
  func readCounters() -> [probe_counters] {
    var values = [probe_counters](repeating: probe_counters(), count: possibleCPUs)
    var key: UInt32 = 0
    guard bpf_map_lookup_elem(counters, &key, &values) == 0 else { return [] }
    return values
  }
}
