import CRecorderShim
import RecorderCore

@main
struct PiRecord {
  static func main() {
    shim_exit(run())
  }

  private static func run() -> Int32 {
    shim_guard_standard_streams()
    var arguments: [String] = []
    for index in 1..<max(shim_argument_count(), 1) {
      guard let argument = shim_argument(index) else { break }
      arguments.append(String(cString: argument))
    }
    // Only pi-record's own options: the command behind "--" has its own --help.
    let own = arguments.prefix { $0 != "--" }
    if own.contains("-h") || own.contains("--help") {
      Console.print(helpText)
      return 0
    }
    if own.contains("--version") {
      Console.print("pi-record \(piRecordVersion)\n")
      return 0
    }
    do throws(RecorderError) {
      switch arguments.first {
      case "doctor": return try Doctor.run(Doctor.parse(Array(arguments.dropFirst())))
      case "calibrate": return try CalibrateCommand.parse(Array(arguments.dropFirst())).run()
      case "list-pmc":
        guard arguments.count == 1 else { throw .usage("list-pmc takes no arguments") }
        return CounterList.run()
      default: break
      }
      let options = try RecordOptions.parse(arguments)
      return try Recording(options: options, arguments: arguments).run()
    } catch {
      Console.write("pi-record: \(error.message)\n")
      for hint in error.hints { Console.write("  hint: \(hint)\n") }
      return error.exitStatus
    }
  }
}
