/// The ways in which this file calls a handful of functions: their own addresses, their PLT stubs and the GOT
/// slots through which stubs and -fno-plt calls go.
struct CallTargets {
  /// More ways to a function than any real file has: a crafted one must not make the searches slow.
  private static let limit = 128

  /// (address, index of the name)
  private(set) var addresses: [(address: UInt64, name: Int)] = []
  private(set) var slots: [(address: UInt64, name: Int)] = []

  /// - Parameters:
  ///   - names: exact names.
  ///   - defined: where those that this file defines are, one list per name.
  init(of names: [SymbolPattern], defined: [[Symbol]], in elf: ELFFile) {
    for (number, symbols) in defined.enumerated() {
      for symbol in symbols { addresses.append((symbol.address, number)) }
    }
    findSlots(names, elf)
    guard !slots.isEmpty else { return }
    findStubs(elf)
  }

  /// The target "function at this address", name index 0.
  init(functionAt address: UInt64) {
    addresses = [(address, 0)]
  }

  /// The name that this call goes to.
  func name(calledBy flow: ControlFlow) -> Int? {
    switch flow {
    case .call(let target): name(at: target)
    case .callThrough(let slot): slots.first { $0.address == slot }?.name
    default: nil
    }
  }

  /// The name that this tail jump goes to.
  func name(jumpedToBy flow: ControlFlow) -> Int? {
    switch flow {
    case .jump(let target): name(at: target)
    case .jumpThrough(let slot): slots.first { $0.address == slot }?.name
    default: nil
    }
  }

  private func name(at address: UInt64) -> Int? {
    for entry in addresses where entry.address == address { return entry.name }
    return nil
  }

  private mutating func findSlots(_ names: [SymbolPattern], _ elf: ELFFile) {
    let jumpSlot: UInt32
    let globalData: UInt32
    switch elf.machine {
    case .x86_64: (globalData, jumpSlot) = (6, 7)
    case .aarch64: (globalData, jumpSlot) = (1025, 1026)
    }
    for section in elf.relocationSections {
      guard let table = elf.symbolTable(inSection: section.link) else { continue }
      for index in 0..<(section.size / 24) {
        let at = section.offset + index * 24
        let type = elf.bytes.u32(at + 8)
        guard type == jumpSlot || type == globalData else { continue }
        let symbol = Int(elf.bytes.u32(at + 12))
        for (number, name) in names.enumerated() where elf.symbol(symbol, of: table, matches: name) {
          slots.append((elf.bytes.u64(at), number))
        }
        if slots.count >= Self.limit { return }
      }
    }
  }

  private mutating func findStubs(_ elf: ELFFile) {
    var remaining = 8
    for section in elf.sections where section.type == 1 && section.flags & 4 != 0 {
      guard remaining > 0 else { return }
      guard elf.section(section, nameHasPrefix: ".plt") || elf.section(section, nameHasPrefix: ".iplt") else {
        continue
      }
      remaining -= 1
      switch elf.machine {
      case .x86_64: findX86Stubs(section, elf)
      case .aarch64: findARM64Stubs(section, elf)
      }
    }
  }

  /// `[endbr64] [bnd] jmp *slot(%rip)` at any place: .plt, .plt.sec and .plt.got differ only in what surrounds it.
  private mutating func findX86Stubs(_ section: ELFFile.Section, _ elf: ELFFile) {
    let bytes = elf.bytes
    var index = 0
    while index + 6 <= section.size && addresses.count < Self.limit {
      defer { index += 1 }
      let at = section.offset + index
      guard bytes[at] == 0xff, bytes[at + 1] == 0x25 else { continue }
      let displacement = UInt64(bitPattern: Int64(Int32(bitPattern: bytes.u32(at + 2))))
      let slot = section.address &+ UInt64(index + 6) &+ displacement
      guard let name = slots.first(where: { $0.address == slot })?.name else { continue }
      var start = index
      if start >= 1, bytes[section.offset + start - 1] == 0xf2 { start -= 1 }
      if start >= 4, bytes.u32(section.offset + start - 4) == 0xfa1e_0ff3 { start -= 4 }
      addresses.append((section.address &+ UInt64(start), name))
      // The jump itself is a valid target too when something precedes it.
      if start != index { addresses.append((section.address &+ UInt64(index), name)) }
    }
  }

  /// `[bti c] adrp x16, page; ldr x17, [x16, #offset]; …`
  private mutating func findARM64Stubs(_ section: ELFFile.Section, _ elf: ELFFile) {
    let bytes = elf.bytes
    var index = 0
    while index + 8 <= section.size && addresses.count < Self.limit {
      defer { index += 4 }
      let at = section.offset + index
      let first = bytes.u32(at)
      let second = bytes.u32(at + 4)
      guard ARM64.isADRP(first), first & 31 == 16, second & 0xffc0_03ff == 0xf940_0211 else { continue }
      let page = ARM64.addressOfADR(first, at: section.address &+ UInt64(index))
      let slot = page &+ UInt64(second >> 10 & 0xfff) &* 8
      guard let name = slots.first(where: { $0.address == slot })?.name else { continue }
      addresses.append((section.address &+ UInt64(index), name))
      if index >= 4, ARM64.isBTI(bytes.u32(at - 4)) {
        addresses.append((section.address &+ UInt64(index - 4), name))
      }
    }
  }
}

