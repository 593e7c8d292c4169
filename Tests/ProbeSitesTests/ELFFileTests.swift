import Testing

@testable import ProbeSites

@Suite struct ELFFileTests {
  @Test(arguments: fixtureNames) func reading(_ name: String) throws {
    let file = try FixtureFile(name)
    let elf = try file.elf()
    #expect(elf.machineNumber == (name.hasPrefix("x86_64") ? 62 : 183))
    #expect(elf.buildID.count == 20)
    #expect(elf.symbol("ggml_barrier")?.isFunction == true)
    #expect(elf.symbol("ggml_barrie") == nil)
    #expect(elf.symbol("ggml_barrier_") == nil)
    #expect(elf.symbol("") == nil)
    // Fixtures of early 2025 have no process_ubatch.
    let ubatch =
      name.contains("feb2025")
      ? "_Z16llama_set_inputsR13llama_contextRK12llama_ubatch"
      : "_ZN13llama_context14process_ubatchERK12llama_ubatch"
    #expect(elf.symbol(prefix: String(ubatch.prefix(20)))?.name == ubatch)
    #expect(elf.symbols(withPrefix: "op_").map(\.name).sorted() == ["op_add", "op_glu", "op_mul"])
    #expect(elf.fileOffset(of: 0xffff_ffff_ffff_ffff) == nil)
    let barrier = try #require(elf.symbol("ggml_barrier"))
    #expect(elf.function(containing: barrier.address + 1)?.name == "ggml_barrier")
    #expect(elf.function(containing: barrier.address + barrier.size - 1)?.name == "ggml_barrier")
  }

  @Test func buildIDIsReadelfs() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let text = try file.elf().buildID.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    #expect(text == "a675e8d9c89841ca96738d7a92340ad23c3eaa12")
  }

  @Test func callTargetsHoldEveryStub() throws {
    for name in fixtureNames where name != "x86_64-noplt.so" {
      let file = try FixtureFile(name)
      let elf = try file.elf()
      let patterns = [SymbolPattern("ggml_barrier"), SymbolPattern("ggml_is_empty")]
      let targets = CallTargets(of: patterns, defined: elf.symbols(patterns), in: elf)
      let own = try #require(elf.symbol("ggml_barrier"))
      let stubs = targets.addresses.filter { $0.name == 0 && $0.address != own.address }
      #expect(!stubs.isEmpty, "\(name)")
      #expect(targets.name(calledBy: .call(stubs[0].address)) == 0)
      #expect(targets.name(calledBy: .call(own.address)) == 0)
      #expect(targets.name(calledBy: .call(own.address + 1)) == nil)
      #expect(targets.name(jumpedToBy: .jump(own.address)) == 0)
    }
  }

  @Test func errorsTellWhere() throws {
    let cases: [(offset: Int, value: UInt8, at: UInt64, text: String)] = [
      (0, 0, 0, "no ELF magic"), (4, 1, 4, "64-bit"), (5, 2, 4, "little-endian"), (18, 3, 18, "processor"),
      (54, 0, 54, "program header size"), (58, 0, 58, "section header size"), (45, 1, 40, "past the end"),
      (37, 1, 32, "past the end"),
    ]
    for (offset, value, at, text) in cases {
      let file = try FixtureFile("x86_64-plt.so")
      file.bytes[offset] = value
      let error = #expect(throws: ELFError.self) { try file.elf() }
      #expect(error?.offset == at, "\(text)")
      #expect(error?.description.contains(text) == true, "\(error?.description ?? "")")
    }
  }

  @Test func missingSectionHeadersAreSaid() throws {
    let file = try FixtureFile("x86_64-plt.so")
    for index in 40..<48 { file.bytes[index] = 0 }
    let error = #expect(throws: ELFError.self) { try file.elf() }
    guard case .noSections? = error?.kind else {
      Issue.record("expected noSections")
      return
    }
  }
}
