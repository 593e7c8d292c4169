/// Offsets in the engine's C++ structures, read from code that uses them: they move between builds, and
/// stripped libraries carry no debug information.
extension ELFFile {
  /// Byte offset of `llama_ubatch::pos` (it was 40 until mid 2026 and is 48 since); nil where the code that
  /// tells is missing or not understood.
  ///
  /// `llm_graph_input_pos::set_input(const llama_ubatch *)` begins with `if (ubatch->pos …)`: the first
  /// 8-byte memory access through its second argument is that pointer.
  public func ubatchPositionsOffset() -> UInt32? {
    guard let function = symbol("_ZN19llm_graph_input_pos9set_inputEPK12llama_ubatch") else { return nil }
    var address = function.address
    for _ in 0..<12 {
      guard let instruction = instruction(at: address) else { return nil }
      if let offset = instruction.offsetReadThroughSecondArgument {
        return (8...256).contains(offset) && offset % 8 == 0 ? UInt32(offset) : nil
      }
      // A call or a jump away may change the register; a branch is fallen through.
      switch instruction.flow {
      case .sequential, .branch: address = instruction.next
      default: return nil
      }
      let secondArgument: UInt32 = machine == .x86_64 ? 1 << 6 : 1 << 1  // rsi, x1
      guard let written = instruction.writtenRegisters, written & secondArgument == 0 else { return nil }
    }
    return nil
  }
}

extension Instruction {
  /// Displacement of an 8-byte load or comparison whose base register is the second argument.
  fileprivate var offsetReadThroughSecondArgument: Int? {
    switch detail {
    case .x86(let x86):
      let base: UInt8 = 6  // rsi
      guard x86.encoding == .legacy, x86.map == 0, x86.hasModRM, x86.rex & 8 != 0,
        x86.modRMMode == 1 || x86.modRMMode == 2, x86.registerOrMemory == base
      else { return nil }
      // cmp m64, imm8 · mov r64, m64 · cmp r64/m64 both ways
      let isCompareImmediate = x86.opcode == 0x83 && x86.modRMOpcode == 7
      guard isCompareImmediate || [0x8b, 0x39, 0x3b].contains(x86.opcode) else { return nil }
      return Int(x86.displacement)
    case .arm64(let word):
      // ldr x?, [x1, #imm]
      guard word & 0xffc0_0000 == 0xf940_0000, word >> 5 & 31 == 1 else { return nil }
      return Int(word >> 10 & 0xfff) * 8
    }
  }
}
