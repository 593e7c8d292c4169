import CProbeObject
import CRecorderShim
import ProbeSites

/// Finds the engine's code in the target's processes and puts the probes there.
///
/// A file is looked at once. Nothing is known beforehand of where llama.cpp lives: shared
/// libraries, a static executable, or one Python extension.
final class EngineProbes {
  struct Attached {
    var site: Site
    var library: Int
  }

  /// A site of the next plan.
  private struct Alternate {
    var site: Site
    var library: Int
    var path: String
    var name: String
    var pid: Int32
  }

  private var alternates: [Alternate] = []
  /// Sites (by index) that never fired and were given up for the next plan.
  private(set) var givenUp: [Int] = []
  private let object: ProbeObject
  private let links: ProbeLinks
  private let roles: [SiteRole]
  private let calibration: CalibrationFile?
  private var engineFiles: [(device: String, inode: UInt64)] = []
  private var examined: [(pid: Int32, device: String, inode: UInt64)] = []
  /// Size of each process when its maps were last read.
  private var mappedPages: [(pid: Int32, pages: UInt64)] = []
  private var libraryCount = 0
  private(set) var attached: [Attached] = []
  private var layout = Layout()
  /// libggml-base was found: structure can be read.
  private(set) var knowsLayout = false
  private var engineVersion: String?
  private var engineCommit: String?
  /// nil until a file gave them.
  private var engineNames: FileFacts.Names?

  /// - Parameter calibration: tells what hits cost here.
  init(object: ProbeObject, links: ProbeLinks, roles: [SiteRole], calibration: CalibrationFile?) {
    self.calibration = calibration
    self.object = object
    object.state.pointee.layout = layout.offsets
    self.links = links
    self.roles = roles
  }

  func has(_ role: SiteRole) -> Bool { attached.contains { $0.site.role == role } }

  /// Whether a process that was not examined yet has files mapped that are known to be of the engine.
  func hasMappedEngine(_ pid: Int32) -> Bool {
    guard let libraries = ProcessMaps.libraries(of: pid) else { return false }
    return libraries.contains { library in
      engineFiles.contains { $0.device == library.device && $0.inode == library.inode }
    }
  }

  /// Looks at the files that the process has mapped since the last call.
  ///
  /// - Parameters:
  ///   - isHalted: the process is known to have mapped something, and does not run.
  ///   - stop: stops the process while probes are put in, so that no token passes meanwhile.
  /// - Returns: the metadata of what was found, nil when nothing was.
  func examine(_ pid: Int32, isHalted: Bool, stop: Bool) throws(RecorderError) -> JSONWriter? {
    guard hasMappedMore(pid) || isHalted, let libraries = ProcessMaps.libraries(of: pid) else { return nil }
    var found: [Found] = []
    var isStopped = false
    defer { if isStopped { object.resume(pid, after: object.halts(of: pid)) } }
    let new = libraries.filter { library in
      !examined.contains { $0.pid == pid && $0.inode == library.inode && $0.device == library.device }
    }
    examined += new.map { (pid, $0.device, $0.inode) }
    let paths = new.map { ProcessMaps.reachablePath($0, pid: pid) }
    for (index, facts) in try FileReader.facts(of: paths).enumerated() {
      guard var facts else { continue }
      facts.plan.sites.removeAll { !roles.contains($0.role) }
      for site in facts.plan.alternates where roles.contains(site.role) {
        alternates.append(
          Alternate(
            site: site, library: libraryCount + found.count, path: paths[index],
            name: new[index].path, pid: pid))
      }
      if stop, !isStopped {
        object.noteHalt(of: pid)
        isStopped = shim_kill(pid, shim_sigstop) == 0
      }
      engineFiles.append((new[index].device, new[index].inode))
      found.append(Found(library: new[index], path: paths[index], facts: facts))
    }
    if found.isEmpty { return nil }

    var json = JSONWriter()
    var failure: RecorderError?
    json.object { json in
      let firstLibrary = libraryCount
      let firstSite = attached.count
      json.array("libraries") { json in
        for (offset, entry) in found.enumerated() {
          describe(entry, index: firstLibrary + offset, pid: pid, to: &json)
        }
      }
      // Before the probes: they are to know the layout from their first hit on.
      let notes = learn(from: found, to: &json)
      do throws(RecorderError) { try attach(found, firstLibrary: firstLibrary, pid: pid) } catch {
        failure = error
      }
      libraryCount += found.count
      json.array("sites") { json in
        for index in firstSite..<attached.count { describe(attached[index], index: index, to: &json) }
      }
      describeEngine(to: &json)
      describeTarget(pid, to: &json)
      json.array("notes") { json in
        for note in notes { json.string(nil, note) }
        for entry in found {
          for missing in entry.facts.plan.missing where roles.contains(missing.role) {
            json.string(nil, "\(missing.role.rawValue): \(missing.reason) (\(entry.library.path))")
          }
        }
      }
    }
    if let failure { throw failure }
    return json
  }

  private func attach(_ found: [Found], firstLibrary: Int, pid: Int32) throws(RecorderError) {
    for (offset, entry) in found.enumerated() {
      for site in entry.facts.plan.sites {
        attached.append(Attached(site: site, library: firstLibrary + offset))
      }
    }
    try links.attach(
      found.map { entry in
        ProbeLinks.Placement(
          path: entry.path, name: entry.library.path, pid: pid, sites: entry.facts.plan.sites)
      })
  }

  /// The process has ended: its number may come again.
  func forget(_ pid: Int32) {
    examined.removeAll { $0.pid == pid }
    mappedPages.removeAll { $0.pid == pid }
  }

