import ProbeSites

/// What a file offers to the probes, as `pi-record doctor` shows it.
struct FileReport {
  let elf: ELFFile
  let plan: SitePlan
  private let file: MappedFile
  private let names: Result<NameTable?, NameTableError>

  /// nil where the file cannot be read or is no ELF file of a processor that is known here.
  init?(path: String) {
    guard let file = MappedFile(path: path) else { return nil }
    do throws(ELFError) { elf = try ELFFile(file.bytes) } catch { return nil }
    self.file = file
    plan = planSites(in: elf)
    do throws(NameTableError) { names = .success(try operatorNames(in: elf)) } catch {
      names = .failure(error)
    }
  }

  /// Whether it is a part of llama.cpp at all.
  var isEngine: Bool {
    if !plan.sites.isEmpty { return true }
    if case .success(nil) = names { return false }
    return true
  }

  func print(name: String) {
    Console.print("\(name)\n")
    line("processor", elf.machine == .x86_64 ? "x86_64" : "aarch64")
    let identifier = elf.buildID.reduce("") { $0 + ($1 < 16 ? "0" : "") + String($1, radix: 16) }
    line("build id", identifier.isEmpty ? "none" : identifier)
    guard isEngine else {
      line("engine", "this is no part of llama.cpp: it has none of the functions to probe")
      return
    }
    if let version = elf.text(returnedBy: "ggml_version") {
      line("ggml", version + (elf.text(returnedBy: "ggml_commit").map { " (\($0))" } ?? ""))
    }
    switch names {
    case .success(let table?):
      line("operators", "\(readNames(table, in: elf).count) names, from \(table.source)")
    case .success(nil): break
    case .failure(let error): line("operators", error.description)
    }
    if let offset = elf.ubatchPositionsOffset() { line("llama_ubatch", "positions at offset \(offset)") }
    printSites()
  }

  private func printSites() {
    if !plan.sites.isEmpty {
      Console.print("  sites\n")
      for site in plan.sites {
        let cost =
          site.expectedNanoseconds == 0 ? "cost not measured" : "about \(site.expectedNanoseconds) ns a hit"
        Console.print(
          "    " + Doctor.padded(site.role.rawValue, 24)
            + Doctor.padded("0x" + String(site.address, radix: 16), 11)
            + Doctor.padded(site.instruction, 32) + Doctor.padded(site.instructionClass.rawValue, 14)
            + (site.kind == .functionReturn ? cost + ", and a return trap" : cost) + "\n")
      }
    }
    guard !plan.missing.isEmpty else { return }
    Console.print("  without a site\n")
    for missing in plan.missing {
      Console.print("    " + Doctor.padded(missing.role.rawValue, 24) + missing.reason + "\n")
      if !missing.hint.isEmpty { Console.print("    " + Doctor.padded("", 24) + missing.hint + "\n") }
    }
  }

  private func line(_ key: String, _ value: String) {
    Console.print("  \(Doctor.padded(key, 13)) \(value)\n")
  }
}
