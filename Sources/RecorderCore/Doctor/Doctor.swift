import CRecorderShim
import ProbeSites

/// `pi-record doctor`: what can be probed here, what cannot, why, and what to do about it.
public struct Doctor {
  public enum Subject {
    case machine
    case process(Int32)
    case files([String])
  }

  /// Reads the arguments behind `doctor`.
  public static func parse(_ arguments: [String]) throws(RecorderError) -> Subject {
    var files: [String] = []
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      if argument == "--pid" {
        guard index < arguments.count, let pid = Int32(arguments[index]), pid > 0, arguments.count == 2 else {
          throw .usage("doctor --pid takes the number of a process and nothing else")
        }
        return .process(pid)
      }
      if argument.utf8.first == UInt8(ascii: "-") {
        throw .usage("doctor knows --pid PID and files, not '\(argument)'")
      }
      files.append(argument)
    }
    return files.isEmpty ? .machine : .files(files)
  }

  /// Prints the report.
  ///
  /// - Returns: the exit status: 0 when recording works, 125 when it does not.
  public static func run(_ subject: Subject) throws(RecorderError) -> Int32 {
    switch subject {
    case .machine: return examineMachine() ? 0 : RecorderError.recorderStatus
    case .process(let pid):
      let works = examineMachine()
      Console.print("\n")
      return try examine(process: pid) && works ? 0 : RecorderError.recorderStatus
    case .files(let paths):
      var works = true
      for (index, path) in paths.enumerated() {
        if index > 0 { Console.print("\n") }
        works = try examine(file: path, name: path) && works
      }
      return works ? 0 : RecorderError.recorderStatus
    }
  }

  // MARK: Machine

  private static func examineMachine() -> Bool {
    Console.print("This machine\n")
    let checks = MachineCheck.all()
    for check in checks {
      let mark =
        switch check.verdict {
        case .good: "ok     "
        case .limited: "limited"
        case .missing: "MISSING"
        case .unknown: "unknown"
        }
      Console.print("  \(mark)  \(padded(check.subject, 15))  \(check.finding)\n")
      if let hint = check.hint { Console.print("           \(padded("", 15))  \(hint)\n") }
    }
    return !checks.contains { $0.verdict == .missing }
  }

  // MARK: Process

  private static func examine(process pid: Int32) throws(RecorderError) -> Bool {
    guard let libraries = ProcessMaps.libraries(of: pid) else {
      throw RecorderError(
        "cannot read the memory map of process \(pid): \(System.lastErrorText)",
        hints: ["pgrep -a llama lists candidates"])
    }
    var found = false
    var layers = Layers()
    for library in libraries {
      guard let report = FileReport(path: ProcessMaps.reachablePath(library, pid: pid)), report.isEngine
      else {
        continue
      }
      if found { Console.print("\n") }
      found = true
      report.print(name: library.path + (library.isDeleted ? " (replaced on disk since)" : ""))
      layers.add(report)
    }
    guard found else {
      Console.print("Process \(pid)\n  none of its \(libraries.count) executable files is of llama.cpp\n")
      Console.print("  is it the process that computes? A server may compute in a child process\n")
      return false
    }
    Console.print("\n")
    return layers.print(of: "process \(pid)")
  }

  // MARK: File

  private static func examine(file path: String, name: String) throws(RecorderError) -> Bool {
    guard let report = FileReport(path: path) else {
      throw RecorderError(
        "\(path) is no ELF file that can be read: \(System.lastErrorText)",
        hints: ["name an executable, a shared library or a Python extension (.so)"])
    }
    report.print(name: name)
    var layers = Layers()
    layers.add(report)
    guard report.isEngine else { return false }
    return layers.print(of: "this file alone")
  }

  static func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.utf8.count))
  }
}

/// Which layers can be recorded with what was found.
private struct Layers {
  private var roles: [SiteRole] = []

  mutating func add(_ report: FileReport) { roles += report.plan.sites.map { $0.role } }

  private func has(_ role: SiteRole) -> Bool { roles.contains(role) }

  /// - Returns: whether all of them can.
  func print(of what: String) -> Bool {
    let token = has(.tokenDecode) || has(.tokenProcess)
    let layers: [(String, Bool)] = [
      ("token", token), ("graph", has(.graph)), ("operator", has(.opBegin)),
      ("barrier waits", has(.barrierLoop)), ("sampling", has(.sampleCommon) || has(.sampleLlama)),
    ]
    let can = layers.filter { $0.1 }.map { $0.0 }.joined(separator: ", ")
    let cannot = layers.filter { !$0.1 }.map { $0.0 }.joined(separator: ", ")
    Console.print("Layers in \(what): \(can.isEmpty ? "none" : can)\n")
    if !cannot.isEmpty {
      Console.print("  not here: \(cannot) (other libraries of the same build may have them)\n")
    }
    return token || has(.graph) || has(.opBegin)
  }
}
