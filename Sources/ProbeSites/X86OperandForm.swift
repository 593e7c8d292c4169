/// What follows an opcode: a ModRM byte or not, and how many bytes of immediate.
struct X86OperandForm {
  var hasModRM: Bool
  var immediateBytes: Int

  private init(_ hasModRM: Bool, _ immediateBytes: Int = 0) {
    self.hasModRM = hasModRM
    self.immediateBytes = immediateBytes
  }

  /// nil: not an instruction in 64-bit mode, or one that is not known here.
  init?(of instruction: X86Instruction) {
    switch (instruction.encoding, instruction.map) {
    case (.legacy, 0): self.init(oneByte: instruction)
    case (.legacy, 1): self.init(twoByte: instruction)
    case (.legacy, 2): self.init(true)
    case (.legacy, 3): self.init(true, 1)
    case (.vex, 1), (.evex, 1):
      switch instruction.opcode {
      case 0x77: self.init(false)
      case 0x70...0x73, 0xc2, 0xc4, 0xc5, 0xc6: self.init(true, 1)
      default: self.init(true)
      }
    case (.vex, 2), (.evex, 2), (.evex, 5), (.evex, 6): self.init(true)
    case (.vex, 3), (.evex, 3): self.init(true, 1)
    case (.xop, 8): self.init(true, 1)
    case (.xop, 9): self.init(true)
    case (.xop, 10): self.init(true, 4)
    default: return nil
    }
  }

  private init?(oneByte instruction: X86Instruction) {
    let opcode = instruction.opcode
    let isWide = instruction.rex & 8 != 0
    // The immediate of most instructions: never 8 bytes.
    let operand = instruction.hasOperandSizePrefix && !isWide ? 2 : 4
    switch opcode {
    case 0x00...0x3f:
      switch opcode & 7 {
      case 0...3: self.init(true)
      case 4: self.init(false, 1)
      case 5: self.init(false, operand)
      default: return nil
      }
    case 0x50...0x5f: self.init(false)
    case 0x63: self.init(true)
    case 0x68: self.init(false, operand)
    case 0x69: self.init(true, operand)
    case 0x6a: self.init(false, 1)
    case 0x6b: self.init(true, 1)
    case 0x6c...0x6f: self.init(false)
    case 0x70...0x7f: self.init(false, 1)
    case 0x80, 0x83: self.init(true, 1)
    case 0x81: self.init(true, operand)
    case 0x84...0x8f: self.init(true)
    case 0x90...0x99, 0x9b...0x9f: self.init(false)
    case 0xa0...0xa3: self.init(false, instruction.hasAddressSizePrefix ? 4 : 8)
    case 0xa4...0xa7, 0xaa...0xaf: self.init(false)
    case 0xa8: self.init(false, 1)
    case 0xa9: self.init(false, operand)
    case 0xb0...0xb7: self.init(false, 1)
    case 0xb8...0xbf: self.init(false, isWide ? 8 : operand)
    case 0xc0, 0xc1: self.init(true, 1)
    case 0xc2, 0xca: self.init(false, 2)
    case 0xc3, 0xc9, 0xcb, 0xcc, 0xcf: self.init(false)
    case 0xc6: self.init(true, 1)
    case 0xc7: self.init(true, operand)
    case 0xc8: self.init(false, 3)
    case 0xcd: self.init(false, 1)
    case 0xd0...0xd3: self.init(true)
    case 0xd7: self.init(false)
    case 0xd8...0xdf: self.init(true)
    case 0xe0...0xe7, 0xeb: self.init(false, 1)
    // The operand size prefix does not shorten near branches (Intel; compilers pad with it there).
    case 0xe8, 0xe9: self.init(false, 4)
    case 0xec...0xef, 0xf1, 0xf4, 0xf5, 0xf8...0xfd: self.init(false)
    case 0xf6: self.init(true, 1)
    case 0xf7: self.init(true, operand)
    case 0xfe, 0xff: self.init(true)
    default: return nil
    }
  }

  private init?(twoByte instruction: X86Instruction) {
    switch instruction.opcode {
    case 0x00...0x03, 0x0d, 0x10...0x23, 0x28...0x2f: self.init(true)
    case 0x05...0x09, 0x0b, 0x0e, 0x30...0x35, 0x37, 0x77, 0xa0...0xa2, 0xa8...0xaa, 0xc8...0xcf:
      self.init(false)
    case 0x0f: self.init(true, 1)
    case 0x40...0x6f, 0x74...0x76, 0x79, 0x7c...0x7f: self.init(true)
    case 0x70...0x73: self.init(true, 1)
    // EXTRQ and INSERTQ of SSE4a carry two immediate bytes, VMREAD none.
    case 0x78: self.init(true, instruction.hasOperandSizePrefix || instruction.repeatPrefix == 0xf2 ? 2 : 0)
    case 0x80...0x8f: self.init(false, 4)
    case 0x90...0x9f, 0xa3, 0xa5, 0xab, 0xad...0xb9, 0xbb...0xc1, 0xc3, 0xc7, 0xd0...0xff: self.init(true)
    case 0xa4, 0xac, 0xba, 0xc2, 0xc4...0xc6: self.init(true, 1)
    default: return nil
    }
  }
}
