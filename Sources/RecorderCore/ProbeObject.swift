import CLibBPF
import CProbeObject
import CRecorderShim
import ProbeSites

/// The BPF programs of a recording, loaded into the kernel.
final class ProbeObject {
  private let object: OpaquePointer
  private var links: [OpaquePointer] = []
  private let counters: Int32
  private let followed: Int32
  private let possibleCPUs: Int
  let events: Int32
  /// Shared with the running programs.
  let state: UnsafeMutablePointer<probe_state>

  /// Opens the embedded object, switches off the programs that `roles` does not name, and loads it.
  init(settings: probe_settings, roles: [SiteRole], bufferBytes: UInt32, showLog: Bool) throws(RecorderError)
  {
    if !showLog { libbpf_set_print(nil) }
    var options = bpf_object_open_opts()
    options.sz = MemoryLayout<bpf_object_open_opts>.size
    guard let object = bpf_object__open_mem(probe_object(), Int(probe_object_bytes()), &options) else {
      throw RecorderError("cannot open the BPF programs inside pi-record: \(System.lastErrorText)")
    }
    self.object = object
    for role in SiteRole.allCases where !roles.contains(role) {
      if let program = bpf_object__find_program_by_name(object, role.rawValue) {
        bpf_program__set_autoload(program, false)
      }
    }
    guard let ring = bpf_object__find_map_by_name(object, "events"),
      let counterMap = bpf_object__find_map_by_name(object, "counters"),
      let followedMap = bpf_object__find_map_by_name(object, "followed"),
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

  /// Removes every probe. The target goes on.
  func detach() {
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
