import CCalibration
import CRecorderShim
import ProbeSites

/// `pi-record calibrate`: measures, shows, and keeps what it measured.
public struct CalibrateCommand {
  private var output = CalibrationFile.defaultPath

  /// Reads the arguments behind `calibrate`.
  public static func parse(_ arguments: [String]) throws(RecorderError) -> CalibrateCommand {
    var command = CalibrateCommand()
    switch arguments.count {
    case 0: break
    case 2 where arguments[0] == "-o" || arguments[0] == "--output": command.output = arguments[1]
    default: throw .usage("calibrate knows -o FILE and nothing else")
    }
    return command
  }

  /// - Returns: the exit status.
  public func run() throws(RecorderError) -> Int32 {
    var reason: RecorderError?
    let calibration = try Calibration.measure { reason = $0 }
    let file = CalibrationFile(calibration)
    if output == "-" {
      Console.print(String(decoding: file.bytes, as: UTF8.self) + "\n")
      return 0
    }
    show(calibration)
    if let reason { Console.print("A probe hit: not measured: \(reason.message)\n") }
    try file.save(to: output)
    Console.print(
      output == CalibrationFile.defaultPath
        ? "Kept in \(output): recordings put it into their traces.\n"
        : "Written to \(output): for pi-record --ceilings and prof-analyze --ceilings.\n")
    return 0
  }

  private func show(_ calibration: Calibration) {
    let tenths = calibration.duration / 100_000_000
    Console.print("Measured in \(tenths / 10).\(tenths % 10) s; the best of the windows\n")
    var heading = "  " + Doctor.padded("threads", 9) + Doctor.padded("on CPUs", 16)
    for (work, _) in Ceiling.works where Ceiling.instructions(work) != nil {
      heading += Doctor.padded(Self.title(work), 18)
    }
    Console.print(heading + "\n")
    for ceiling in calibration.ceilings {
      var line = "  " + Doctor.padded("\(ceiling.cpus.count)", 9)
      line += Doctor.padded(ceiling.cpus.map { String($0) }.joined(separator: ","), 16)
      for (work, _) in Ceiling.works where Ceiling.instructions(work) != nil {
        line += Doctor.padded(ceiling.rate(work).map { Self.text($0) } ?? "-", 18)
      }
      Console.print(line + "\n")
    }
    for (work, _) in Ceiling.works {
      guard let instructions = Ceiling.instructions(work) else { continue }
      Console.print("  " + Doctor.padded(Self.title(work), 18) + instructions + "\n")
    }
    if calibration.ceilings.contains(where: { $0.rates.contains { $0.undisturbed == 0 } }) {
      Console.print("  * other programs had the CPUs for a part of every window: the machine may do better\n")
    }
    for price in calibration.prices { Self.show(price) }
  }

  private static func show(_ prices: ProbePrices) {
    Console.print("A probe hit with its record on CPU \(prices.cpu), of it up to and behind the time stamp\n")
    for price in prices.prices {
      var line = "  " + Doctor.padded(price.instructionClass.rawValue, 15) + "\(price.hit) ns"
      if let before = price.before, let after = price.after { line += " (\(before) + \(after))" }
      Console.print(line + "\n")
    }
    if let time = prices.functionReturn {
      Console.print(
        "  " + Doctor.padded("return", 15) + "\(time) ns more, where a function's return is probed\n")
    }
  }

  private static func title(_ work: calibration_work) -> String {
    switch work {
    case CALIBRATION_READ: "memory"
    case CALIBRATION_READ_HUGE: "huge pages"
    case CALIBRATION_READ_CACHE: "last-level cache"
    case CALIBRATION_F32: "f32"
    case CALIBRATION_F16: "f16"
    default: "int8"
    }
  }

  private static func text(_ rate: Ceiling.Rate) -> String {
    let tenths = rate.best / 100_000_000
    let unit = Ceiling.isRead(rate.work) ? "GB/s" : rate.work == CALIBRATION_INT8 ? "GOP/s" : "GFLOP/s"
    return "\(tenths / 10).\(tenths % 10) \(unit)"
      + (rate.undisturbed == 0 ? " *" : "")
  }
}
