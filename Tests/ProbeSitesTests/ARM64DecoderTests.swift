import Testing

@testable import ProbeSites

/// Words and meanings as `aarch64-linux-gnu-objdump -d` shows them.
@Suite struct ARM64DecoderTests {
  struct Case: CustomStringConvertible, Sendable {
    var word: UInt32
    var text: String
    var flow: ControlFlow
    var kind: InstructionClass
    /// nil = unknown
    var written: UInt32?
    var description: String { text }

    init(_ word: UInt32, _ text: String, _ flow: ControlFlow, _ kind: InstructionClass, _ written: UInt32?) {
      (self.word, self.text, self.flow, self.kind, self.written) = (word, text, flow, kind, written)
    }
  }

  static let sp: UInt32 = 1 << 31
  static let cases: [Case] = [
    Case(0x9400_0004, "bl +0x10", .call(0x1010), .call, 1 << 30),
    Case(0x97ff_ffff, "bl -4", .call(0xffc), .call, 1 << 30),
    Case(0x1400_0004, "b +0x10", .jump(0x1010), .jump, 0),
    Case(0x17ff_fffe, "b -8", .jump(0xff8), .jump, 0),
    Case(0x5400_0080, "b.eq +0x10", .branch(0x1010), .jump, 0),
    Case(0x54ff_ffe1, "b.ne -4", .branch(0xffc), .jump, 0),
    Case(0x3400_0080, "cbz w0, +0x10", .branch(0x1010), .jump, 0),
    Case(0xb5ff_ffe1, "cbnz x1, -4", .branch(0xffc), .jump, 0),
    Case(0x3600_0080, "tbz w0, #0, +0x10", .branch(0x1010), .jump, 0),
    Case(0x3727_ffe2, "tbnz w2, #4, -4", .branch(0xffc), .jump, 0),
    Case(0xd65f_03c0, "ret", .functionReturn, .jump, 0),
    Case(0xd65f_0bff, "retaa", .functionReturn, .refused, 0),
    Case(0xd61f_0220, "br x17", .indirectJump, .jump, 0),
    Case(0xd63f_0020, "blr x1", .indirectCall, .call, 1 << 30),
    Case(0xd71f_0a20, "braa x17, x0", .indirectJump, .refused, 0),
    Case(0xd503_201f, "nop", .sequential, .nop, 0),
    Case(0xd503_245f, "bti c", .sequential, .singleStepped, 0),
    Case(0xd503_233f, "paciasp", .sequential, .singleStepped, 1 << 17 | 1 << 30),
    Case(0xd503_203f, "yield", .sequential, .refused, 1 << 17 | 1 << 30),
    Case(0xd420_0020, "brk #1", .trap, .refused, 0),
    Case(0xd400_0001, "svc #0", .sequential, .refused, nil),
    Case(0xd53b_d041, "mrs x1, tpidr_el0", .sequential, .singleStepped, nil),
    Case(0xd51b_d041, "msr tpidr_el0, x1", .sequential, .refused, nil),
    Case(0xb000_0001, "adrp x1, +1 page", .sequential, .simulated, 1 << 1),
    Case(0x1000_0080, "adr x0, +0x10", .sequential, .simulated, 1 << 0),
    Case(0x5800_0080, "ldr x0, +0x10", .sequential, .refused, nil),
    Case(0xc85f_7c20, "ldxr x0, [x1]", .sequential, .refused, nil),
    Case(0xa9be_7bfd, "stp x29, x30, [sp, #-32]!", .sequential, .singleStepped, sp),
    Case(0xa901_53f3, "stp x19, x20, [sp, #16]", .sequential, .singleStepped, 0),
    Case(0xa941_53f3, "ldp x19, x20, [sp, #16]", .sequential, .singleStepped, 1 << 19 | 1 << 20),
    Case(0xa8c2_7bfd, "ldp x29, x30, [sp], #32", .sequential, .singleStepped, sp | 1 << 29 | 1 << 30),
    Case(0x6dbd_23e9, "stp d9, d8, [sp, #-48]!", .sequential, .singleStepped, sp),
    Case(0xd109_43ff, "sub sp, sp, #592", .sequential, .singleStepped, sp),
    Case(0x9100_03fd, "mov x29, sp", .sequential, .singleStepped, 1 << 29),
    Case(0xf100_043f, "cmp x1, #1", .sequential, .singleStepped, 0),
    Case(0xaa01_03f3, "mov x19, x1", .sequential, .singleStepped, 1 << 19),
    Case(0x2a01_03e0, "mov w0, w1", .sequential, .singleStepped, 1 << 0),
    Case(0xd291_ea0c, "mov x12, #0x8f50", .sequential, .singleStepped, 1 << 12),
    Case(0x3940_0001, "ldrb w1, [x0]", .sequential, .singleStepped, 1 << 1),
    Case(0xf940_0be2, "ldr x2, [sp, #16]", .sequential, .singleStepped, 1 << 2),
    Case(0xf900_0be0, "str x0, [sp, #16]", .sequential, .singleStepped, 0),
    Case(0xf81f_0ffe, "str x30, [sp, #-16]!", .sequential, .singleStepped, sp),
    Case(0xf860_5820, "ldr x0, [x1, w0, uxtw #3]", .sequential, .singleStepped, 1 << 0),
    Case(0x3dc0_0001, "ldr q1, [x0]", .sequential, .singleStepped, 0),
    Case(0xf820_0020, "ldadd x0, x0, [x1]", .sequential, .singleStepped, nil),
    Case(0x1e26_0000, "fmov w0, s0", .sequential, .singleStepped, nil),
  ]

  @Test(arguments: cases) func meaning(_ instruction: Case) {
    #expect(ARM64.flow(instruction.word, at: 0x1000) == instruction.flow)
    #expect(ARM64.kind(instruction.word) == instruction.kind)
    #expect(ARM64.writtenRegisters(instruction.word) == instruction.written)
  }

  @Test func addresses() {
    #expect(ARM64.addressOfADR(0xb000_0001, at: 0x1234) == 0x2000)
    #expect(ARM64.addressOfADR(0xf0ff_ffe1, at: 0x5234) == 0x4000)
    #expect(ARM64.addressOfADR(0x1000_0080, at: 0x1234) == 0x1244)
  }

  @Test func text() {
    #expect(ARM64.text(0x9400_0004, at: 0x1000, target: "ggml_barrier") == "bl ggml_barrier")
    #expect(ARM64.text(0x9400_0004, at: 0x1000, target: nil) == "bl 0x1010")
    #expect(ARM64.text(0x3400_0080, at: 0x1000, target: nil) == "cbz 0x1010")
    #expect(ARM64.text(0x3727_ffe2, at: 0x1000, target: nil) == "tbnz 0xffc")
    #expect(ARM64.text(0xd65f_03c0, at: 0, target: nil) == "ret")
  }
}
