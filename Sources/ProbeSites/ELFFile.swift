/// An ELF file (64-bit, little-endian, x86_64 or aarch64) that lies in memory.
///
/// Every byte is taken as hostile: ranges are checked once when the headers are read and again wherever a value
/// from the file leads to another place. The memory must stay mapped while the value is used.
public struct ELFFile {
  public enum Machine: Sendable { case x86_64, aarch64 }

  struct Section {
    var nameOffset: UInt32
    var type: UInt32
    var flags: UInt64
    var address: UInt64
    /// Range in the file; empty for NOBITS.
    var offset: Int
    var size: Int
    var link: Int
    var entrySize: UInt64
  }

  struct Segment {
    var type: UInt32
    var flags: UInt32
    var address: UInt64
    var offset: Int
    /// Bytes in the file.
    var size: Int
  }

  public let bytes: UnsafeRawBufferPointer
  public let machine: Machine
  /// `e_machine`: 62 for x86_64, 183 for aarch64.
  public var machineNumber: UInt16 { machine == .x86_64 ? 62 : 183 }
  let sections: [Section]
  let segments: [Segment]
  private let sectionNames: Int

  /// Reads the headers.
  ///
  /// - Throws: `ELFError` with the file offset of what is wrong.
  public init(_ bytes: UnsafeRawBufferPointer) throws(ELFError) {
    guard bytes.count >= 4, bytes.u32(0) == 0x464c_457f else {
      throw ELFError(.notELF, at: 0, "no ELF magic at the start")
    }
    guard bytes.count >= 64 else { throw ELFError(.truncated, at: 0, "the ELF header is cut off") }
    guard bytes[4] == 2, bytes[5] == 1 else {
      throw ELFError(.unsupportedClass, at: 4, "not a 64-bit little-endian ELF file")
    }
    switch bytes.u16(18) {
    case 62: machine = .x86_64
    case 183: machine = .aarch64
    case let number: throw ELFError(.unsupportedMachine(number), at: 18, "unsupported processor")
    }
    self.bytes = bytes
    sections = try Self.readSections(bytes)
    segments = try Self.readSegments(bytes)
    var names = Int(bytes.u16(62))
    // SHN_XINDEX: the real index stands in section 0.
    if names == 0xffff, let first = sections.first { names = first.link }
    sectionNames = names
  }

  private static func readSections(_ bytes: UnsafeRawBufferPointer) throws(ELFError) -> [Section] {
    let start = bytes.u64(40)
    guard start != 0 else { throw ELFError(.noSections, at: 40, "the file has no section headers") }
    guard bytes.u16(58) == 64 else { throw ELFError(.malformed, at: 58, "section header size is not 64") }
    guard let table = bytes.range(start, 64) else {
      throw ELFError(.truncated, at: 40, "the section headers lie past the end of the file")
    }
    var count = UInt64(bytes.u16(60))
    if count == 0 { count = bytes.u64(table + 32) }
    guard count <= UInt64(bytes.count / 64), bytes.range(start, count * 64) != nil else {
      throw ELFError(.truncated, at: 60, "the section headers reach past the end of the file")
    }
    var sections: [Section] = []
    sections.reserveCapacity(Int(count))
    for index in 0..<Int(count) {
      let at = table + index * 64
      let type = bytes.u32(at + 4)
      var range = 0
      var size = 0
      // SHT_NULL and SHT_NOBITS have no bytes in the file.
      if type != 0 && type != 8 {
        guard let checked = bytes.range(bytes.u64(at + 24), bytes.u64(at + 32)) else {
          throw ELFError(.truncated, at: UInt64(at), "a section reaches past the end of the file")
        }
        range = checked
        size = Int(bytes.u64(at + 32))
      }
      sections.append(
        Section(
          nameOffset: bytes.u32(at), type: type, flags: bytes.u64(at + 8), address: bytes.u64(at + 16),
          offset: range, size: size, link: Int(bytes.u32(at + 40)), entrySize: bytes.u64(at + 56)))
    }
    return sections
  }

