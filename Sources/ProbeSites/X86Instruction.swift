/// One decoded x86-64 instruction: its length, the fields of its encoding, and what it does to the control flow.
///
/// A length decoder, not a disassembler: enough to walk all code that compilers make of ggml and llama.cpp
/// (legacy, VEX, EVEX and XOP encodings), and to recognise the few instructions that matter to a probe.
public struct X86Instruction {
  public enum Encoding: Sendable { case legacy, vex, evex, xop }

  /// Bytes, 1...15.
  public internal(set) var length = 0
  var encoding = Encoding.legacy
  /// Opcode map: 0 one byte, 1 0F, 2 0F38, 3 0F3A, others as encoded by VEX, EVEX and XOP.
  var map: UInt8 = 0
  var opcode: UInt8 = 0
  var modRM: UInt8 = 0
  var hasModRM = false
  var sib: UInt8 = 0
  /// The REX prefix; 0 when there is none.
  var rex: UInt8 = 0
  var hasOperandSizePrefix = false
  var hasAddressSizePrefix = false
  var hasLockPrefix = false
  /// ES, CS, SS or DS: the kernel does not accept a probe there.
  var hasLegacySegmentPrefix = false
  /// The last of F2 and F3; 0 when neither.
  var repeatPrefix: UInt8 = 0
  var displacement: Int32 = 0
  /// First immediate, sign-extended.
  var immediate: Int64 = 0

  var modRMMode: UInt8 { modRM >> 6 }
  var modRMOpcode: UInt8 { modRM >> 3 & 7 }
  /// Register number 0...15 of the reg field.
  var register: UInt8 { modRM >> 3 & 7 | (rex & 4) << 1 }
  /// Register number 0...15 of the r/m field, where it names a register.
  var registerOrMemory: UInt8 { modRM & 7 | (rex & 1) << 3 }
  /// Whether the memory operand is relative to the next instruction.
  var isRelativeToNext: Bool { hasModRM && modRM & 0xc7 == 0x05 }

  /// Decodes the instruction that begins at `start`.
  ///
  /// - Returns: nil when the bytes are no instruction known here or end before it does.
  public static func decode(_ bytes: UnsafeRawBufferPointer, at start: Int) -> X86Instruction? {
    guard start >= 0, start < bytes.count else { return nil }
    var cursor = Cursor(bytes: bytes, at: start, end: start + min(15, bytes.count - start))
    var result = X86Instruction()
    guard result.read(&cursor) else { return nil }
    result.length = cursor.at - start
    return result
  }

  struct Cursor {
    let bytes: UnsafeRawBufferPointer
    var at: Int
    let end: Int

    mutating func byte() -> UInt8? {
      guard at < end else { return nil }
      at += 1
      return bytes[at - 1]
    }
    /// A sign-extended immediate or displacement of 0, 1, 2, 4 or 8 bytes.
    mutating func signed(_ size: Int) -> Int64? {
      guard size <= end - at else { return nil }
      defer { at += size }
      switch size {
      case 0: return 0
      case 1: return Int64(Int8(bitPattern: bytes[at]))
      case 2: return Int64(Int16(bitPattern: bytes.u16(at)))
      case 4: return Int64(Int32(bitPattern: bytes.u32(at)))
      default: return Int64(bitPattern: bytes.u64(at))
      }
    }
  }

  private mutating func read(_ cursor: inout Cursor) -> Bool {
    while true {
      guard let byte = cursor.byte() else { return false }
      switch byte {
      case 0x66: hasOperandSizePrefix = true
      case 0x67: hasAddressSizePrefix = true
      case 0xf2, 0xf3: repeatPrefix = byte
      case 0xf0: hasLockPrefix = true
      case 0x26, 0x2e, 0x36, 0x3e: hasLegacySegmentPrefix = true
      case 0x64, 0x65: break
      case 0x40...0x4f:
        // REX counts only directly before the opcode.
        rex = byte
        continue
      case 0xc4, 0xc5: return readVEX(byte, &cursor)
      case 0x62: return readEVEX(&cursor)
      case 0x8f:
        // XOP where the map field is 8 or more; else POP r/m.
        guard cursor.at < cursor.end else { return false }
        if cursor.bytes[cursor.at] & 0x1f >= 8 { return readXOP(&cursor) }
        return readOperands(byte, &cursor)
      case 0x0f:
        guard let second = cursor.byte() else { return false }
        if second == 0x38 || second == 0x3a {
          map = second == 0x38 ? 2 : 3
          guard let third = cursor.byte() else { return false }
          return readOperands(third, &cursor)
        }
        map = 1
        return readOperands(second, &cursor)
      default: return readOperands(byte, &cursor)
      }
      rex = 0
    }
  }

