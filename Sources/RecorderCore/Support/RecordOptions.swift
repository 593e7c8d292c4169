/// How deep to probe; each level includes those before it.
public enum Level: Int, CaseIterable {
  case token, graph, op

  var name: String {
    switch self {
    case .token: "token"
    case .graph: "graph"
    case .op: "op"
    }
  }
}

/// What to record.
public enum Target {
  case command([String])
  case process(Int32)
}

/// The options of INTERFACE.md, checked.
public struct RecordOptions {
  public var target: Target
  /// Where the command begins in the arguments.
  public var commandIndex = 0
  /// nil: made from the command's name and the time. "-": standard output.
  public var output: String?
  public var level = Level.op
  public var structure = true
  public var experts = true
  /// Counters, as `EventName` understands them.
  public var counters: [String] = []
  public var scheduler = false
  /// Whether the command is stopped while probes are put into what it has mapped.
  public var halts = true
  /// Tokens per second under which operator probes are dropped.
  public var minimumSpeed: Double?
  /// Stop after this many token steps.
  public var tokens: Int?
  /// Stop after this many nanoseconds.
  public var durationNanoseconds: UInt64?
  public var bufferMebibytes = 4
  public var compressionLevel: Int32 = 1
  /// Measure the machine's ceilings before recording.
  public var calibrates = false
  /// The file with the ceilings for the trace; nil: the machine's own, where there is one.
  public var ceilings: String?
  /// -1 quiet, 0 normal, 1 and more verbose.
  public var verbosity = 0
}

extension RecordOptions {
  /// Reads `pi-record`'s arguments (without the program's name).
  public static func parse(_ arguments: [String]) throws(RecorderError) -> RecordOptions {
    var parser = Parser()
    try parser.read(arguments, fromFile: nil)
    return try parser.finish()
  }
}

private struct Parser {
  var options = RecordOptions(target: .command([]))
  var command: [String]?
  var pid: Int32?