  /// Puts in the sites of the next plan for roles whose probes never fire.
  ///
  /// - Returns: the metadata of it, nil where there is no other plan.
  func tryNextPlan(for silent: [SiteRole]) throws(RecorderError) -> JSONWriter? {
    let chosen = alternates.filter { silent.contains($0.site.role) || silentEnds(of: silent, $0.site.role) }
    guard !chosen.isEmpty else { return nil }
    alternates.removeAll { alternate in chosen.contains { $0.site.address == alternate.site.address } }
    let first = attached.count
    for (index, old) in attached.enumerated() where chosen.contains(where: { $0.site.role == old.site.role })
    {
      givenUp.append(index)
    }
    attached += chosen.map { Attached(site: $0.site, library: $0.library) }
    try links.attach(
      chosen.map { ProbeLinks.Placement(path: $0.path, name: $0.name, pid: $0.pid, sites: [$0.site]) })
    var json = JSONWriter()
    json.object { json in
      json.array("sites") { json in
        for index in first..<attached.count { describe(attached[index], index: index, to: &json) }
      }
      json.array("notes") { json in
        for role in silent where chosen.contains(where: { $0.site.role == role }) {
          json.string(
            nil,
            "\(role.rawValue): never ran although its neighbours did, the compiler inlined it; the next plan probes "
              + chosen.filter { $0.site.role == role }.map { $0.site.function }.joined(separator: ", "))
        }
      }
    }
    return json
  }

  /// The end of a backend's graph goes with its begin.
  private func silentEnds(of silent: [SiteRole], _ role: SiteRole) -> Bool {
    role == .backendGraphReturn && silent.contains(.backendGraph)
  }

  /// Whether the process has mapped or unmapped anything since the last call. Reading a process's maps takes
  /// the kernel about ten times as long as reading its size, and this is asked a thousand times a second.
  private func hasMappedMore(_ pid: Int32) -> Bool {
    guard let pages = ProcessMaps.mappedPages(of: pid) else { return false }
    guard let index = mappedPages.firstIndex(where: { $0.pid == pid }) else {
      mappedPages.append((pid, pages))
      return true
    }
    defer { mappedPages[index].pages = pages }
    return mappedPages[index].pages != pages
  }

  private func describe(_ entry: Found, index: Int, pid: Int32, to json: inout JSONWriter) {
    json.object { json in
      json.number("index", index)
      json.string("path", entry.library.path)
      json.string(
        "build_id", entry.facts.buildID.reduce("") { $0 + ($1 < 16 ? "0" : "") + String($1, radix: 16) })
      json.hex("load_address", entry.library.start &- entry.library.offset)
      json.number("pid", pid)
    }
  }

  private func describe(_ attached: Attached, index: Int, to json: inout JSONWriter) {
    let site = attached.site
    json.object { json in
      json.number("index", index)
      json.string("role", site.role.rawValue)
      json.string("function", site.function)
      json.number("library", attached.library)
      json.hex("file_offset", site.fileOffset)
      json.hex("address", site.address)
      json.string("instruction", site.instruction)
      json.string("class", site.instructionClass.rawValue)
      if let measured = calibration?.expected(of: site) {
        json.number("expected_ns", measured)
        json.string("expected_source", "measured")
      } else if site.expectedNanoseconds > 0 {
        json.number("expected_ns", site.expectedNanoseconds)
        json.string("expected_source", "typical")
      }
    }
  }

  /// Takes names and layout out of the files and tells the programs.
  ///
  /// - Returns: sentences for the metadata.
  private func learn(from found: [Found], to json: inout JSONWriter) -> [String] {
    var notes: [String] = []
    var hasLayout = false
    let before = layout.notes.count
    for entry in found {
      notes += entry.facts.notes
      if engineNames == nil, let names = entry.facts.names {
        engineNames = names
        if let number = names.operators.firstIndex(of: "MUL_MAT_ID") {
          object.state.pointee.op_mul_mat_id = Int32(number)
        }
      }
      if let base = entry.facts.base {
        layout.learn(base)
        knowsLayout = true
        engineVersion = entry.facts.version
        engineCommit = entry.facts.commit
        hasLayout = true
      }
      if entry.facts.plan.sites.contains(where: { $0.role == .ubatch }) {
        layout.learn(ubatchPositions: entry.facts.ubatchPositions)
        hasLayout = true
      }
    }
    if hasLayout {
      object.state.pointee.layout = layout.offsets
      layout.write(to: &json)
    }
    return notes + layout.notes[before...]
  }

  /// The CPUs that it may use: which ceilings count for it.
  private func describeTarget(_ pid: Int32, to json: inout JSONWriter) {
    let cpus = Processor.allowed(to: pid)
    guard !cpus.isEmpty else { return }
    json.object("target") { json in
      json.array("cpus") { json in for cpu in cpus { json.number(nil, cpu) } }
    }
  }

  private func describeEngine(to json: inout JSONWriter) {
    json.object("engine") { json in
      json.string("name", "ggml")
      if let engineVersion { json.string("version", engineVersion) }
      if let engineCommit { json.string("commit", engineCommit) }
      guard let engineNames else { return }
      json.string("op_names_source", engineNames.source)
      names("op_names", engineNames.operators, to: &json)
      if !engineNames.unary.isEmpty { names("unary_op_names", engineNames.unary, to: &json) }
      if !engineNames.glu.isEmpty { names("glu_op_names", engineNames.glu, to: &json) }
    }
  }

  private func names(_ key: StaticString, _ names: [String], to json: inout JSONWriter) {
    json.array(key) { json in for name in names { json.string(nil, name) } }
  }
}

/// A file of the engine that a process has mapped.
private struct Found {
  var library: MappedLibrary
  /// Where this process can open it.
  var path: String
  var facts: FileFacts
}