  private mutating func readVEX(_ first: UInt8, _ cursor: inout Cursor) -> Bool {
    encoding = .vex
    guard let payload = cursor.byte() else { return false }
    // The payload holds REX's bits inverted.
    rex = 0x40 | (payload & 0x80 == 0 ? 4 : 0)
    map = 1
    if first == 0xc4 {
      guard let second = cursor.byte() else { return false }
      rex |= (payload & 0x40 == 0 ? 2 : 0) | (payload & 0x20 == 0 ? 1 : 0) | (second & 0x80) >> 4
      map = payload & 0x1f
    }
    guard (1...3).contains(map), let opcode = cursor.byte() else { return false }
    return readOperands(opcode, &cursor)
  }

  private mutating func readEVEX(_ cursor: inout Cursor) -> Bool {
    encoding = .evex
    guard let payload = cursor.byte(), let second = cursor.byte(), cursor.byte() != nil,
      let opcode = cursor.byte()
    else { return false }
    rex = 0x40 | (second & 0x80) >> 4
    rex |= (payload & 0x80 == 0 ? 4 : 0) | (payload & 0x40 == 0 ? 2 : 0) | (payload & 0x20 == 0 ? 1 : 0)
    map = payload & 7
    guard (1...3).contains(map) || (5...6).contains(map) else { return false }
    return readOperands(opcode, &cursor)
  }

  private mutating func readXOP(_ cursor: inout Cursor) -> Bool {
    encoding = .xop
    guard let payload = cursor.byte(), cursor.byte() != nil, let opcode = cursor.byte() else { return false }
    rex = 0x40 | (payload & 0x80 == 0 ? 4 : 0) | (payload & 0x40 == 0 ? 2 : 0) | (payload & 0x20 == 0 ? 1 : 0)
    map = payload & 0x1f
    guard (8...10).contains(map) else { return false }
    return readOperands(opcode, &cursor)
  }

  private mutating func readOperands(_ opcode: UInt8, _ cursor: inout Cursor) -> Bool {
    self.opcode = opcode
    guard let form = X86OperandForm(of: self) else { return false }
    if form.hasModRM {
      guard readModRM(&cursor) else { return false }
    }
    // TEST r/m, imm is the only member of its group (F6, F7) with an immediate.
    var size = form.immediateBytes
    if map == 0 && encoding == .legacy && (opcode == 0xf6 || opcode == 0xf7) && modRMOpcode > 1 { size = 0 }
    switch size {
    case 3:
      // ENTER: imm16, imm8; EXTRQ and INSERTQ use two bytes only.
      guard cursor.signed(2) != nil, cursor.signed(1) != nil else { return false }
    default:
      guard let value = cursor.signed(size) else { return false }
      immediate = value
    }
    return true
  }

  private mutating func readModRM(_ cursor: inout Cursor) -> Bool {
    guard let byte = cursor.byte() else { return false }
    modRM = byte
    hasModRM = true
    // MOV to and from control and debug registers takes the mode field as 3.
    if encoding == .legacy && map == 1 && (0x20...0x23).contains(opcode) { return true }
    let mode = modRMMode
    guard mode != 3 else { return true }
    var size = mode == 1 ? 1 : mode == 2 ? 4 : 0
    if modRM & 7 == 4 {
      guard let byte = cursor.byte() else { return false }
      sib = byte
      if mode == 0 && sib & 7 == 5 { size = 4 }
    } else if mode == 0 && modRM & 7 == 5 {
      size = 4
    }
    guard let value = cursor.signed(size) else { return false }
    displacement = Int32(truncatingIfNeeded: value)
    return true
  }
}