  private static func readSegments(_ bytes: UnsafeRawBufferPointer) throws(ELFError) -> [Segment] {
    let count = Int(bytes.u16(56))
    guard count > 0 else { return [] }
    guard bytes.u16(54) == 56 else { throw ELFError(.malformed, at: 54, "program header size is not 56") }
    // Addresses are looked up one by one among the segments; linkers make a dozen.
    guard count <= 128 else { throw ELFError(.malformed, at: 56, "more than 128 program headers") }
    guard let table = bytes.range(bytes.u64(32), UInt64(count * 56)) else {
      throw ELFError(.truncated, at: 32, "the program headers reach past the end of the file")
    }
    var segments: [Segment] = []
    segments.reserveCapacity(count)
    for index in 0..<count {
      let at = table + index * 56
      guard let offset = bytes.range(bytes.u64(at + 8), bytes.u64(at + 32)) else {
        throw ELFError(.truncated, at: UInt64(at), "a segment reaches past the end of the file")
      }
      segments.append(
        Segment(
          type: bytes.u32(at), flags: bytes.u32(at + 4), address: bytes.u64(at + 16), offset: offset,
          size: Int(bytes.u64(at + 32))))
    }
    return segments
  }

  // MARK: Addresses

  /// The file offset of a virtual address, or nil where the file has no bytes for it.
  public func fileOffset(of address: UInt64) -> UInt64? {
    location(of: address, executable: false).map { UInt64($0.offset) }
  }

  /// The virtual address at which a file offset is mapped, or nil.
  public func address(ofFileOffset offset: UInt64) -> UInt64? {
    for segment in segments where segment.type == 1 {
      if offset >= UInt64(segment.offset), offset - UInt64(segment.offset) < UInt64(segment.size) {
        return segment.address &+ (offset - UInt64(segment.offset))
      }
    }
    return nil
  }

  /// File offset of an address and the bytes from there to the end of its segment.
  func location(of address: UInt64, executable: Bool) -> (offset: Int, available: Int)? {
    // Where segments overlap, which only a forged file does, loaders map the later one over the earlier.
    for segment in segments.reversed() where segment.type == 1 {
      if address >= segment.address, address - segment.address < UInt64(segment.size) {
        guard !executable || segment.flags & 1 != 0 else { return nil }
        let delta = Int(address - segment.address)
        return (segment.offset + delta, segment.size - delta)
      }
    }
    return nil
  }

  /// The executable segments. Their sizes together never exceed the file's, so that a crafted file with
  /// thousands of overlapping segments costs no more than an honest one.
  var executableSegments: [Segment] {
    var budget = bytes.count
    var result: [Segment] = []
    for segment in segments where segment.type == 1 && segment.flags & 1 != 0 && segment.size <= budget {
      budget -= segment.size
      result.append(segment)
    }
    return result
  }

  // MARK: Sections

  /// Whether the section's name begins with `prefix`.
  func section(_ section: Section, nameHasPrefix prefix: StaticString) -> Bool {
    guard sectionNames < sections.count else { return false }
    let table = sections[sectionNames]
    let at = Int(section.nameOffset)
    guard at < table.size, prefix.utf8CodeUnitCount <= table.size - at else { return false }
    for index in 0..<prefix.utf8CodeUnitCount
    where bytes[table.offset + at + index] != prefix.utf8Start[index] {
      return false
    }
    return true
  }

  // MARK: Build id

  /// The GNU build id (usually 20 bytes), empty when the file has none.
  public var buildID: [UInt8] {
    // PT_NOTE
    for segment in segments where segment.type == 4 {
      var at = segment.offset
      let end = segment.offset + segment.size
      while end - at >= 12 {
        let nameSize = Int(bytes.u32(at))
        let size = Int(bytes.u32(at + 4))
        let type = bytes.u32(at + 8)
        let nameBytes = (nameSize + 3) & ~3
        let dataBytes = (size + 3) & ~3
        guard nameBytes <= end - at - 12, dataBytes <= end - at - 12 - nameBytes else { break }
        if type == 3, nameSize == 4, bytes.u32(at + 12) == 0x0055_4e47, size <= 64 {
          return [UInt8](bytes[(at + 12 + nameBytes)..<(at + 12 + nameBytes + size)])
        }
        at += 12 + nameBytes + dataBytes
      }
    }
    return []
  }
}

/// Little-endian loads. Callers have checked the range.
extension UnsafeRawBufferPointer {
  @inline(__always) func u16(_ offset: Int) -> UInt16 {
    UInt16(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt16.self))
  }
  @inline(__always) func u32(_ offset: Int) -> UInt32 {
    UInt32(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }
  @inline(__always) func u64(_ offset: Int) -> UInt64 {
    UInt64(littleEndian: loadUnaligned(fromByteOffset: offset, as: UInt64.self))
  }
  /// `offset` as an index when `offset ..< offset + size` lies inside, else nil.
  func range(_ offset: UInt64, _ size: UInt64) -> Int? {
    let total = UInt64(count)
    return offset <= total && size <= total - offset ? Int(offset) : nil
  }
}
