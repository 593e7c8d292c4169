import Foundation
import Statistics

/// Results that could not be written.
enum OutputError: Error, CustomStringConvertible {
  /// The reader of standard output went away, as `head` does: nothing to complain about.
  case readerGone
  case failed(file: String, offset: UInt64?, code: Int32)
  /// The output is the trace being read.
  case overwritesTrace(String)
  case noMemory(String)

  var description: String {
    switch self {
    case .readerGone: return "standard output was closed by its reader"
    case .overwritesTrace(let file):
      return "\(file): this is the trace itself; name another file with -o"
    case .noMemory(let file): return "\(file): there is no memory to compress it; leave out .gz"
    case .failed(let file, let offset, let code):
      let hint =
        switch code {
        case ENOSPC, EDQUOT: "free some room or write to another file system with -o"
        case ENOENT: "create the folder first"
        case EACCES, EPERM, EROFS: "choose a folder that you may write to"
        case EISDIR: "name a file, not a folder"
        default: "check the file system"
        }
      let place = offset.map { " at byte \($0)" } ?? ""
      return "\(file): cannot be written\(place): \(String(cString: strerror(code))); \(hint)"
    }
  }
}

/// A buffered, unlocked output to standard output or a file, compressed when the file's name ends in `.gz`.
///
/// Writers that take a closure cannot throw: they use `write(_: UnsafeRawBufferPointer)`, which
/// remembers the first failure for `close` to throw.
final class Output {
  private let descriptor: Int32
  private let name: String
  private let gzip: Gzip?
  private var buffer: [UInt8] = []
  private var written: UInt64 = 0
  private var failure: OutputError?

  private init(descriptor: Int32, name: String, gzip: Gzip? = nil) {
    self.descriptor = descriptor
    self.name = name
    self.gzip = gzip
    buffer.reserveCapacity(1 << 16)
  }

  static func standard() -> Output {
    // A pipe holds 64 KiB unless told otherwise, and waking its reader for each costs more than making them. What is
    // no pipe, or a user with too many pipes, refuses.
    _ = fcntl(1, setPipeSize, 1 << 20)
    return Output(descriptor: 1, name: "standard output")
  }

  /// F_SETPIPE_SZ of Linux, which Glibc's headers hide.
  private static let setPipeSize: Int32 = 1031

  /// Creates or truncates the file; `-` is standard output.
  ///
  /// - Parameter trace: path of the trace being read, which must not be truncated.
  static func file(_ path: String, reading trace: String) throws(OutputError) -> Output {
    if path == "-" { return standard() }
    try refuse(path, toOverwrite: trace)
    var gzip: Gzip?
    if path.hasSuffix(".gz") {
      gzip = Gzip()
      if gzip == nil { throw .noMemory(path) }
    }
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .failed(file: path, offset: nil, code: errno) }
    return Output(descriptor: descriptor, name: path, gzip: gzip)
  }

  /// Throws where an output would be a trace that is read.
  static func refuse(_ path: String, toOverwrite trace: String) throws(OutputError) {
    var (output, input) = (stat(), stat())
    if stat(path, &output) == 0, stat(trace, &input) == 0, output.st_dev == input.st_dev,
      output.st_ino == input.st_ino
    {
      throw .overwritesTrace(path)
    }
  }

  /// True once writing has failed: going on is of no use.
  var hasFailed: Bool { failure != nil }

  func write(_ text: String) throws(OutputError) {
    var text = text
    text.withUTF8 { write(UnsafeRawBufferPointer($0)) }
    if let failure { throw failure }
  }

  func write(_ bytes: UnsafeRawBufferPointer) {
    guard failure == nil else { return }
    if buffer.count + bytes.count > 1 << 16 { flush() }
    if bytes.count >= 1 << 16 { send(bytes) } else { buffer.append(contentsOf: bytes) }
  }

  /// Writes what is left.
  func close() throws(OutputError) {
    flush()
    gzip?.compress(UnsafeRawBufferPointer(start: nil, count: 0), isLast: true) { store($0) }
    if descriptor != 1, Foundation.close(descriptor) != 0, failure == nil {
      failure = .failed(file: name, offset: written, code: errno)
    }
    if let failure { throw failure }
  }

  private func flush() {
    buffer.withUnsafeBytes { send($0) }
    buffer.removeAll(keepingCapacity: true)
  }

  private func send(_ bytes: UnsafeRawBufferPointer) {
    guard failure == nil else { return }
    if let gzip { gzip.compress(bytes, isLast: false) { store($0) } } else { store(bytes) }
  }

  private func store(_ bytes: UnsafeRawBufferPointer) {
    var rest = bytes
    while failure == nil, let base = rest.baseAddress, rest.count > 0 {
      let count = Foundation.write(descriptor, base, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        failure = errno == EPIPE ? .readerGone : .failed(file: name, offset: written, code: errno)
        return
      }
      written += UInt64(count)
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }
}

/// One line on standard error, made harmless: it may hold names from the trace.
func complain(_ text: String) {
  FileHandle.standardError.write(Data("prof-analyze: \(escapeForTerminal(text))\n".utf8))
}
