/// The aarch64 instructions that matter to a probe site. Words are little-endian instruction words.
enum ARM64 {
  static func flow(_ word: UInt32, at address: UInt64) -> ControlFlow {
    if word & 0x7c00_0000 == 0x1400_0000 {
      let target = address &+ signExtend(word, bits: 26)
      return word >> 31 == 0 ? .jump(target) : .call(target)
    }
    // b.cond, bc.cond
    if word & 0xff00_0000 == 0x5400_0000 { return .branch(address &+ signExtend(word >> 5, bits: 19)) }
    // cbz, cbnz
    if word & 0x7e00_0000 == 0x3400_0000 { return .branch(address &+ signExtend(word >> 5, bits: 19)) }
    // tbz, tbnz
    if word & 0x7e00_0000 == 0x3600_0000 { return .branch(address &+ signExtend(word >> 5, bits: 14)) }
    // br, blr, ret, eret and their pointer-authenticated forms
    if word & 0xfe00_0000 == 0xd600_0000 {
      switch word >> 21 & 7 {
      case 0: return .indirectJump
      case 1: return .indirectCall
      default: return .functionReturn
      }
    }
    // brk, hlt, udf
    if word & 0xffe0_001f == 0xd420_0000 || word & 0xffe0_001f == 0xd440_0000 || word & 0xffff_0000 == 0 {
      return .trap
    }
    return .sequential
  }

  private static func signExtend(_ value: UInt32, bits: UInt32) -> UInt64 {
    let shift = 32 - bits
    return UInt64(bitPattern: Int64(Int32(bitPattern: value << shift) >> Int32(shift)) &* 4)
  }

  static func isADR(_ word: UInt32) -> Bool { word & 0x1f00_0000 == 0x1000_0000 }
  static func isADRP(_ word: UInt32) -> Bool { word & 0x9f00_0000 == 0x9000_0000 }
  /// `bti` with any operand.
  static func isBTI(_ word: UInt32) -> Bool { word & 0xffff_ff3f == 0xd503_241f }

  /// The address that `adr` or `adrp` at `address` computes.
  static func addressOfADR(_ word: UInt32, at address: UInt64) -> UInt64 {
    let immediate = (word >> 5 & 0x7ffff) << 2 | word >> 29 & 3
    let value = UInt64(bitPattern: Int64(Int32(bitPattern: immediate << 11) >> 11))
    return isADRP(word) ? (address & ~0xfff) &+ (value << 12) : address &+ value
  }

  /// As the kernel's arch/arm64/kernel/probes/decode-insn.c decides for uprobes.
  static func kind(_ word: UInt32) -> InstructionClass {
    if word == 0xd503_201f { return .nop }
    if isADR(word) { return .simulated }
    switch flow(word, at: 0) {
    case .jump, .branch: return .jump
    case .call, .indirectCall:
      return isPlainRegisterBranch(word) || word >> 26 == 0x25 ? .call : .refused
    case .indirectJump, .functionReturn: return isPlainRegisterBranch(word) ? .jump : .refused
    case .trap: return .refused
    default: break
    }
    // Loads from a literal address are not simulated for uprobes; exclusive accesses cannot be stepped.
    if word & 0x3b00_0000 == 0x1800_0000 { return .refused }
    if word & 0x3f00_0000 == 0x0800_0000 { return .refused }
    // System instructions: hints are stepped when they are pointer authentication or BTI; msr and svc never.
    if word & 0xffc0_0000 == 0xd500_0000 {
      let isHint = word & 0xffff_f01f == 0xd503_201f
      let number = word >> 5 & 0x7f
      let isSteppable =
        isHint && (isBTI(word) || number == 7 || (8...15).contains(number) || (24...31).contains(number))
      let isMRS = word & 0xfff0_0000 == 0xd530_0000
      return isSteppable || isMRS ? .singleStepped : .refused
    }
    if word & 0xff00_0000 == 0xd400_0000 { return .refused }
    return .singleStepped
  }

  private static func isPlainRegisterBranch(_ word: UInt32) -> Bool {
    // br, blr, ret without authentication (bits 10-11) and not eret.
    word & 0xff9f_fc1f == 0xd61f_0000 && word >> 21 & 3 != 3
  }

