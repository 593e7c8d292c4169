import Testing

@testable import ProbeSites

/// Instructions as objdump shows them, the branch last.
@Suite struct NodeCountTestTests {
  struct Case: CustomStringConvertible, Sendable {
    var description: String
    var code: [String]
    var decides: Bool

    init(_ description: String, _ code: [String], _ decides: Bool) {
      (self.description, self.code, self.decides) = (description, code, decides)
    }
  }

  static let x86 = [
    Case("cmp %r12d,0x4(%rbp); jle", ["44 39 65 04", "7e 3e"], true),
    Case("cmp 0x4(%rbx),%eax; jge near", ["3b 43 04", "0f 8d d8 e7 ff ff"], true),
    Case("cmp %ebx,0x4(%r12); jle", ["41 39 5c 24 04", "7e 1e"], true),
    Case("mov 0x4(%rbp),%ecx; cmp %r15d,%ecx; jle", ["8b 4d 04", "44 39 f9", "7e 28"], true),
    Case("mov between comparison and branch", ["44 39 65 04", "48 89 c7", "7e 3e"], true),
    Case("equal is no order", ["44 39 65 04", "74 3e"], false),
    Case("8 bytes", ["48 39 45 04", "7e 3e"], false),
    Case("another offset", ["44 39 65 08", "7e 3e"], false),
    Case("the stack: cmp %eax,0x4(%rsp)", ["39 44 24 04", "7e 3e"], false),
    Case("an index: cmp %eax,0x4(%rax,%rcx)", ["39 44 08 04", "7e 3e"], false),
    Case(
      "overwritten: mov 0x4(%rbp),%ecx; xor %ecx,%ecx; cmp", ["8b 4d 04", "31 c9", "44 39 f9", "7e 28"], false
    ),
    Case("other flags: cmp; test; jle", ["44 39 65 04", "85 c0", "7e 3e"], false),
  ]

  @Test(arguments: x86) func onX86(_ test: Case) throws {
    let file = try FixtureFile("x86_64-gomp.so")
    check(test, try file.elf()) { Array(hexBytes($0)) }
  }

  static let arm64 = [
    Case("ldr w1, [x22, #4]; cmp w1, w19; b.le", ["b94006c1", "6b13003f", "5400014d"], true),
    Case(
      "ldr w8, [x22, #4]; add w27, w28, #1; cmp w27, w8; b.ge",
      ["b94006c8", "1100079b", "6b08037f", "54fff34a"], true),
    Case("b.eq", ["b94006c1", "6b13003f", "54000140"], false),
    Case("x register", ["f94006c1", "6b13003f", "5400014d"], false),
    Case("the stack", ["b94007e1", "6b13003f", "5400014d"], false),
    Case("overwritten: mov w1, w0", ["b94006c1", "2a0003e1", "6b13003f", "5400014d"], false),
    Case("other flags: tst w0, #1", ["b94006c1", "6b13003f", "7200001f", "5400014d"], false),
    Case("cbz", ["b94006c1", "6b13003f", "34000140"], false),
  ]

  @Test(arguments: arm64) func onARM64(_ test: Case) throws {
    let file = try FixtureFile("aarch64-gomp.so")
    check(test, try file.elf()) { text in
      let word = UInt32(text, radix: 16)!
      return (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) }
    }
  }

  /// Puts the code in place of the file's own.
  private func check(_ test: Case, _ elf: ELFFile, _ bytes: (String) -> [UInt8]) {
    let code = UnsafeMutableRawBufferPointer(mutating: elf.bytes)
    var address = elf.symbol("ggml_compute_forward_rms_norm_mul_fused")!.address
    var recognised = NodeCountTest()
    for (index, text) in test.code.enumerated() {
      let new = bytes(text)
      let offset = Int(elf.fileOffset(of: address)!)
      for (position, byte) in new.enumerated() { code[offset + position] = byte }
      guard let instruction = elf.instruction(at: address), instruction.length == new.count else {
        Issue.record("\(text) is not one instruction")
        return
      }
      if index == test.code.count - 1 {
        #expect(recognised.decides(instruction) == test.decides)
      } else {
        recognised.see(instruction)
      }
      address = instruction.next
    }
  }
}