  mutating func read(_ arguments: [String], fromFile file: String?) throws(RecorderError) {
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      if argument == "--" {
        command = Array(arguments[index...])
        options.commandIndex = index
        return
      }
      guard argument.utf8.first == UInt8(ascii: "-"), argument.utf8.count > 1 else {
        throw .usage("unexpected argument '\(argument)': the command to record goes behind '--'")
      }
      let (name, attached) = split(argument)
      if try readFlag(name, attached: attached) { continue }
      var value = attached
      if value == nil, index < arguments.count {
        value = arguments[index]
        index += 1
      }
      guard let value else { throw .usage("option \(name) needs a value") }
      try readOption(name, value)
    }
  }

  /// `--level=op` and `--level op` mean the same.
  private func split(_ argument: String) -> (name: String, value: String?) {
    let bytes = Array(argument.utf8)
    guard bytes.starts(with: [UInt8(ascii: "-"), UInt8(ascii: "-")]),
      let equals = bytes.firstIndex(of: UInt8(ascii: "="))
    else { return (argument, nil) }
    return (
      String(decoding: bytes[..<equals], as: UTF8.self),
      String(decoding: bytes[(equals + 1)...], as: UTF8.self)
    )
  }

  private mutating func readFlag(_ name: String, attached: String?) throws(RecorderError) -> Bool {
    switch name {
    case "--no-structure": options.structure = false
    case "--no-experts": options.experts = false
    case "--sched": options.scheduler = true
    case "--no-halt": options.halts = false
    case "--calibrate": options.calibrates = true
    case "-q", "--quiet": options.verbosity = -1
    case "-v", "--verbose": options.verbosity += 1
    default: return false
    }
    if attached != nil { throw .usage("option \(name) takes no value") }
    return true
  }

  private mutating func readOption(_ name: String, _ value: String) throws(RecorderError) {
    switch name {
    case "-o", "--output": options.output = value
    case "--level":
      guard let level = Level.allCases.first(where: { $0.name == value }) else {
        throw .usage("--level is token, graph or op, not '\(value)'")
      }
      options.level = level
    case "--pid": pid = Int32(try number(name, value, 1...Int(Int32.max)))
    case "--tokens": options.tokens = try number(name, value, 1...Int(Int32.max))
    case "--pmc": options.counters += try list(name, value)
    case "--qos-min-tps":
      options.minimumSpeed = Double(try decimal(name, value, "a number of tokens per second")) / 1e9
    case "--duration": options.durationNanoseconds = try decimal(name, value, "a time in seconds")
    case "--buffer":
      let mebibytes = try number(name, value, 1...1024)
      // A ring buffer's size must be a power of two.
      guard mebibytes & (mebibytes - 1) == 0 else {
        throw .usage("--buffer is a power of two in MiB (1, 2, 4 … 1024), not '\(value)'")
      }
      options.bufferMebibytes = mebibytes
    case "--compress": options.compressionLevel = Int32(try number(name, value, 1...19))
    case "--ceilings": options.ceilings = value
    case "--config": try readConfiguration(value)
    default: throw .usage("unknown option '\(name)'")
    }
  }

  /// One `name = value` a line, names as the long options; `#` starts a comment.
  private mutating func readConfiguration(_ path: String) throws(RecorderError) {
    guard let bytes = System.contents(of: path) else {
      throw .usage("cannot read the configuration \(path): \(System.lastErrorText)")
    }
    var lineNumber = 0
    for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
      lineNumber += 1
      let content = trimmed(withoutComment(line))
      if content.isEmpty { continue }
      guard let equals = content.firstIndex(of: UInt8(ascii: "=")) else {
        throw .usage("\(path):\(lineNumber): expected 'name = value'")
      }
      let name = "--" + String(decoding: trimmed(content[..<equals]), as: UTF8.self)
      let value = String(decoding: trimmed(content[(equals + 1)...]), as: UTF8.self)
      guard name != "--config" else {
        throw .usage("\(path):\(lineNumber): a configuration cannot name another")
      }
      do throws(RecorderError) {
        if ["true", "yes", "on"].contains(value), try readFlag(name, attached: nil) { continue }
        if ["false", "no", "off"].contains(value) {
          // Known flags are off already; a copy takes the rest's errors.
          var trial = self
          if try trial.readFlag(name, attached: nil) { continue }
        }
        try readOption(name, value)
      } catch {
        throw .usage("\(path):\(lineNumber): \(error.message)")
      }
    }
  }

  /// A `#` begins a comment at the start of a line or behind a blank: file names may contain one.
  private func withoutComment(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    var before = UInt8(ascii: " ")
    for (index, byte) in zip(line.indices, line) {
      if byte == UInt8(ascii: "#"), before == UInt8(ascii: " ") || before == UInt8(ascii: "\t") {
        return line[..<index]
      }
      before = byte
    }
    return line
  }

  private func trimmed(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
    let blank: (UInt8) -> Bool = {
      $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r")
    }
    var result = bytes.drop(while: blank)
    while let last = result.last, blank(last) { result.removeLast() }
    return result
  }

  private func number(_ name: String, _ value: String, _ range: ClosedRange<Int>) throws(RecorderError) -> Int
  {
    guard let number = Int(value), range.contains(number) else {
      throw .usage(
        "\(name) is a whole number from \(range.lowerBound) to \(range.upperBound), not '\(value)'")
    }
    return number
  }

  /// "cycles,instructions"
  private func list(_ name: String, _ value: String) throws(RecorderError) -> [String] {
    let words = value.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
      String(decoding: Array($0), as: UTF8.self)
    }
    guard !words.contains("") else {
      throw .usage("\(name) is a list such as cycles,instructions,page-faults, not '\(value)'")
    }
    return words
  }

  /// A number greater than 0 with up to nine decimals, in billionths.
  private func decimal(_ name: String, _ value: String, _ meaning: String) throws(RecorderError) -> UInt64 {
    let bytes = Array(value.utf8)
    let point = bytes.firstIndex(of: UInt8(ascii: ".")) ?? bytes.count
    let whole = UInt64(String(decoding: bytes[..<point], as: UTF8.self))
    var decimals = bytes[min(point + 1, bytes.count)...]
    let fits = decimals.count <= 9
    while decimals.count < 9 { decimals.append(UInt8(ascii: "0")) }
    let fraction = UInt64(String(decoding: decimals, as: UTF8.self))
    guard fits, let whole, let fraction, whole < 1_000_000_000, whole + fraction > 0 else {
      throw .usage("\(name) is \(meaning) such as 30 or 2.5, not '\(value)'")
    }
    return whole * 1_000_000_000 + fraction
  }

  func finish() throws(RecorderError) -> RecordOptions {
    var options = options
    switch (command, pid) {
    case (let command?, nil):
      guard !command.isEmpty else { throw .usage("no command behind '--'") }
      options.target = .command(command)
    case (nil, let pid?): options.target = .process(pid)
    case (nil, nil): throw .usage("what to record? Give a command behind '--', or --pid PID")
    case (_?, _?): throw .usage("give either a command or --pid, not both")
    }
    return options
  }
}
