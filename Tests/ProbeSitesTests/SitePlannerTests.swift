import Testing

@testable import ProbeSites

/// Sites in the built fixtures. The addresses were read from `objdump -d`, not from the planner.
@Suite struct SitePlannerTests {
  struct Expected: CustomStringConvertible, Sendable {
    var file: String
    var operatorBegin: UInt64
    var operatorFused: UInt64
    var barrierLoop: UInt64
    var barrierFinal: UInt64
    var decode: UInt64
    var ubatchReturns: [UInt64]
    var description: String { file }
  }

  static let expected = [
    // op_begin: `jle`, behind `mov 4(%rdi),%eax; test`, because what follows moves the arguments.
    Expected(
      file: "x86_64-plt.so", operatorBegin: 0xa15, operatorFused: 0xa70, barrierLoop: 0xbe3,
      barrierFinal: 0xb55,
      decode: 0xdd0, ubatchReturns: [0xdb3, 0xdc3]),
    Expected(
      file: "x86_64-endbr.so", operatorBegin: 0xb59, operatorFused: 0xbb4, barrierLoop: 0xd33,
      barrierFinal: 0xca5,
      decode: 0xf34, ubatchReturns: [0xf1b, 0xf2b]),
    Expected(
      file: "x86_64-noplt.so", operatorBegin: 0x965, operatorFused: 0x9c0, barrierLoop: 0xb33,
      barrierFinal: 0xaa5,
      decode: 0xd40, ubatchReturns: [0xd24, 0xd34]),
    // The final barrier is a tail call.
    Expected(
      file: "x86_64-clang.so", operatorBegin: 0x1890, operatorFused: 0x18f0, barrierLoop: 0x1b2c,
      barrierFinal: 0x1b71, decode: 0x1bf0, ubatchReturns: [0x1bee]),
    // Both operator functions begin with `stp`; the calls of op_begin and the first `bl` of op_fused are cheaper.
    Expected(
      file: "aarch64-plt.so", operatorBegin: 0xcdc, operatorFused: 0xb94, barrierLoop: 0xd1c,
      barrierFinal: 0xc80,
      decode: 0xf60, ubatchReturns: [0xf1c, 0xf40]),
    Expected(
      file: "aarch64-bti.so", operatorBegin: 0xdb8, operatorFused: 0xc68, barrierLoop: 0xdf8,
      barrierFinal: 0xd58,
      decode: 0x1074, ubatchReturns: [0x1024, 0x104c]),
    // No jump table: the barrier inside MUL_MAT (0x10b64) can be reached by direct branches.
    Expected(
      file: "aarch64-clang.so", operatorBegin: 0x108f8, operatorFused: 0x10970, barrierLoop: 0x10bc8,
      barrierFinal: 0x10c18, decode: 0x10cc8, ubatchReturns: [0x10cb4]),
  ]

  @Test(arguments: expected) func sites(_ expected: Expected) throws {
    let file = try FixtureFile(expected.file)
    let plan = planSites(in: try file.elf())
    func addresses(_ role: SiteRole) -> [UInt64] { plan.sites(role).map(\.address) }
    #expect(addresses(.opBegin) == [expected.operatorBegin])
    #expect(addresses(.opFused) == [expected.operatorFused])
    #expect(addresses(.barrierLoop) == [expected.barrierLoop])
    #expect(addresses(.barrierFinal) == [expected.barrierFinal])
    #expect(addresses(.tokenDecode) == [expected.decode])
    #expect(addresses(.ubatchReturn) == expected.ubatchReturns)
    // The fixture has no llama_encode, and that is all that is missing.
    #expect(plan.missing.map(\.role) == [.tokenEncode])
    for role in [SiteRole.graph, .backendGraph, .tokenProcess, .ubatch, .sampleLlama, .warmup] {
      #expect(plan.sites(role).count == 1, "\(role.rawValue)")
    }
  }

