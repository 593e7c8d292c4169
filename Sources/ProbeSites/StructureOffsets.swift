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

/// Offsets told by functions that only return a member: `return cgraph->n_nodes;`
extension ELFFile {
  /// Byte offset of the member that the function returns, or whose address it returns; nil where the function is
  /// missing or does more than that.
  public func offset(returnedBy function: StaticString) -> UInt32? {
    guard let symbol = symbols([SymbolPattern(function)])[0].first(where: { $0.isFunction }) else {
      return nil
    }
    var address = symbol.address
    for _ in 0..<3 {
      guard let instruction = instruction(at: address) else { return nil }
      if let offset = instruction.memberOfFirstArgument {
        guard let next = self.instruction(at: instruction.next), next.flow == .functionReturn,
          (0..<4096).contains(offset)
        else { return nil }
        return UInt32(offset)
      }
      // A landing pad.
      guard instruction.flow == .sequential, instruction.writtenRegisters == 0 else { return nil }
      address = instruction.next
    }
    return nil
  }

  /// The text that the function returns the address of, such as `ggml_version()`; nil where there is none.
  public func text(returnedBy function: StaticString) -> String? {
    guard let symbol = symbols([SymbolPattern(function)])[0].first(where: { $0.isFunction }) else {
      return nil
    }
    var address = symbol.address
    var page: UInt64?
    for _ in 0..<4 {
      guard let instruction = instruction(at: address) else { return nil }
      switch instruction.detail {
      case .x86(let x86):
        if x86.encoding == .legacy, x86.map == 0, x86.opcode == 0x8d, x86.isRelativeToNext {
          return text(at: instruction.next &+ UInt64(bitPattern: Int64(x86.displacement)))
        }
        // mov $address, %eax: an executable at a fixed address.
        if x86.encoding == .legacy, x86.map == 0, x86.opcode == 0xb8, instruction.length == 5,
          let (offset, _) = location(of: address, executable: true)
        {
          return text(at: UInt64(bytes.u32(offset + 1)))
        }
      case .arm64(let word):
        if ARM64.isADR(word), word & 31 == 0 {
          page = ARM64.addressOfADR(word, at: address)
          if !ARM64.isADRP(word) { return page.flatMap(text) }
        } else if word & 0xffc0_03ff == 0x9100_0000, let page {
          // add x0, x0, #imm
          return text(at: page &+ UInt64(word >> 10 & 0xfff))
        }
      }
      guard instruction.flow == .sequential else { return nil }
      address = instruction.next
    }
    return nil
  }

  /// Printable ASCII up to a NUL, at most 64 characters.
  private func text(at address: UInt64) -> String? {
    guard let (offset, available) = location(of: address, executable: false) else { return nil }
    let text = bytes[offset..<(offset + min(available, 64))].prefix { $0 >= 0x20 && $0 < 0x7f }
    guard !text.isEmpty, text.count < min(available, 64), bytes[offset + text.count] == 0 else { return nil }
    return String(decoding: text, as: UTF8.self)
  }
}

extension Instruction {
  /// The offset in `mov offset(%rdi), %rax`, `lea offset(%rdi), %rax` and the like.
  fileprivate var memberOfFirstArgument: Int? {
    switch detail {
    case .x86(let x86):
      let (firstArgument, result): (UInt8, UInt8) = (7, 0)
      guard x86.encoding == .legacy, x86.map == 0, x86.opcode == 0x8b || x86.opcode == 0x8d, x86.hasModRM,
        x86.modRMMode < 3, x86.registerOrMemory == firstArgument, x86.register == result
      else { return nil }
      return x86.modRMMode == 0 ? 0 : Int(x86.displacement)
    case .arm64(let word):
      guard word & 0x3ff == 0 else { return nil }  // x0 to x0
      let immediate = Int(word >> 10 & 0xfff)
      switch word & 0xffc0_0000 {
      case 0xb940_0000: return immediate * 4  // ldr w0, [x0, #imm]
      case 0xf940_0000: return immediate * 8  // ldr x0, [x0, #imm]
      case 0x9100_0000: return immediate  // add x0, x0, #imm
      default: return nil
      }
    }
  }
}
