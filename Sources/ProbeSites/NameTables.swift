/// Where a library keeps the names of its operators: an array of `char *`.
public struct NameTable {
  /// Virtual address of the array in the ELF file.
  public var address: UInt64
  /// Entries that the array can have at most; where no symbol tells its size, the distance to the next table known.
  public var maximumCount: Int
  /// How it was found, for the trace's metadata.
  public var source: String
}

/// The function that returns a name exists, but its code is not understood.
public struct NameTableError: Error {
  public var function: String
  /// Virtual address of the instruction where reading ended.
  public var address: UInt64
  public var reason: String

  public var description: String {
    "\(function) at \(hexadecimal(address)): \(reason); operators will be shown by number"
  }
}

/// The table of operator names (`GGML_OP_NAME`); nil when the file has neither the symbol nor `ggml_op_name`.
public func operatorNames(in elf: ELFFile) throws(NameTableError) -> NameTable? {
  try NameTableFinder(elf).table(.operators)
}

/// The names of unary sub-operators.
public func unaryOperatorNames(in elf: ELFFile) throws(NameTableError) -> NameTable? {
  try NameTableFinder(elf).table(.unary)
}

/// The names of gated linear units.
public func gluOperatorNames(in elf: ELFFile) throws(NameTableError) -> NameTable? {
  try NameTableFinder(elf).table(.glu)
}

/// Finds all three tables with one pass over the symbols.
struct NameTableFinder {
  enum Kind: Int, CaseIterable {
    case operators, unary, glu

    var symbolName: StaticString {
      switch self {
      case .operators: "GGML_OP_NAME"
      case .unary: "GGML_UNARY_OP_NAME"
      case .glu: "GGML_GLU_OP_NAME"
      }
    }
    var functionName: StaticString {
      switch self {
      case .operators: "ggml_op_name"
      case .unary: "ggml_unary_op_name"
      case .glu: "ggml_glu_op_name"
      }
    }
  }

  private static let mostEntries = 256
  private let elf: ELFFile
  private var found: [Result<NameTable?, NameTableError>] = []

  init(_ elf: ELFFile) {
    self.elf = elf
    // Link-time optimisation appends ".lto_priv.0" and the like.
    let tables = Kind.allCases.map { SymbolPattern($0.symbolName, isPrefix: true) }
    let functions = Kind.allCases.map { SymbolPattern($0.functionName) }
    let symbols = elf.symbols(tables + functions)
    var decoded: [Result<NameTable?, NameTableError>] = []
    for kind in Kind.allCases {
      let length = kind.symbolName.utf8CodeUnitCount
      let table = symbols[kind.rawValue].first { symbol in
        let rest = symbol.name.utf8.dropFirst(length)
        return !symbol.isFunction && (rest.isEmpty || rest.first == UInt8(ascii: "."))
      }
      let function = symbols[kind.rawValue + tables.count].first { $0.isFunction }
      if let table {
        let count = table.size == 0 ? Self.mostEntries : Int(min(table.size / 8, UInt64(Self.mostEntries)))
        let found = NameTable(
          address: table.address, maximumCount: count, source: "symbol \(kind.symbolName)")
        decoded.append(.success(found))
      } else if let function {
        decoded.append(decode(function))
      } else {
        decoded.append(.success(nil))
      }
    }
    // Tables lie side by side: where one begins another ends.
    var starts: [UInt64] = []
    for case .success(let table?) in decoded { starts.append(table.address) }
    for index in decoded.indices {
      guard case .success(var table?) = decoded[index] else { continue }
      for start in starts where start > table.address {
        let distance = (start - table.address) / 8
        if distance < UInt64(table.maximumCount) { table.maximumCount = Int(distance) }
      }
      decoded[index] = .success(table)
    }
    found = decoded
  }

  func table(_ kind: Kind) throws(NameTableError) -> NameTable? {
    switch found[kind.rawValue] {
    case .success(let table): return table
    case .failure(let error): throw error
    }
  }

  // MARK: Decoding the function

  /// Follows the few instructions of `return TABLE[op];`.
  private func decode(_ function: Symbol) -> Result<NameTable?, NameTableError> {
    var state = elf.machine == .x86_64 ? TableLoad(index: 7) : TableLoad(index: 0)
    var at = function.address
    for _ in 0..<16 {
      guard let instruction = elf.instruction(at: at) else { break }
      let step =
        switch instruction.detail {
        case .x86(let decoded): state.step(decoded, at: at)
        case .arm64(let word): state.step(word, at: at)
        }
      switch step {
      case .goOn: at = instruction.next
      case .table(let address):
        guard address & 7 == 0, elf.fileOffset(of: address) != nil else {
          return failure(function, at, "the table address \(hexadecimal(address)) is not in the file")
        }
        return .success(
          NameTable(
            address: address, maximumCount: Self.mostEntries, source: "code of \(function.name)"))
      case .relativeTable:
        return failure(function, at, "names are in a table of 32-bit offsets, which is not supported")
      case .unknown:
        return failure(function, at, "unexpected instruction \(elf.text(of: instruction, target: nil))")
      }
    }
    return failure(function, at, "no load from a table")
  }

  private func failure(
    _ function: Symbol, _ address: UInt64, _ reason: String
  ) -> Result<NameTable?, NameTableError> {
    .failure(NameTableError(function: function.name, address: address, reason: reason))
  }
}

/// Registers while the code of a name function is followed: which hold the index, which a constant address.
private struct TableLoad {
  enum Step {
    case goOn
    case table(UInt64)
    case relativeTable
    case unknown
  }

