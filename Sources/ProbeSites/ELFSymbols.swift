/// A defined symbol.
public struct Symbol {
  public var name: String
  /// Virtual address in the ELF file.
  public var address: UInt64
  /// Bytes; 0 when the file does not tell.
  public var size: UInt64
  public var isFunction: Bool
}

/// A symbol name to look for. The bytes must live as long as the pattern.
struct SymbolPattern {
  var bytes: UnsafePointer<UInt8>
  var count: Int
  /// Match every name that begins so, not only the name itself.
  var isPrefix: Bool

  init(_ name: StaticString, isPrefix: Bool = false) {
    bytes = name.utf8Start
    count = name.utf8CodeUnitCount
    self.isPrefix = isPrefix
  }

  init(_ name: UnsafeBufferPointer<UInt8>, isPrefix: Bool) {
    // An empty buffer may have no address; a pattern without bytes matches nothing.
    bytes = name.baseAddress ?? ("" as StaticString).utf8Start
    count = name.count
    self.isPrefix = isPrefix
  }
}

extension ELFFile {
  /// A symbol table and its strings, ranges checked.
  struct SymbolTable {
    var offset: Int
    var count: Int
    var strings: Int
    var stringBytes: Int
  }

  private static let symbolTableType: UInt32 = 2
  private static let dynamicSymbolTableType: UInt32 = 11

  func symbolTable(inSection index: Int) -> SymbolTable? {
    guard index < sections.count else { return nil }
    let section = sections[index]
    guard section.type == Self.symbolTableType || section.type == Self.dynamicSymbolTableType,
      section.entrySize == 24, section.link < sections.count, sections[section.link].type == 3
    else { return nil }
    let strings = sections[section.link]
    return SymbolTable(
      offset: section.offset, count: section.size / 24, strings: strings.offset, stringBytes: strings.size)
  }

  /// `.symtab` (when the file is not stripped), then `.dynsym`; at most one of each.
  var symbolTables: [SymbolTable] {
    var result: [SymbolTable] = []
    for type in [Self.symbolTableType, Self.dynamicSymbolTableType] {
      if let index = sections.firstIndex(where: { $0.type == type }),
        let table = symbolTable(inSection: index)
      {
        result.append(table)
      }
    }
    return result
  }

  /// The defined function or data symbol with this name: `.symtab` first, then `.dynsym`.
  public func symbol(_ name: String) -> Symbol? {
    var copy = name
    return copy.withUTF8 { utf8 in symbols([SymbolPattern(utf8, isPrefix: false)])[0].first }
  }

  /// The first defined symbol whose name begins with `prefix`.
  public func symbol(prefix: String) -> Symbol? { symbols(withPrefix: prefix).first }

  /// The defined symbols whose names begin with `prefix`, without duplicates; at most 64.
  public func symbols(withPrefix prefix: String) -> [Symbol] {
    var copy = prefix
    return copy.withUTF8 { utf8 in symbols([SymbolPattern(utf8, isPrefix: true)])[0] }
  }

  /// Looks for all patterns in one pass over each table. Result: one list per pattern; symbols that both tables
  /// have are listed once, and a list ends at 64.
  func symbols(_ patterns: [SymbolPattern]) -> [[Symbol]] {
    var result = [[Symbol]](repeating: [], count: patterns.count)
    // Which patterns begin with a byte: most names are told apart by it.
    var firstBytes = [Bool](repeating: false, count: 256)
    for pattern in patterns where pattern.count > 0 { firstBytes[Int(pattern.bytes[0])] = true }

    for table in symbolTables {
      for index in 0..<table.count {
        let at = table.offset + index * 24
        let type = bytes[at + 4] & 15
        // Defined (section index not 0) OBJECT or FUNC.
        guard type == 1 || type == 2, bytes.u16(at + 6) != 0 else { continue }
        let name = Int(bytes.u32(at))
        guard name < table.stringBytes, firstBytes[Int(bytes[table.strings + name])] else { continue }
        for (number, pattern) in patterns.enumerated() where matches(pattern, table, name) {
          let address = bytes.u64(at + 8)
          if result[number].count == 64 || result[number].contains(where: { $0.address == address }) {
            continue
          }
          result[number].append(
            Symbol(
              name: string(in: table, at: name), address: address, size: bytes.u64(at + 16),
              isFunction: type == 2))
        }
      }
    }
    return result
  }

  @inline(__always)
  private func matches(_ pattern: SymbolPattern, _ table: SymbolTable, _ name: Int) -> Bool {
    let available = table.stringBytes - name
    // The NUL after an exact name must also lie inside.
    guard pattern.count > 0, pattern.count < available else { return false }
    let start = table.strings + name
    for index in 0..<pattern.count where bytes[start + index] != pattern.bytes[index] { return false }
    return pattern.isPrefix || bytes[start + pattern.count] == 0
  }

  /// Whether the name of symbol `index` of `table` is the pattern's.
  func symbol(_ index: Int, of table: SymbolTable, matches pattern: SymbolPattern) -> Bool {
    guard index < table.count else { return false }
    let name = Int(bytes.u32(table.offset + index * 24))
    return name < table.stringBytes && matches(pattern, table, name)
  }

  private func string(in table: SymbolTable, at name: Int) -> String {
    let start = table.strings + name
    let limit = min(table.stringBytes - name, 4096)
    var count = 0
    while count < limit && bytes[start + count] != 0 { count += 1 }
    return String(decoding: bytes[start..<(start + count)], as: UTF8.self)
  }

  /// The function symbol whose body holds `address`, the innermost where several do.
  func function(containing address: UInt64) -> Symbol? {
    var best: (table: SymbolTable, index: Int, size: UInt64)?
    for table in symbolTables {
      for index in 0..<table.count {
        let at = table.offset + index * 24
        guard bytes[at + 4] & 15 == 2, bytes.u16(at + 6) != 0 else { continue }
        let start = bytes.u64(at + 8)
        let size = bytes.u64(at + 16)
        guard address >= start, address - start < size else { continue }
        if let known = best, known.size <= size { continue }
        best = (table, index, size)
      }
      if best != nil { break }
    }
    guard let best else { return nil }
    let at = best.table.offset + best.index * 24
    let name = Int(bytes.u32(at))
    return Symbol(
      name: name < best.table.stringBytes ? string(in: best.table, at: name) : "",
      address: bytes.u64(at + 8), size: best.size, isFunction: true)
  }
}
