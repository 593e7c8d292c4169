/// Recognises the test of `node_n + 1 < cgraph->n_nodes` in a run of instructions. n_nodes is the `int` at offset 4
/// of its structure in all versions that have `ggml_cpu_extra_compute_forward`.
struct NodeCountTest {
  /// Holds n_nodes.
  private var register: UInt32?
  /// The flags are of a comparison with it.
  private var hasCompared = false

  /// To be told every instruction of the run but its branches.
  mutating func see(_ instruction: Instruction) {
    switch instruction.detail {
    case .x86(let x86): see(x86)
    case .arm64(let word): see(word)
    }
    if let held = register, !loads(instruction) {
      // An unknown instruction may write anything.
      let written = instruction.writtenRegisters ?? .max
      if written & 1 << held != 0 { register = nil }
    }
  }

  /// Whether the branch depends on that comparison: one of less, less or equal, greater, greater or equal.
  func decides(_ branch: Instruction) -> Bool {
    guard hasCompared else { return false }
    switch branch.detail {
    case .x86(let x86):
      return x86.encoding == .legacy && (x86.map == 0 && x86.opcode >> 4 == 7 || x86.map == 1)
        && (12...15).contains(x86.opcode & 15)
    case .arm64(let word): return word & 0xff00_0010 == 0x5400_0000 && (10...13).contains(word & 15)
    }
  }

  private func loads(_ instruction: Instruction) -> Bool {
    switch instruction.detail {
    case .x86(let x86): return x86.isLoad && x86.isNodeCount
    case .arm64(let word): return Self.isLoadOfNodeCount(word)
    }
  }

  private mutating func see(_ x86: X86Instruction) {
    if x86.isLoad {
      if x86.isNodeCount { register = UInt32(x86.register) }
      return
    }
    guard x86.encoding == .legacy, x86.map == 0 else {
      hasCompared = false
      return
    }
    switch x86.opcode {
    // cmp, both ways round
    case 0x39, 0x3b:
      let isOfRegisters = x86.modRMMode == 3 && x86.rex & 8 == 0
      hasCompared =
        x86.isNodeCount
        || isOfRegisters && (register == UInt32(x86.register) || register == UInt32(x86.registerOrMemory))
    // mov, lea and nop leave the flags alone.
    case 0x88...0x8b, 0x8d, 0x90, 0xb8...0xbf, 0xc6, 0xc7: break
    default: hasCompared = false
    }
  }

  private mutating func see(_ word: UInt32) {
    if Self.isLoadOfNodeCount(word) {
      register = word & 31
      return
    }
    switch word >> 25 & 15 {
    // Loads and stores leave the flags alone.
    case 4, 6, 12, 14: break
    default:
      // cmp w, w
      let isComparison = word & 0xffe0_fc1f == 0x6b00_001f
      hasCompared = isComparison && (register == word >> 5 & 31 || register == word >> 16 & 31)
    }
  }

  /// ldr w, [x, #4]; not from the stack.
  private static func isLoadOfNodeCount(_ word: UInt32) -> Bool {
    word & 0xffff_fc00 == 0xb940_0400 && word >> 5 & 31 != 31
  }
}

extension X86Instruction {
  fileprivate var isLoad: Bool { encoding == .legacy && map == 0 && opcode == 0x8b }

  /// Whether the memory operand is 4 bytes at 4(base), where the base is not the stack pointer.
  fileprivate var isNodeCount: Bool {
    guard hasModRM, modRMMode == 1, displacement == 4, rex & 8 == 0, !hasOperandSizePrefix else {
      return false
    }
    // r12 as a base takes a SIB byte without index.
    return modRM & 7 != 4 || (rex & 3 == 1 && sib & 0x3f == 0x24)
  }
}
