import Testing

@testable import ProbeSites

@Suite struct X86DecoderTests {
  @Test(arguments: X86Instructions.table) func lengthIsObjdumps(_ instruction: (bytes: String, text: String))
  {
    // Behind the instruction stands what must not be read into it.
    let expected = hexBytes(instruction.bytes)
    let decoded = (expected + [UInt8](repeating: 0x05, count: 16)).withUnsafeBytes {
      X86Instruction.decode($0, at: 0)
    }
    #expect(decoded?.length == expected.count, "\(instruction.text)")
  }

  @Test(arguments: X86Instructions.table) func cutInstructionIsNone(
    _ instruction: (bytes: String, text: String)
  ) {
    let whole = hexBytes(instruction.bytes)
    for count in 0..<whole.count {
      let decoded = Array(whole[..<count]).withUnsafeBytes { X86Instruction.decode($0, at: 0) }
      // A shorter prefix of bytes may be an instruction of its own, but never one that reads past the end.
      #expect(decoded == nil || decoded!.length <= count, "\(instruction.text) cut at \(count)")
    }
  }

  @Test func moreThanFifteenBytesIsNone() {
    #expect(decodeX86("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90")?.length == 15)
    #expect(decodeX86("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90") == nil)
  }

  @Test(arguments: [
    "06", "27", "60", "82 00 00", "9a", "ce", "d4 0a", "ea", "0f 04", "0f 24 c0", "c4 e0 78 10 c0",
  ])
  func invalidIsNone(_ bytes: String) {
    #expect(decodeX86(bytes + " 00 00 00 00 00 00") == nil)
  }

  @Test func classes() {
    let expected: [(String, InstructionClass)] = [
      ("0f 1f 44 00 00", .nop5), ("90", .nop), ("0f 1f 40 00", .nop), ("66 0f 1f 44 00 00", .nop),
      ("66 90", .refused), ("66 2e 0f 1f 84 00 00 00 00 00", .refused), ("eb 05", .jump),
      ("e9 00 01 00 00", .jump), ("74 05", .jump), ("0f 8f 00 01 00 00", .jump), ("55", .push),
      ("41 55", .push),
      ("e8 00 00 00 00", .call), ("f3 0f 1e fa", .singleStepped), ("48 89 e5", .singleStepped),
      ("48 83 ec 08", .singleStepped), ("ff 70 10", .singleStepped), ("c3", .singleStepped),
      ("ff 15 00 00 00 00", .singleStepped), ("f0 0f c1 07", .refused), ("cc", .refused),
      ("3e ff e0", .refused),
      ("41 90", .singleStepped), ("c5 f8 28 c1", .singleStepped),
    ]
    for (bytes, kind) in expected { #expect(decodeX86(bytes)?.kind == kind, "\(bytes)") }
  }

  @Test func controlFlow() {
    let at: UInt64 = 0x1000
    let expected: [(String, ControlFlow)] = [
      ("e8 fb ff ff ff", .call(0x1000)), ("eb fe", .jump(0x1000)), ("e9 00 01 00 00", .jump(0x1105)),
      ("75 10", .branch(0x1012)), ("0f 84 00 00 00 80", .branch(0xffff_ffff_8000_1006)),
      ("ff 15 10 00 00 00", .callThrough(0x1016)), ("ff 25 10 00 00 00", .jumpThrough(0x1016)),
      ("f2 ff 25 10 00 00 00", .jumpThrough(0x1017)), ("ff d0", .indirectCall), ("ff e0", .indirectJump),
      ("ff 24 c5 00 00 00 00", .indirectJump), ("c3", .functionReturn), ("f2 c3", .functionReturn),
      ("0f 0b", .trap), ("55", .sequential), ("ff 70 10", .sequential), ("c5 f8 77", .sequential),
    ]
    for (bytes, flow) in expected { #expect(decodeX86(bytes)?.flow(at: at) == flow, "\(bytes)") }
  }

  @Test func writtenRegisters() {
    let rax: UInt32 = 1 << 0
    let rdx: UInt32 = 1 << 2
    let rsp: UInt32 = 1 << 4
    let rsi: UInt32 = 1 << 6
    let rdi: UInt32 = 1 << 7
    let expected: [(String, UInt32?)] = [
      ("48 89 f8", rax), ("48 89 c7", rdi), ("48 8b 7e 08", rdi), ("48 89 77 08", 0), ("55", rsp),
      ("48 83 ec 08", rsp), ("85 f6", 0), ("48 85 ff", 0), ("83 fe 01", 0), ("31 f6", rsi), ("39 fe", 0),
      ("40 0f b6 f6", rsi), ("48 63 f7", rsi), ("5f", rsp | rdi), ("f7 e6", rax | rdx),
      ("be 01 00 00 00", rsi),
      ("41 be 01 00 00 00", 1 << 14), ("48 8d 7c 24 08", rdi), ("88 d6", rdx), ("40 88 d6", rsi),
      ("0f 45 f7", rsi), ("0f 94 c2", rdx), ("66 0f 7e c7", rdi), ("f3 0f 7e c7", 0), ("0f 28 c1", 0),
      ("c5 f8 28 c1", 0), ("c4 e1 f9 7e c7", nil), ("0f a2", nil), ("0f d7 f9", nil), ("f3 0f 1e fa", 0),
      ("f3 48 0f 1e cf", nil), ("48 87 fe", rdi | rsi), ("f3 48 ab", nil), ("90", 0),
    ]
    for (bytes, registers) in expected {
      let decoded = decodeX86(bytes)
      #expect(decoded != nil)
      #expect(decoded?.writtenRegisters == registers, "\(bytes)")
    }
  }

  @Test func text() {
    let expected = [
      ("41 55", "push %r13"), ("53", "push %rbx"), ("90", "nop"), ("f3 0f 1e fa", "endbr64"), ("c3", "ret"),
      ("74 0e", "je 0x1010"), ("e8 fb ff ff ff", "call 0x1000"), ("eb fe", "jmp 0x1000"),
      ("48 83 ec 08", "sub (raw)"), ("0f a2", "(raw)"),
    ]
    for (bytes, text) in expected {
      #expect(decodeX86(bytes)?.text(at: 0x1000, raw: "raw", target: nil) == text)
    }
    #expect(decodeX86("e8 00 00 00 00")?.text(at: 0, raw: "", target: "ggml_barrier") == "call ggml_barrier")
  }
}
