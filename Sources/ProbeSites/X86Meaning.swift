/// What an x86-64 instruction does, as far as choosing a probe site needs it.
extension X86Instruction {
  var isEndbr64: Bool {
    encoding == .legacy && map == 1 && opcode == 0x1e && repeatPrefix == 0xf3 && modRM == 0xfa
  }

  /// `call *slot(%rip)` and `jmp *slot(%rip)` resolve to the slot.
  func flow(at address: UInt64) -> ControlFlow {
    guard encoding == .legacy else { return .sequential }
    let next = address &+ UInt64(length)
    let target = next &+ UInt64(bitPattern: immediate)
    switch (map, opcode) {
    case (0, 0x70...0x7f), (0, 0xe0...0xe3), (1, 0x80...0x8f): return .branch(target)
    case (0, 0xe8): return .call(target)
    case (0, 0xe9), (0, 0xeb): return .jump(target)
    case (0, 0xc2), (0, 0xc3), (0, 0xca), (0, 0xcb), (0, 0xcf): return .functionReturn
    case (0, 0xcc), (0, 0xf4), (1, 0x0b), (1, 0xb9), (1, 0xff): return .trap
    case (0, 0xff):
      let slot = next &+ UInt64(bitPattern: Int64(displacement))
      switch modRMOpcode {
      case 2: return isRelativeToNext ? .callThrough(slot) : .indirectCall
      case 3: return .indirectCall
      case 4: return isRelativeToNext ? .jumpThrough(slot) : .indirectJump
      case 5: return .indirectJump
      default: return .sequential
      }
    default: return .sequential
    }
  }

  /// How the kernel treats a uprobe on this instruction.
  var kind: InstructionClass {
    // arch/x86/kernel/uprobes.c: these prefixes are not accepted, nor is 66 before what would be emulated.
    if hasLegacySegmentPrefix || hasLockPrefix { return .refused }
    guard encoding == .legacy else { return .singleStepped }
    switch (map, opcode) {
    case (0, 0x90) where rex & 1 == 0 && repeatPrefix == 0: return hasOperandSizePrefix ? .refused : .nop
    case (0, 0x50...0x57): return hasOperandSizePrefix ? .singleStepped : .push
    case (0, 0x70...0x7f), (0, 0xe9), (0, 0xeb), (1, 0x80...0x8f):
      return hasOperandSizePrefix ? .refused : .jump
    case (0, 0xe8): return hasOperandSizePrefix ? .refused : .call
    case (0, 0xcc), (0, 0xf4), (0, 0xfa), (0, 0xfb), (0, 0xf1), (0, 0xe4...0xe7), (0, 0xec...0xef), (0, 0xcd):
      return .refused
    case (0, 0x6c...0x6f), (0, 0xcf): return .refused
    case (1, 0x0b), (1, 0xb9), (1, 0xff): return .refused
    case (1, 0x1f):
      // 0F 1F 44 00 00, which newer kernels replace by a call.
      let isNop5 = length == 5 && modRM == 0x44 && sib == 0 && displacement == 0
      return isNop5 && !hasOperandSizePrefix && rex == 0 ? .nop5 : .nop
    default: return .singleStepped
    }
  }

