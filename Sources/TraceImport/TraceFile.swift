import Foundation
import TraceContainer

/// Why a trace cannot be read at all. Damage inside of a trace is not an error but part of the import's
/// statistics: what is whole is analysed.
public struct TraceFileError: Error, CustomStringConvertible, Sendable {
  public enum Kind: Sendable, Equatable {
    /// The system refused; the value is `errno`.
    case unreadable(Int32)
    case directory
    case empty
    /// What the container says: not a trace, a future version, a damaged header.
    case container(TraceError.Kind)
  }

  public var kind: Kind
  /// The path as given, `standard input` for `-`.
  public var file: String
  /// Byte offset where there is one.
  public var offset: UInt64?
  public var description: String

  init(_ kind: Kind, file: String, offset: UInt64? = nil, _ text: String) {
    self.kind = kind
    self.file = file
    self.offset = offset
    description = "\(file): \(text)"
  }
}

/// The bytes of a trace: a mapped file, or standard input spooled to an unlinked temporary file.
///
/// Mapping keeps the memory of an analysis independent of the trace's size.
public final class TraceFile: Sendable {
  /// The path as given, `standard input` for `-`.
  public let name: String
  public let header: FileHeader
  private let mapping: Mapping

  /// The whole file; valid as long as this object.
  public var bytes: UnsafeRawBufferPointer { mapping.bytes }

  /// Opens the trace at `path`, or standard input for `-`.
  ///
  /// - Throws: `TraceFileError` for what cannot be opened or is no trace of a known version.
  public init(path: String) throws(TraceFileError) {
    name = path == "-" ? "standard input" : path
    let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Self.systemError(errno, name, "cannot be opened") }
    defer { close(descriptor) }
    mapping = try Self.map(descriptor, name)
    do {
      header = try FileHeader(decoding: mapping.bytes)
    } catch {
      var text = error.description
      if error.kind == .notATrace, Self.looksLikeText(mapping.bytes) { text += " (this one looks like text)" }
      throw TraceFileError(.container(error.kind), file: name, offset: error.offset, text)
    }
  }

  /// The bytes of a file that need not be a readable trace, for who wants to save what is in it.
  ///
  /// - Throws: `TraceFileError` for what cannot be opened.
  public static func raw(path: String) throws(TraceFileError) -> (name: String, bytes: RawBytes) {
    let name = path == "-" ? "standard input" : path
    let descriptor = path == "-" ? dup(0) : open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw systemError(errno, name, "cannot be opened") }
    defer { close(descriptor) }
    return (name, RawBytes(mapping: try map(descriptor, name)))
  }

  /// Mapped as long as this object lives.
  public struct RawBytes: Sendable {
    fileprivate let mapping: Mapping
    public var bytes: UnsafeRawBufferPointer { mapping.bytes }
  }

  /// Copies bytes of the file, as many as there are and the buffer takes; returns how many.
  func copy(from offset: Int, to buffer: UnsafeMutableRawBufferPointer) -> Int {
    max(0, pread(mapping.descriptor, buffer.baseAddress, buffer.count, off_t(offset)))
  }

  /// Who reads on and on gives memory back in pieces of this size.
  static let releaseBytes = 4 << 20

  /// Gives memory back: the pages of these bytes are read from the file again when they are looked at again.
  func release(_ range: Range<Int>) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = (range.lowerBound + page - 1) / page * page
    let end = range.upperBound / page * page
    guard first < end, end <= bytes.count, let base = bytes.baseAddress else { return }
    madvise(UnsafeMutableRawPointer(mutating: base + first), end - first, MADV_DONTNEED)
  }

  /// A reader at the first chunk.
  public func reader() throws(TraceFileError) -> TraceReader {
    do {
      return try TraceReader(bytes)
    } catch {
      throw TraceFileError(.container(error.kind), file: name, offset: error.offset, error.description)
    }
  }

  private static func map(_ descriptor: Int32, _ name: String) throws(TraceFileError) -> Mapping {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw systemError(errno, name, "cannot be examined") }
    switch status.st_mode & S_IFMT {
    case S_IFDIR:
      throw TraceFileError(
        .directory, file: name, "this is a directory; name a .pitrace file in it")
    case S_IFREG: return try map(regular: descriptor, size: Int(status.st_size), name)
    default: return try spool(descriptor, name)
    }
  }

  private static func map(regular descriptor: Int32, size: Int, _ name: String) throws(TraceFileError)
    -> Mapping
  {
    guard size > 0 else {
      throw TraceFileError(
        .empty, file: name, offset: 0,
        "byte 0: the file is empty; the recording wrote nothing, look at pi-record's messages")
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw systemError(errno, name, "cannot be mapped into memory")
    }
    return Mapping(UnsafeRawBufferPointer(start: base, count: size), dup(descriptor))
  }

  /// Copies a pipe to a temporary file that has no name any more.
  private static func spool(_ input: Int32, _ name: String) throws(TraceFileError) -> Mapping {
    let directory = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
    var template = Array("\(directory)/prof-analyze-XXXXXX".utf8CString)
    let spool = mkstemp(&template)
    guard spool >= 0 else { throw systemError(errno, name, "cannot be spooled to \(directory)") }
    defer { close(spool) }
    unlink(template)
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    var total = 0
    while true {
      let count = read(input, &buffer, buffer.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw systemError(errno, name, "cannot be read", offset: UInt64(total)) }
      if count == 0 { break }
      var written = 0
      while written < count {
        let step = buffer.withUnsafeBytes { write(spool, $0.baseAddress! + written, count - written) }
        if step < 0 && errno == EINTR { continue }
        guard step > 0 else { throw systemError(errno, name, "cannot be spooled to \(directory)") }
        written += step
      }
      total += count
    }
    return try map(regular: spool, size: total, name)
  }

  private static func systemError(_ code: Int32, _ name: String, _ what: String, offset: UInt64? = nil)
    -> TraceFileError
  {
    let hint =
      switch code {
      case ENOENT: "check the path"
      case EACCES, EPERM: "check its permissions"
      case ENOSPC: "set TMPDIR to a place with room"
      default: "check the file system"
      }
    return TraceFileError(
      .unreadable(code), file: name, offset: offset, "\(what): \(String(cString: strerror(code))); \(hint)")
  }

  private static func looksLikeText(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.prefix(256).allSatisfy { $0 >= 0x20 && $0 < 0x7f || $0 == 9 || $0 == 10 || $0 == 13 }
  }
}

/// Unmapped with its last user.
private final class Mapping: @unchecked Sendable {
  let bytes: UnsafeRawBufferPointer
  /// Of the file; -1 where there were too few.
  let descriptor: Int32

  init(_ bytes: UnsafeRawBufferPointer, _ descriptor: Int32) {
    self.bytes = bytes
    self.descriptor = descriptor
  }

  deinit {
    munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress!), bytes.count)
    if descriptor >= 0 { close(descriptor) }
  }
}