extension ELFFile {
  /// Allocated RELA sections; real files have two or three.
  var relocationSections: [Section] {
    var result: [Section] = []
    for section in sections where section.type == 4 && section.flags & 2 != 0 && section.entrySize == 24 {
      if result.count == 4 { break }
      result.append(section)
    }
    return result
  }

  /// All direct calls (and calls through known GOT slots) to the functions of `targets` whose name index is in
  /// `names`, in address order per segment.
  ///
  /// x86_64 code is searched byte by byte, and a match is kept only when decoding from the start of the function
  /// that holds it arrives there; where no symbol tells the function, the match stands.
  func calls(to names: Range<Int>, of targets: CallTargets) -> [(address: UInt64, name: Int)] {
    let wanted = targets.addresses.filter { names.contains($0.name) }
    let slots = targets.slots.filter { names.contains($0.name) }
    guard !wanted.isEmpty || !slots.isEmpty else { return [] }
    var found: [(address: UInt64, name: Int)] = []
    for segment in executableSegments {
      switch machine {
      case .x86_64: searchX86(segment, wanted, slots, &found)
      case .aarch64: searchARM64(segment, wanted, &found)
      }
      // Real files have one or two such calls.
      if found.count > 256 { break }
    }
    return machine == .aarch64 ? found : found.filter { isInstructionStart($0.address) }
  }

  private func searchX86(
    _ segment: Segment, _ wanted: [(address: UInt64, name: Int)], _ slots: [(address: UInt64, name: Int)],
    _ found: inout [(address: UInt64, name: Int)]
  ) {
    guard let start = bytes.baseAddress else { return }
    let code = start + segment.offset
    // Range of the targets: one comparison rejects nearly all chance matches.
    var low = UInt64.max
    var high: UInt64 = 0
    for target in wanted {
      low = min(low, target.address)
      high = max(high, target.address)
    }
    // Eight bytes at a time: E8 begins a call, 15 is the second byte of a call through a slot.
    let ones: UInt64 = 0x0101_0101_0101_0101
    var index = 0
    while index < segment.size {
      var marks: UInt64
      if segment.size - index >= 8 {
        let word = UInt64(littleEndian: code.loadUnaligned(fromByteOffset: index, as: UInt64.self))
        let direct = word ^ (ones &* 0xe8)
        let indirect = word ^ (ones &* 0x15)
        // Bit 7 of every zero byte; a byte above one may be marked wrongly and is compared again below.
        marks = ((direct &- ones) & ~direct | (indirect &- ones) & ~indirect) & (ones &* 0x80)
      } else {
        marks = ones &* 0x80
      }
      while marks != 0 {
        let at = index + marks.trailingZeroBitCount / 8
        marks &= marks - 1
        guard at >= 1, segment.size - at >= 5 else { continue }
        let operand = UInt32(littleEndian: code.loadUnaligned(fromByteOffset: at + 1, as: UInt32.self))
        let relative = UInt64(bitPattern: Int64(Int32(bitPattern: operand)))
        let target = segment.address &+ UInt64(at + 5) &+ relative
        switch code.load(fromByteOffset: at, as: UInt8.self) {
        case 0xe8 where target >= low && target <= high:
          for entry in wanted where entry.address == target {
            found.append((segment.address &+ UInt64(at), entry.name))
          }
        case 0x15 where code.load(fromByteOffset: at - 1, as: UInt8.self) == 0xff:
          for entry in slots where entry.address == target {
            found.append((segment.address &+ UInt64(at - 1), entry.name))
          }
        default: break
        }
      }
      if found.count > 256 { return }
      index += 8
    }
  }

  private func searchARM64(
    _ segment: Segment, _ wanted: [(address: UInt64, name: Int)],
    _ found: inout [(address: UInt64, name: Int)]
  ) {
    guard segment.address & 3 == 0, let start = bytes.baseAddress else { return }
    let code = start + segment.offset
    for index in 0..<(segment.size / 4) {
      let word = UInt32(littleEndian: code.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      // bl
      guard word >> 26 == 0x25 else { continue }
      let address = segment.address &+ UInt64(index * 4)
      let target = address &+ UInt64(bitPattern: Int64(Int32(bitPattern: word << 6) >> 4))
      for entry in wanted where entry.address == target { found.append((address, entry.name)) }
      if found.count > 256 { return }
    }
  }

  private func isInstructionStart(_ address: UInt64) -> Bool {
    // Beyond the size of any real function the match stands too.
    guard let function = function(containing: address), address - function.address < 1 << 22 else {
      return true
    }
    var at = function.address
    while at < address {
      guard let instruction = instruction(at: at) else { return false }
      at = instruction.next
    }
    return at == address
  }
}
