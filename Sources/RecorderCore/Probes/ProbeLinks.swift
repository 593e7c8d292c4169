import CLibBPF
import CProbeObject
import CRecorderShim
import ProbeSites

/// What holds programs to their places: uprobes in files, raw tracepoints in the kernel. Removed with it.
final class ProbeLinks {
  /// The probes of one file in one process.
  struct Placement {
    /// Reaches the very file that the process has mapped.
    var path: String
    /// As people know it.
    var name: String
    var pid: Int32
    var sites: [Site]

    fileprivate var innermost: Int { sites.reduce(0) { max($0, $1.role.number) } }
  }

  private enum Link {
    case libbpf(OpaquePointer)
    /// A descriptor from BPF_LINK_CREATE: libbpf 1.1 does not know these.
    case descriptor(Int32)
  }

  private let object: ProbeObject
  private var links: [Link] = []
  /// Those of the operator level, which --qos-min-tps takes out and puts back.
  private var operatorLinks: [Link] = []
  /// The barriers' of that level: one thread alone waits for nobody.
  private var barrierLinks: [Link] = []
  private var haltingLinks: [Link] = []
  private var placements: [Placement] = []
  private(set) var hasOperatorProbes = true
  private(set) var hasBarrierProbes = true

  init(_ object: ProbeObject) { self.object = object }

  deinit { detach() }

  // MARK: Uprobes

  /// From the inside of a token step out, ends before begins: a step whose begin is recorded is then recorded
  /// whole, although the target goes on meanwhile.
  func attach(_ new: [Placement]) throws(RecorderError) {
    placements += new
    if hasOperatorProbes, hasBarrierProbes { barrierLinks += try attach(new, .barriers) }
    if hasOperatorProbes { operatorLinks += try attach(new, .operators) }
    links += try attach(new, .others)
  }

  private func attach(_ new: [Placement], _ group: ProbeGroup) throws(RecorderError) -> [Link] {
    var made: [Link] = []
    // Libraries of their own: the one with the innermost site first.
    let inward = new.sorted { $0.innermost > $1.innermost }
    for isReturn in [true, false] {
      for placement in inward where ProcessMaps.mappedPages(of: placement.pid) ?? 0 > 0 {
        var sites: [Site] = []
        for role in SiteRole.allCases.reversed() where role.group == group {
          sites += placement.sites.filter { $0.role == role && ($0.kind == .functionReturn) == isReturn }
        }
        if sites.isEmpty { continue }
        do throws(RecorderError) {
          if object.hasMultiLinks {
            made.append(try multiLink(sites, placement, isReturn: isReturn))
          } else {
            for site in sites { made.append(try link(site, placement)) }
          }
        } catch {
          // A process that ended meanwhile has nothing left to record, which is no failure.
          if ProcessMaps.mappedPages(of: placement.pid) ?? 0 == 0 { continue }
          remove(&made)
          throw error
        }
      }
    }
    return made
  }

  private func link(_ site: Site, _ placement: Placement) throws(RecorderError) -> Link {
    var options = bpf_uprobe_opts()
    options.sz = MemoryLayout<bpf_uprobe_opts>.size
    options.retprobe = site.kind == .functionReturn
    guard
      let link = bpf_program__attach_uprobe_opts(
        try object.program(site.role.rawValue), placement.pid, placement.path, Int(site.fileOffset), &options)
    else {
      throw RecorderError("cannot probe \(site.function) in \(placement.name): \(System.lastErrorText)")
    }
    return .libbpf(link)
  }

  private func multiLink(
    _ sites: [Site], _ placement: Placement, isReturn: Bool
  ) throws(RecorderError) -> Link {
    let program = try object.program(isReturn ? "returns" : "entries")
    let offsets = sites.map { $0.fileOffset }
    let cookies = sites.map { UInt64($0.role.number) }
    let descriptor = shim_link_uprobes(
      bpf_program__fd(program), placement.path, offsets, cookies, UInt32(sites.count), placement.pid, isReturn
    )
    guard descriptor >= 0 else {
      let functions = sites.reduce(into: [String]()) {
        if !$0.contains($1.function) { $0.append($1.function) }
      }
      throw RecorderError(
        "cannot probe \(functions.joined(separator: ", ")) in \(placement.name): \(System.lastErrorText)")
    }
    return .descriptor(descriptor)
  }

  // MARK: Operator probes come and go

  func dropOperatorProbes() {
    hasOperatorProbes = false
    remove(&barrierLinks)
    remove(&operatorLinks)
  }

  func resumeOperatorProbes() throws(RecorderError) {
    hasOperatorProbes = true
    if hasBarrierProbes { barrierLinks = try attach(placements, .barriers) }
    operatorLinks = try attach(placements, .operators)
  }

  /// Half of the hits of an operator are those at the barrier that ends it. Where graphs are computed by one
  /// thread, the next operator's begin says the same.
  func setBarrierProbes(_ wanted: Bool) throws(RecorderError) {
    guard wanted != hasBarrierProbes else { return }
    hasBarrierProbes = wanted
    if !wanted {
      remove(&barrierLinks)
    } else if hasOperatorProbes {
      barrierLinks = try attach(placements, .barriers)
    }
  }

  // MARK: Tracepoints

  private func tracepoint(_ program: String, _ tracepoint: String) -> Link? {
    guard let program = object.optionalProgram(program),
      let link = bpf_program__attach_raw_tracepoint(program, tracepoint)
    else { return nil }
    return .libbpf(link)
  }

  /// Calibration of one round: until the links are removed.
  func withCalibration(sleeping: Bool, _ body: () -> Void) {
    var links: [Link] = []
    if let link = tracepoint(
      sleeping ? "calibrate_sleeping" : "calibrate_running", sleeping ? "sched_switch" : "sys_enter")
    {
      links.append(link)
    }
    body()
    remove(&links)
  }

  /// From now on children of followed processes are followed from their first instruction.
  func followForks() -> Bool {
    for (program, name) in zip(
      ProbeObject.followingPrograms, ["sched_process_fork", "sched_process_exit"])
    {
      guard let link = tracepoint(program, name) else { return false }
      links.append(link)
    }
    return true
  }

  func recordScheduler() -> Bool {
    for program in ProbeObject.schedulerPrograms {
      guard let link = tracepoint(program, program) else { return false }
      links.append(link)
    }
    return true
  }

  /// From now on the followed processes halt whenever they have mapped code, until `takeHalted`'s caller
  /// continues them.
  ///
  /// - Returns: false where the kernel cannot (built without system call tracepoints).
  func haltOnMapping() -> Bool {
    for (program, name) in zip(ProbeObject.haltingPrograms, ["sys_enter", "sys_exit", "sched_process_exec"]) {
      guard let link = tracepoint(program, name) else {
        stopHalting()
        return false
      }
      haltingLinks.append(link)
    }
    return true
  }

  func stopHalting() { remove(&haltingLinks) }

  // MARK: Removal

  /// Removes everything. The target goes on.
  func detach() {
    stopHalting()
    remove(&barrierLinks)
    remove(&operatorLinks)
    remove(&links)
  }

  private func remove(_ links: inout [Link]) {
    for link in links {
      switch link {
      case .libbpf(let pointer): bpf_link__destroy(pointer)
      case .descriptor(let descriptor): shim_close(descriptor)
      }
    }
    links.removeAll()
  }
}
