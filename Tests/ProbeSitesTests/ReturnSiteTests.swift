import Testing

@testable import ProbeSites

/// Instructions that stand for a `ret`, which x86_64 kernels single-step.
@Suite struct ReturnSiteTests {
  private func returns(_ file: FixtureFile) throws -> [String] {
    planSites(in: try file.elf()).sites(.ubatchReturn).map {
      "\(String($0.address, radix: 16)) \($0.instruction)"
    }
  }

  @Test func endOfAVector() throws {
    // ec3 test %rdi,%rdi; je ed5; mov; sub %rdi,%rsi; call operator delete; ed5 add $0x20,%rsp; …; ee3 ret.
    // The error's path skips the branch: efa jmp ed5.
    #expect(try returns(FixtureFile("x86_64-gomp.so")) == ["ec6 je 0xed5", "efa jmp 0xed5"])
  }

  @Test func stackProtector() throws {
    // 1d17 cmp 0x48(%rsp),%rax; jne 1d2d, which calls __stack_chk_fail
    #expect(try returns(FixtureFile("x86_64-inlined.so")) == ["1d1c jne 0x1d2d"])
  }

  /// Each of these changes makes the cheaper instruction unsound.
  @Test(
    arguments: [
      ("another call's arguments: sub %rdi,%rsi becomes mov", 0xecd, "48 89 fe"),
      ("a condition of something else: test %rsi,%rdi", 0xec3, "48 85 f7"),
      ("jne instead of je", 0xec6, "75 0d"),
      ("a lone branch behind it: jmp becomes jle", 0xefa, "7e d9"),
      ("a loop back before the ret: pop; pop becomes jne", 0xedf, "75 e2"),
      ("a jump table in the function: jmp *%rax", 0xee8, "ff e0"),
      ("a jump from elsewhere: jmp ed5 in ggml_barrier", 0xa70, "e9 60 04 00 00"),
    ] as [(String, UInt64, String)]
  ) func unsound(_ change: String, _ address: UInt64, _ code: String) throws {
    let file = try FixtureFile("x86_64-gomp.so")
    let offset = Int(try #require(try file.elf().fileOffset(of: address)))
    for (index, byte) in hexBytes(code).enumerated() { file.bytes[offset + index] = byte }
    #expect(try returns(file) == ["ee3 ret"], "\(change)")
  }

  /// The value in rax counts where it is recorded: it is set behind the branch.
  @Test func theResultMustBeThere() throws {
    for (name, function) in [("x86_64-gomp.so", UInt64(0xee3)), ("x86_64-inlined.so", 0x1d2c)] {
      let file = try FixtureFile(name)
      let elf = try file.elf()
      let planner = SitePlanner(elf)
      let symbol = try #require(elf.symbol("_ZN13llama_context14process_ubatchERK12llama_ubatch"))
      #expect(planner.cheaperInstructions(thanReturn: function, of: symbol, keepResult: false) != nil)
      #expect(planner.cheaperInstructions(thanReturn: function, of: symbol, keepResult: true) == nil)
    }
  }

  @Test func othersStay() throws {
    // Two epilogues reached by several ways; arm64 kernels simulate ret.
    #expect(try returns(FixtureFile("x86_64-plt.so")) == ["db3 ret", "dc3 ret"])
    #expect(try returns(FixtureFile("aarch64-gomp.so")) == ["1050 ret"])
  }
}