  @Test(arguments: fixtureNames) func everySiteIsConsistent(_ name: String) throws {
    let file = try FixtureFile(name)
    let elf = try file.elf()
    let plan = planSites(in: elf)
    let entries: [SiteRole: SiteRole] = [
      .tokenDecodeReturn: .tokenDecode, .tokenProcessReturn: .tokenProcess, .graphReturn: .graph,
      .backendGraphReturn: .backendGraph,
    ]
    for site in plan.sites {
      #expect(elf.fileOffset(of: site.address) == site.fileOffset)
      #expect(elf.address(ofFileOffset: site.fileOffset) == site.address)
      #expect(site.instructionClass != .refused)
      #expect(site.expectedNanoseconds == site.instructionClass.expectedNanoseconds(on: elf.machine))
      #expect(!site.instruction.isEmpty)
      #expect((site.kind == .functionReturn) == (entries[site.role] != nil))
      if let entry = entries[site.role] {
        // On x86_64 one trap serves both; on aarch64 the return address may move after the first instruction.
        let expected =
          elf.machine == .x86_64 ? plan.sites(entry).map(\.address) : [elf.symbol(site.function)?.address]
        #expect(expected == [site.address])
      }
      if [.ubatchReturn, .sampleLlamaReturn].contains(site.role) {
        #expect(site.instruction == "ret" || site.instructionClass == .jump)
      }
    }
  }

  @Test func readableInstructions() throws {
    let file = try FixtureFile("x86_64-endbr.so")
    let plan = planSites(in: try file.elf())
    #expect(plan.sites(.tokenDecode).map(\.instruction) == ["push %rbx"])
    #expect(plan.sites(.tokenDecode).map(\.instructionClass) == [.push])
    #expect(plan.sites(.tokenDecode).map(\.expectedNanoseconds) == [830])
    #expect(plan.sites(.tokenDecodeReturn).map(\.instruction) == ["push %rbx"])
    #expect(plan.sites(.barrierLoop).map(\.instruction) == ["call ggml_barrier"])
    #expect(plan.sites(.barrierLoop).map(\.function) == ["ggml_barrier"])
    #expect(plan.sites(.ubatch).map(\.function) == ["llama_context::process_ubatch"])
  }

  @Test func stackArgumentsKeepTheStackPointer() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let elf = try file.elf()
    let planner = SitePlanner(elf)
    let function = try #require(elf.symbol("ggml_backend_graph_compute_async"))
    // push %rbp; mov; sub; test; je: the je is the cheapest, but lies behind the push, which moves rsp.
    let free = try #require(planner.entryInstruction(of: function, arguments: 2, keepsStackPointer: false))
    #expect(free.address == 0xd3f)
    let kept = try #require(planner.entryInstruction(of: function, arguments: 2, keepsStackPointer: true))
    #expect(kept.address == 0xd30)
  }

  @Test func emptyPlanWithoutLlama() throws {
    // Renaming what makes the file known leaves nothing to plan and nothing to miss.
    let file = try FixtureFile("x86_64-plt.so")
    for index in 0..<(file.bytes.count - 5)
    where file.bytes[index..<(index + 5)].elementsEqual("ggml_".utf8)
      || file.bytes[index..<(index + 5)].elementsEqual("llama".utf8)
    {
      file.bytes[index] = UInt8(ascii: "x")
    }
    let plan = planSites(in: try file.elf())
    #expect(plan.sites.isEmpty)
    #expect(plan.missing.isEmpty)
  }

  @Test func missingOperatorFunctionIsSaid() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let name = Array("ggml_cpu_extra_compute_forward".utf8)
    for index in 0..<(file.bytes.count - name.count)
    where file.bytes[index..<(index + name.count)].elementsEqual(name) {
      file.bytes[index] = UInt8(ascii: "x")
    }
    let plan = planSites(in: try file.elf())
    #expect(plan.missing.map(\.role) == [.tokenEncode, .opBegin, .barrierLoop, .barrierFinal])
    #expect(plan.missing[1].reason == "the file does not define ggml_cpu_extra_compute_forward")
    #expect(plan.sites(.graph).count == 1)
  }

  @Test func rolesHaveTheNamesOfTheFormat() {
    #expect(Set(SiteRole.allCases.map(\.rawValue)).count == SiteRole.allCases.count)
    #expect(SiteRole.allCases.count == 30)
    #expect(SiteRole.sampleCommonReturn.rawValue == "sample_common_return")
    #expect(SiteRole.opBegin.rawValue == "op_begin")
  }
}
