import CRecorderShim

/// A file of which a process has executable code mapped.
struct MappedLibrary {
  /// As the process sees it, for people.
  var path: String
  /// "fe:00": inode numbers are unique within a file system only.
  var device: String
  var inode: UInt64
  /// First address of the file's executable mapping and the file offset there.
  var start: UInt64
  var end: UInt64
  var offset: UInt64
  var isDeleted: Bool
}

enum ProcessMaps {
  /// The executable file mappings of a process, each file once; nil when the process is gone.
  static func libraries(of pid: Int32) -> [MappedLibrary]? {
    guard let text = System.contents(of: "/proc/\(pid)/maps", limit: 64 << 20) else { return nil }
    var libraries: [MappedLibrary] = []
    for line in text.split(separator: UInt8(ascii: "\n")) {
      guard let library = parse(line),
        !libraries.contains(where: { $0.inode == library.inode && $0.device == library.device })
      else {
        continue
      }
      libraries.append(library)
    }
    return libraries
  }

  /// Size of the address space, nil when the process is gone.
  static func mappedPages(of pid: Int32) -> UInt64? {
    guard let line = System.line(of: "/proc/\(pid)/statm") else { return nil }
    return UInt64(String(decoding: Array(line.utf8.prefix { $0 != UInt8(ascii: " ") }), as: UTF8.self))
  }

  /// What its first thread does, as the kernel's letter: R runs, T stopped, and so on; nil when the process is gone.
  static func state(of pid: Int32) -> UInt8? {
    guard let bytes = System.contents(of: "/proc/\(pid)/stat") else { return nil }
    return parseState(bytes)
  }

  /// `1234 (a name) of 15 bytes) T 1 …`
  static func parseState(_ line: [UInt8]) -> UInt8? {
    guard let end = line.lastIndex(of: UInt8(ascii: ")")), end + 2 < line.count else { return nil }
    return line[end + 2]
  }

  /// `7f10a000-7f20b000 r-xp 0029d000 fe:00 1234   /path/with blanks.so (deleted)`
  static func parse(_ line: ArraySlice<UInt8>) -> MappedLibrary? {
    var rest = line
    func field() -> ArraySlice<UInt8> {
      let field = rest.prefix { $0 != UInt8(ascii: " ") }
      rest = rest.dropFirst(field.count).drop { $0 == UInt8(ascii: " ") }
      return field
    }
    let range = field()
    let permissions = field()
    let offset = field()
    let device = field()
    let inode = field()
    guard permissions.dropFirst(2).first == UInt8(ascii: "x"), rest.first == UInt8(ascii: "/"),
      let dash = range.firstIndex(of: UInt8(ascii: "-")), let start = hex(range[..<dash]),
      let end = hex(range[(dash + 1)...]), let offset = hex(offset),
      let inode = UInt64(String(decoding: inode, as: UTF8.self)), inode != 0
    else { return nil }
    let deleted = Array(" (deleted)".utf8)
    let isDeleted = rest.suffix(deleted.count).elementsEqual(deleted)
    return MappedLibrary(
      path: String(decoding: isDeleted ? rest.dropLast(deleted.count) : rest, as: UTF8.self),
      device: String(decoding: device, as: UTF8.self), inode: inode,
      start: start, end: end, offset: offset, isDeleted: isDeleted)
  }

  private static func hex(_ text: ArraySlice<UInt8>) -> UInt64? {
    UInt64(String(decoding: text, as: UTF8.self), radix: 16)
  }

  /// A path at which this process can open the file that the other one has mapped: through its
  /// root (containers, chroots), or through map_files when the name is gone or names another file.
  static func reachablePath(_ library: MappedLibrary, pid: Int32) -> String {
    let path = "/proc/\(pid)/root" + library.path
    let mapped =
      "/proc/\(pid)/map_files/" + String(library.start, radix: 16) + "-" + String(library.end, radix: 16)
    if library.isDeleted { return mapped }
    // Something else may lie at the path by now, or over it. Where map_files cannot be followed (it takes
    // CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE), the inode number must do.
    switch shim_same_file(path, mapped) {
    case 1: return path
    case 0: return mapped
    default: return shim_inode(path) == library.inode ? path : mapped
    }
  }

  static func threads(of pid: Int32) -> [UInt32] {
    System.names(in: "/proc/\(pid)/task").compactMap { UInt32($0) }
  }

  /// The process of a thread, nil when it is gone.
  static func process(of thread: UInt32) -> UInt32? {
    let key = Array("Tgid:".utf8)
    guard let status = System.contents(of: "/proc/\(thread)/status"),
      let line = status.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) })
    else { return nil }
    let digits = line.dropFirst(key.count).drop { $0 == UInt8(ascii: "\t") }
    return UInt32(String(decoding: digits, as: UTF8.self))
  }

  /// Children of any thread of the process (needs CONFIG_PROC_CHILDREN, which every
  /// distribution sets; without it a process started by COMMAND is not followed).
  static func children(of pid: Int32) -> [Int32] {
    var children: [Int32] = []
    for thread in threads(of: pid) {
      guard let line = System.line(of: "/proc/\(pid)/task/\(thread)/children") else { continue }
      for number in line.utf8.split(separator: UInt8(ascii: " ")) {
        if let child = Int32(String(decoding: Array(number), as: UTF8.self)) { children.append(child) }
      }
    }
    return children
  }
}