  /// General registers written, bit n = register n in encoding order (rax rcx rdx rbx rsp rbp rsi rdi r8 …).
  /// nil when this is not known for the instruction: the caller must take that as "all".
  var writtenRegisters: UInt32? {
    func bit(_ register: UInt8) -> UInt32 { 1 << UInt32(register) }
    /// Byte registers 4...7 without REX are the second bytes of the first four.
    func byteBit(_ register: UInt8) -> UInt32 { bit(rex == 0 && register >= 4 ? register & 3 : register) }
    let target = modRMMode == 3 ? bit(registerOrMemory) : 0
    let byteTarget = modRMMode == 3 ? byteBit(registerOrMemory) : 0
    let rax: UInt32 = 1
    let rdx: UInt32 = 4
    let rsp: UInt32 = 16

    if encoding == .vex || encoding == .evex {
      // Moves and logic between vector registers and memory; others may write general registers.
      let harmless: Bool =
        switch (map, opcode) {
        case (1, 0x10), (1, 0x11), (1, 0x28), (1, 0x29), (1, 0x57), (1, 0x6e), (1, 0x6f), (1, 0x7f),
          (1, 0xd6),
          (1, 0xef), (1, 0xe7), (1, 0x77):
          true
        default: false
        }
      return harmless ? 0 : nil
    }
    guard encoding == .legacy else { return nil }
    switch (map, opcode) {
    case (0, 0x00...0x3f):
      if opcode >> 3 == 7 { return 0 }
      switch opcode & 7 {
      case 0: return byteTarget
      case 1: return target
      case 2: return byteBit(register)
      case 3: return bit(register)
      default: return rax
      }
    case (0, 0x50...0x57), (0, 0x68), (0, 0x6a): return rsp
    case (0, 0x58...0x5f): return rsp | bit(opcode & 7 | (rex & 1) << 3)
    case (0, 0x63), (0, 0x69), (0, 0x6b), (0, 0x8b), (0, 0x8d): return bit(register)
    case (0, 0x70...0x7f), (0, 0xe9), (0, 0xeb), (0, 0xe8), (0, 0x84), (0, 0x85), (0, 0xa8), (0, 0xa9):
      return 0
    case (0, 0x80): return modRMOpcode == 7 ? 0 : byteTarget
    case (0, 0x81), (0, 0x83): return modRMOpcode == 7 ? 0 : target
    case (0, 0x86): return byteTarget | byteBit(register)
    case (0, 0x87): return target | bit(register)
    case (0, 0x88), (0, 0xc6), (0, 0xc0), (0, 0xd0), (0, 0xd2): return byteTarget
    case (0, 0x89), (0, 0xc7), (0, 0xc1), (0, 0xd1), (0, 0xd3): return target
    case (0, 0x8a): return byteBit(register)
    case (0, 0x90) where rex & 1 == 0: return 0
    case (0, 0x98): return rax
    case (0, 0x99): return rdx
    case (0, 0xb0...0xb7): return byteBit(opcode & 7 | (rex & 1) << 3)
    case (0, 0xb8...0xbf): return bit(opcode & 7 | (rex & 1) << 3)
    case (0, 0xf6), (0, 0xf7):
      switch modRMOpcode {
      case 0, 1: return 0
      case 2, 3: return opcode == 0xf6 ? byteTarget : target
      default: return rax | rdx
      }
    case (0, 0xfe): return byteTarget
    case (0, 0xff):
      switch modRMOpcode {
      case 0, 1: return target
      case 6: return rsp
      default: return nil
      }
    case (1, 0x1e): return isEndbr64 || repeatPrefix == 0 ? 0 : nil
    case (1, 0x0d), (1, 0x18...0x1d), (1, 0x1f): return 0
    case (1, 0x10...0x17), (1, 0x28), (1, 0x29), (1, 0x2a), (1, 0x2e), (1, 0x2f): return 0
    case (1, 0x51...0x6f), (1, 0x74...0x76), (1, 0x7f): return 0
    case (1, 0x7e): return repeatPrefix == 0xf3 ? 0 : target
    case (1, 0x40...0x4f), (1, 0xaf), (1, 0xb6), (1, 0xb7), (1, 0xbe), (1, 0xbf): return bit(register)
    case (1, 0x80...0x8f), (1, 0xa3): return 0
    case (1, 0x90...0x9f): return byteTarget
    case (1, 0xd4...0xd6), (1, 0xd8...0xfe): return 0
    default: return nil
    }
  }

  private static let registerNames: [StaticString] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
  ]
  private static let conditions: [StaticString] = [
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
  ]

  /// AT&T syntax for the instructions that a plan prefers; `raw` bytes with a mnemonic for the rest.
  func text(at address: UInt64, raw: String, target: String?) -> String {
    switch flow(at: address) {
    case .call(let to): return "call " + (target ?? hexadecimal(to))
    case .callThrough(let slot): return "call *" + (target ?? hexadecimal(slot))
    case .jump(let to): return "jmp " + (target ?? hexadecimal(to))
    case .branch(let to) where !(map == 0 && opcode >= 0xe0):
      return "j\(Self.conditions[Int(opcode & 15)]) " + hexadecimal(to)
    case .functionReturn: return "ret"
    default: break
    }
    if isEndbr64 { return "endbr64" }
    let mnemonic: StaticString
    switch (encoding, map, opcode) {
    case (.legacy, 0, 0x50...0x57): return "push %\(Self.registerNames[Int(opcode & 7 | (rex & 1) << 3)])"
    case (.legacy, 0, 0x90) where rex & 1 == 0: return "nop"
    case (.legacy, 1, 0x1f): return "nop (\(raw))"
    case (.legacy, 0, 0x88...0x8b), (.legacy, 0, 0xb0...0xbf), (.legacy, 0, 0xc6), (.legacy, 0, 0xc7):
      mnemonic = "mov"
    case (.legacy, 0, 0x8d): mnemonic = "lea"
    case (.legacy, 0, 0x63): mnemonic = "movslq"
    case (.legacy, 0, 0x84), (.legacy, 0, 0x85): mnemonic = "test"
    case (.legacy, 0, 0x80...0x83): mnemonic = Self.arithmetic(modRMOpcode)
    case (.legacy, 0, 0x00...0x3f): mnemonic = Self.arithmetic(opcode >> 3)
    case (.legacy, 0, 0xff) where modRMOpcode == 6: mnemonic = "push"
    case (.legacy, 1, 0xb6), (.legacy, 1, 0xb7): mnemonic = "movz"
    default: return "(\(raw))"
    }
    return "\(mnemonic) (\(raw))"
  }

  private static func arithmetic(_ number: UInt8) -> StaticString {
    switch number {
    case 0: "add"
    case 1: "or"
    case 2: "adc"
    case 3: "sbb"
    case 4: "and"
    case 5: "sub"
    case 6: "xor"
    default: "cmp"
    }
  }
}