  private var isIndex: UInt32
  private var constants: [UInt64?] = Array(repeating: nil, count: 32)
  /// constant + 8 * index
  private var elements: [UInt64?] = Array(repeating: nil, count: 32)

  init(index register: UInt8) { isIndex = 1 << UInt32(register) }

  private func holdsIndex(_ register: UInt8) -> Bool { isIndex >> UInt32(register) & 1 == 1 }
  private mutating func forget(_ register: UInt8) {
    isIndex &= ~(1 << UInt32(register))
    constants[Int(register)] = nil
    elements[Int(register)] = nil
  }

  mutating func step(_ instruction: X86Instruction, at address: UInt64) -> Step {
    guard instruction.encoding == .legacy else { return .unknown }
    switch instruction.flow(at: address) {
    // A check of the range: the way on is the ordinary one.
    case .sequential, .branch: break
    default: return .unknown
    }
    let base = instruction.sib & 7 | (instruction.rex & 1) << 3
    let index = instruction.sib >> 3 & 7 | (instruction.rex & 2) << 2
    let scale = instruction.sib >> 6
    let hasIndex = instruction.modRMMode < 3 && instruction.modRM & 7 == 4 && holdsIndex(index) && index != 4
    let isWide = instruction.rex & 8 != 0
    switch (instruction.map, instruction.opcode) {
    case (0, 0x8d) where instruction.isRelativeToNext && isWide:
      forget(instruction.register)
      constants[Int(instruction.register)] =
        address &+ UInt64(instruction.length) &+ UInt64(bitPattern: Int64(instruction.displacement))
      return .goOn
    case (0, 0x8b) where hasIndex && scale == 3 && isWide:
      let displacement = UInt64(bitPattern: Int64(instruction.displacement))
      if instruction.modRMMode == 0 && instruction.sib & 7 == 5 { return .table(displacement) }
      guard let constant = constants[Int(base)] else { return .unknown }
      return .table(constant &+ displacement)
    case (0, 0x63) where hasIndex && scale == 2: return .relativeTable
    case (0, 0x89), (0, 0x8b), (0, 0x63):
      // Moves between registers keep the index; loads from the stack frame lose it.
      guard instruction.modRMMode == 3 else {
        return instruction.opcode == 0x89 ? .goOn : .unknown
      }
      let isStore = instruction.opcode == 0x89
      let source = isStore ? instruction.register : instruction.registerOrMemory
      let destination = isStore ? instruction.registerOrMemory : instruction.register
      let wasIndex = holdsIndex(source)
      forget(destination)
      if wasIndex { isIndex |= 1 << UInt32(destination) }
      return .goOn
    default:
      guard let written = instruction.writtenRegisters else { return .unknown }
      for register in 0..<UInt8(16) where written >> UInt32(register) & 1 == 1 { forget(register) }
      return .goOn
    }
  }

  mutating func step(_ word: UInt32, at address: UInt64) -> Step {
    switch ARM64.flow(word, at: address) {
    case .sequential, .branch: break
    default: return .unknown
    }
    let destination = UInt8(word & 31)
    let base = UInt8(word >> 5 & 31)
    let index = UInt8(word >> 16 & 31)
    if ARM64.isADR(word) {
      forget(destination)
      constants[Int(destination)] = ARM64.addressOfADR(word, at: address)
      return .goOn
    }
    // add xd, xn, #imm
    if word & 0xff80_0000 == 0x9100_0000, let constant = constants[Int(base)] {
      let immediate = UInt64(word >> 10 & 0xfff) << (word >> 22 & 1 == 1 ? 12 : 0)
      forget(destination)
      constants[Int(destination)] = constant &+ immediate
      return .goOn
    }
    // ldr xt, [xn, index, extend #3]
    if word & 0xffe0_1c00 == 0xf860_1800 || word & 0xffe0_5c00 == 0xf860_5800, holdsIndex(index) {
      guard let constant = constants[Int(base)] else { return .unknown }
      return .table(constant)
    }
    // add xd, xn, index, extend #3; later ldr xt, [xd, #offset]: gcc addresses several tables from one anchor.
    let isScaledAdd =
      word & 0xffe0_fc00 == 0x8b00_0c00 || word & 0xffe0_7c00 == 0x8b20_4c00
      || word & 0xffe0_fc00 == 0x8b20_6c00
    if isScaledAdd, holdsIndex(index), let constant = constants[Int(base)] {
      forget(destination)
      elements[Int(destination)] = constant
      return .goOn
    }
    if word & 0xffc0_0000 == 0xf940_0000, let element = elements[Int(base)] {
      return .table(element &+ UInt64(word >> 10 & 0xfff) &* 8)
    }
    // ldrsw xt, [xn, index, extend #2]
    if word & 0xffe0_1c00 == 0xb8a0_1800 || word & 0xffe0_5c00 == 0xb8a0_5800, holdsIndex(index) {
      return .relativeTable
    }
    // mov (orr with the zero register), sxtw, and and ubfx as uxtw
    let isMove = word & 0x7fe0_ffe0 == 0x2a00_03e0
    let isExtension = word & 0xffff_fc00 == 0x9340_7c00 || word & 0xffff_fc00 == 0xd340_7c00
    if isMove || isExtension {
      let wasIndex = holdsIndex(isMove ? index : base)
      forget(destination)
      if wasIndex { isIndex |= 1 << UInt32(destination) }
      return .goOn
    }
    guard let written = ARM64.writtenRegisters(word) else { return .unknown }
    for register in 0..<UInt8(32) where written >> UInt32(register) & 1 == 1 { forget(register) }
    return .goOn
  }
}
