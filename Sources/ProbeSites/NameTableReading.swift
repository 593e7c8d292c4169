/// Reads the names of a table from the file itself, without a running target: at most 256, ending at the first
/// entry that is not an upper-case name (A-Z, 0-9, _).
public func readNames(_ table: NameTable, in elf: ELFFile) -> [String] {
  let count = min(max(table.maximumCount, 0), 256)
  guard count > 0, let (offset, available) = elf.location(of: table.address, executable: false) else {
    return []
  }
  let readable = min(count, available / 8)
  // What the file holds is the pointer itself in an executable at a fixed address, and the addend where the linker
  // packed its relocations (DT_RELR). Otherwise the pointers are in the relocations.
  var pointers: [UInt64] = []
  for index in 0..<readable { pointers.append(elf.bytes.u64(offset + index * 8)) }
  elf.applyRelocations(to: &pointers, at: table.address)

  var names: [String] = []
  for pointer in pointers {
    guard let name = elf.upperCaseName(at: pointer) else { break }
    names.append(name)
  }
  return names
}

extension ELFFile {
  fileprivate func applyRelocations(to pointers: inout [UInt64], at start: UInt64) {
    // R_*_RELATIVE and R_*_64 / ABS64.
    let (relative, absolute): (UInt32, UInt32) = machine == .x86_64 ? (8, 1) : (1027, 257)
    let bytesCovered = UInt64(pointers.count) * 8
    for section in relocationSections {
      let symbols = symbolTable(inSection: section.link)
      for index in 0..<(section.size / 24) {
        let at = section.offset + index * 24
        let place = bytes.u64(at)
        guard place >= start, place - start < bytesCovered, (place - start) & 7 == 0 else { continue }
        let slot = Int((place - start) / 8)
        let addend = bytes.u64(at + 16)
        switch bytes.u32(at + 8) {
        case relative: pointers[slot] = addend
        case absolute:
          let symbol = Int(bytes.u32(at + 12))
          guard let symbols, symbol < symbols.count else { continue }
          pointers[slot] = bytes.u64(symbols.offset + symbol * 24 + 8) &+ addend
        default: break
        }
      }
    }
  }

  fileprivate func upperCaseName(at address: UInt64) -> String? {
    guard let (offset, available) = location(of: address, executable: false) else { return nil }
    var count = 0
    while count < min(available, 64) {
      let byte = bytes[offset + count]
      if byte == 0 {
        return count == 0 ? nil : String(decoding: bytes[offset..<(offset + count)], as: UTF8.self)
      }
      let isLetter = byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z")
      let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
      guard isLetter || isDigit || byte == UInt8(ascii: "_") else { return nil }
      count += 1
    }
    return nil
  }
}
