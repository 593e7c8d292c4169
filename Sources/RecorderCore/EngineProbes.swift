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

  private let object: ProbeObject
  private let roles: [SiteRole]
  private var examined: [(pid: Int32, inode: UInt64)] = []
  /// Size of each process when its maps were last read.
  private var mappedPages: [(pid: Int32, pages: UInt64)] = []
  private var libraryCount = 0
  private(set) var attached: [Attached] = []
  /// The operators' names in enum order, empty until a file gave them.
  private(set) var operatorNames: [String] = []

  init(object: ProbeObject, roles: [SiteRole]) {
    self.object = object
    self.roles = roles
  }

  func has(_ role: SiteRole) -> Bool { attached.contains { $0.site.role == role } }

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
    defer { if isStopped { _ = shim_kill(pid, shim_sigcont) } }
    for library in libraries where !examined.contains(where: { $0.pid == pid && $0.inode == library.inode }) {
      examined.append((pid, library.inode))
      guard let entry = Found(library, pid: pid, roles: roles) else { continue }
      if stop, !isStopped { isStopped = shim_kill(pid, shim_sigstop) == 0 }
      found.append(entry)
    }
    if found.isEmpty { return nil }

    var json = JSONWriter()
    var failure: RecorderError?
    json.object { json in
      let firstLibrary = libraryCount
      let firstSite = attached.count
      json.array("libraries") { json in
        for (offset, entry) in found.enumerated() {
          describe(entry.library, entry.elf, index: firstLibrary + offset, pid: pid, to: &json)
        }
      }
      do throws(RecorderError) { try attach(found, firstLibrary: firstLibrary, pid: pid) } catch {
        failure = error
      }
      libraryCount += found.count
      json.array("sites") { json in
        for index in firstSite..<attached.count { describe(attached[index], index: index, to: &json) }
      }
      var notes: [String] = []
      for entry in found where operatorNames.isEmpty { readNames(in: entry.elf, notes: &notes, to: &json) }
      for entry in found where !entry.plan.sites(.ubatch).isEmpty {
        readOffsets(in: entry.elf, notes: &notes, to: &json)
      }
      json.array("notes") { json in
        for note in notes { json.string(nil, note) }
        for entry in found {
          for missing in entry.plan.missing where roles.contains(missing.role) {
            json.string(nil, "\(missing.role.rawValue): \(missing.reason) (\(entry.library.path))")
          }
        }
      }
    }
    if let failure { throw failure }
    return json
  }

  /// From the inside of a token step out, ends before begins: a step whose begin is recorded is then recorded
  /// whole, although the target goes on meanwhile.
  private func attach(_ found: [Found], firstLibrary: Int, pid: Int32) throws(RecorderError) {
    for role in SiteRole.allCases.reversed() {
      for (offset, entry) in found.enumerated() {
        for site in entry.plan.sites(role) {
          try object.attach(site, path: entry.path, pid: pid)
          attached.append(Attached(site: site, library: firstLibrary + offset))
        }
      }
    }
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

  private func describe(
    _ library: MappedLibrary, _ elf: ELFFile, index: Int, pid: Int32, to json: inout JSONWriter
  ) {
    json.object { json in
      json.number("index", index)
      json.string("path", library.path)
      json.string("build_id", elf.buildID.reduce("") { $0 + ($1 < 16 ? "0" : "") + String($1, radix: 16) })
      json.hex("load_address", library.start &- library.offset)
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
      json.number("expected_ns", site.expectedNanoseconds)
    }
  }

  private func readOffsets(in elf: ELFFile, notes: inout [String], to json: inout JSONWriter) {
    guard let offset = elf.ubatchPositionsOffset() else {
      notes.append("ubatch: positions are not recorded: no code tells where llama_ubatch keeps them")
      return
    }
    object.state.pointee.ubatch_positions = offset
    json.object("layout") { json in json.number("ubatch_pos", offset) }
  }

  /// From the file, not from the process: its dynamic linker may not have relocated the tables yet.
  private func readNames(in elf: ELFFile, notes: inout [String], to json: inout JSONWriter) {
    let operators = table(notes: &notes) { () throws(NameTableError) in try ProbeSites.operatorNames(in: elf)
    }
    guard let operators else { return }
    operatorNames = ProbeSites.readNames(operators, in: elf)
    if operatorNames.isEmpty { return }
    if let number = operatorNames.firstIndex(of: "MUL_MAT_ID") {
      object.state.pointee.op_mul_mat_id = Int32(number)
    }
    let unary = table(notes: &notes) { () throws(NameTableError) in try unaryOperatorNames(in: elf) }
    let glu = table(notes: &notes) { () throws(NameTableError) in try gluOperatorNames(in: elf) }
    json.object("engine") { json in
      json.string("name", "ggml")
      json.string("op_names_source", operators.source)
      names("op_names", operatorNames, to: &json)
      if let unary { names("unary_op_names", ProbeSites.readNames(unary, in: elf), to: &json) }
      if let glu { names("glu_op_names", ProbeSites.readNames(glu, in: elf), to: &json) }
    }
  }

  /// A table that cannot be read leaves operators with numbers for names; the trace says why.
  private func table(
    notes: inout [String], _ find: () throws(NameTableError) -> NameTable?
  ) -> NameTable? {
    do throws(NameTableError) { return try find() } catch {
      notes.append(error.description)
      return nil
    }
  }

  private func names(_ key: StaticString, _ names: [String], to json: inout JSONWriter) {
    json.array(key) { json in for name in names { json.string(nil, name) } }
  }
}

/// A file with code to probe, or with the operators' names.
private struct Found {
  var library: MappedLibrary
  /// Where this process can open it.
  var path: String
  var file: MappedFile
  var elf: ELFFile
  var plan: SitePlan

  init?(_ library: MappedLibrary, pid: Int32, roles: [SiteRole]) {
    path = ProcessMaps.reachablePath(library, pid: pid)
    guard let file = MappedFile(path: path) else { return nil }
    do throws(ELFError) { elf = try ELFFile(file.bytes) } catch { return nil }
    self.library = library
    self.file = file
    plan = planSites(in: elf)
    // A preloaded library that wraps some of the functions is not the engine: the engine has the rest, too.
    let isBackend = elf.symbol("ggml_graph_plan") != nil
    let isModel = elf.symbol("llama_model_default_params") != nil
    plan.sites.removeAll { site in
      switch site.role.part {
      case .backend: !isBackend || !roles.contains(site.role)
      case .model: !isModel || !roles.contains(site.role)
      case .common: !roles.contains(site.role)
      }
    }
    if plan.sites.isEmpty, elf.symbol("ggml_op_name") == nil { return nil }
  }
}
