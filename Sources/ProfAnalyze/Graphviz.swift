import Foundation

/// A graph that could not be laid out.
enum GraphvizError: Error, CustomStringConvertible {
  case missing
  case cannotStart(String)
  case tooSlow(seconds: Int)
  case failed(status: Int32, message: String)

  var description: String {
    let instead = "or write --format dot and lay it out elsewhere"
    switch self {
    case .missing:
      return "--format svg needs Graphviz, and there is no `dot` in PATH: install it"
        + " (on Debian: apt-get install graphviz), \(instead)"
    case .cannotStart(let cause): return "Graphviz's dot cannot be started: \(cause); \(instead)"
    case .tooSlow(let seconds):
      return "Graphviz has not laid the graph out within \(seconds) s:"
        + " draw one layer with --fold-layers, \(instead)"
    case .failed(let status, let message):
      return "Graphviz's dot ended with status \(status)\(message.isEmpty ? "" : ": \(message)"); \(instead)"
    }
  }
}

/// Graphviz's `dot`, as a child process.
enum Graphviz {
  /// Lays a graph out.
  ///
  /// - Returns: the picture as SVG.
  static func svg(_ graph: String, secondsAllowed: Int) throws(GraphvizError) -> [UInt8] {
    guard let program = find("dot") else { throw .missing }
    // Files, so that neither side waits for the other; they are gone with their descriptors.
    guard let input = tmpfile(), let errors = tmpfile() else {
      throw .cannotStart("no temporary file: \(String(cString: strerror(errno)))")
    }
    defer {
      fclose(input)
      fclose(errors)
    }
    var graph = graph
    let isWritten = graph.withUTF8 { fwrite($0.baseAddress, 1, $0.count, input) == $0.count }
    guard isWritten, fflush(input) == 0, lseek(fileno(input), 0, SEEK_SET) == 0 else {
      throw .cannotStart("temporary file: \(String(cString: strerror(errno)))")
    }
    let output = Pipe()
    let process = Process()
    process.executableURL = URL(fileURLWithPath: program)
    process.arguments = ["-Tsvg"]
    process.standardInput = FileHandle(fileDescriptor: fileno(input))
    process.standardOutput = output
    process.standardError = FileHandle(fileDescriptor: fileno(errors))
    do { try process.run() } catch { throw .cannotStart("\(error.localizedDescription)") }
    guard let picture = read(output.fileHandleForReading.fileDescriptor, secondsAllowed: secondsAllowed)
    else {
      kill(process.processIdentifier, SIGKILL)
      process.waitUntilExit()
      throw .tooSlow(seconds: secondsAllowed)
    }
    process.waitUntilExit()
    guard process.terminationReason == .exit, process.terminationStatus == 0 else {
      throw .failed(status: process.terminationStatus, message: lastLine(fileno(errors)))
    }
    return picture
  }

  private static func find(_ program: String) -> String? {
    (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
      .map { "\($0)/\(program)" }.first(where: FileManager.default.isExecutableFile)
  }

  /// Everything up to the end of the stream; nil when that does not come in time.
  private static func read(_ descriptor: Int32, secondsAllowed: Int) -> [UInt8]? {
    let end = ContinuousClock.now + .seconds(secondsAllowed)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let left = end - ContinuousClock.now
      guard left > .zero else { return nil }
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let ready = poll(&request, 1, Int32(clamping: left.components.seconds * 1000 + 100))
      if ready <= 0 { continue }
      let count = Foundation.read(descriptor, &buffer, buffer.count)
      if count == 0 || count < 0 && errno != EINTR { return bytes }
      if count > 0 { bytes.append(contentsOf: buffer[..<count]) }
    }
  }

  /// What a program said last.
  private static func lastLine(_ descriptor: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 1 << 12)
    let size = lseek(descriptor, 0, SEEK_END)
    let count = pread(descriptor, &buffer, buffer.count, max(0, size - off_t(buffer.count)))
    guard count > 0 else { return "" }
    return String(decoding: buffer[..<count], as: UTF8.self).split(separator: "\n").last.map(String.init)
      ?? ""
  }
}