  /// Registers written, bit 31 = sp; nil when unknown.
  static func writtenRegisters(_ word: UInt32) -> UInt32? {
    func bit(_ number: UInt32) -> UInt32 { number == 31 ? 0 : 1 << number }
    func baseBit(_ number: UInt32) -> UInt32 { 1 << number }
    let destination = word & 31
    let base = word >> 5 & 31
    if word & 0xffff_f01f == 0xd503_201f {
      // pacia1716 and its like write x17, xpaclri and the rest of the pointer authentication x30.
      return word == 0xd503_201f || isBTI(word) ? 0 : 1 << 17 | 1 << 30
    }
    switch flow(word, at: 0) {
    case .sequential: break
    case .call, .indirectCall, .callThrough: return 1 << 30
    default: return 0
    }
    switch word >> 25 & 15 {
    case 8, 9:
      // Immediate: with register 31 as sp for add, sub, and, orr, eor without flags.
      let kind = word >> 23 & 7
      let setsFlags = kind == 2 || kind == 3 ? word >> 29 & 1 == 1 : kind == 4 ? word >> 29 & 3 == 3 : true
      return destination == 31 && !setsFlags ? 1 << 31 : bit(destination)
    case 5, 13:
      return bit(destination)
    case 4, 6, 12, 14:
      return writtenByMemoryAccess(word, destination, base, bit, baseBit)
    default: return nil
    }
  }

  private static func writtenByMemoryAccess(
    _ word: UInt32, _ destination: UInt32, _ base: UInt32, _ bit: (UInt32) -> UInt32,
    _ baseBit: (UInt32) -> UInt32
  ) -> UInt32? {
    let isVector = word >> 26 & 1 == 1
    if word & 0x3800_0000 == 0x2800_0000 {
      // Pairs; bit 22 = load, bits 23 and 24: 1 post-index, 3 pre-index.
      var result: UInt32 = word >> 23 & 1 == 1 ? baseBit(base) : 0
      if word >> 22 & 1 == 1 && !isVector { result |= bit(destination) | bit(word >> 10 & 31) }
      return result
    }
    guard word & 0x3800_0000 == 0x3800_0000 else { return nil }
    var result: UInt32 = 0
    if word >> 24 & 1 == 0 {
      // Register offsets (bit 21) hold the atomics too: those write more.
      if word >> 21 & 1 == 1 {
        guard word >> 10 & 3 == 2 else { return nil }
      } else if word >> 10 & 1 == 1 {
        result |= baseBit(base)
      }
    }
    let isStore = word >> 22 & 3 == 0 || (isVector && word >> 22 & 1 == 0)
    if !isStore && !isVector { result |= bit(destination) }
    return result
  }

  static func text(_ word: UInt32, at address: UInt64, target: String?) -> String {
    switch flow(word, at: address) {
    case .jump(let to): return "b " + (target ?? hexadecimal(to))
    case .call(let to): return "bl " + (target ?? hexadecimal(to))
    case .branch(let to):
      switch word >> 25 & 0x3f {
      case 0x2a: return "b.cond " + hexadecimal(to)
      case 0x1a: return (word >> 24 & 1 == 0 ? "cbz " : "cbnz ") + hexadecimal(to)
      default: return (word >> 24 & 1 == 0 ? "tbz " : "tbnz ") + hexadecimal(to)
      }
    case .indirectJump: return "br x\(word >> 5 & 31)"
    case .indirectCall: return "blr x\(word >> 5 & 31)"
    case .functionReturn: return "ret"
    default: break
    }
    if word == 0xd503_201f { return "nop" }
    if word == 0xd503_233f { return "paciasp" }
    if isBTI(word) { return "bti" }
    if isADR(word) {
      return "\(isADRP(word) ? "adrp" : "adr") x\(word & 31), \(hexadecimal(addressOfADR(word, at: address)))"
    }
    if word & 0x7fc0_0000 == 0x2900_0000 || word & 0x7fc0_0000 == 0x2980_0000 {
      return "stp (\(hexadecimal(UInt64(word))))"
    }
    if word & 0xff80_03ff == 0xd100_03ff { return "sub sp, sp (\(hexadecimal(UInt64(word))))" }
    return "(\(hexadecimal(UInt64(word))))"
  }
}
