import Foundation
import Testing

@testable import RecorderCore

@Suite struct RecordOptionsTests {
  private func message(_ arguments: [String]) -> String? {
    do throws(RecorderError) {
      _ = try RecordOptions.parse(arguments)
      return nil
    } catch {
      #expect(error.exitStatus == 2)
      #expect(!error.hints.isEmpty)
      return error.message
    }
  }

  @Test func commandBehindDashesKeepsItsOwnOptions() throws {
    let options = try RecordOptions.parse(["-o", "x", "--level=graph", "--", "run", "--level", "op", "-h"])
    guard case .command(let command) = options.target else {
      Issue.record("not a command")
      return
    }
    #expect(command == ["run", "--level", "op", "-h"])
    #expect(options.level == .graph)
    #expect(options.output == "x")
  }

  @Test func everyOptionIsRead() throws {
    let options = try RecordOptions.parse([
      "--pid", "42", "--tokens", "20", "--duration", "2.5", "--buffer", "8", "--compress", "3",
      "--no-structure",
      "--no-experts", "-q", "--pmc", "cycles,raw:0x2a", "--pmc", "page-faults", "--sched",
      "--qos-min-tps", "4.5",
    ])
    guard case .process(42) = options.target else {
      Issue.record("not process 42")
      return
    }
    #expect(options.tokens == 20)
    #expect(options.durationNanoseconds == 2_500_000_000)
    #expect(options.counters == ["cycles", "raw:0x2a", "page-faults"])
    #expect(options.scheduler)
    #expect(options.minimumSpeed == 4.5)
    #expect(options.bufferMebibytes == 8)
    #expect(options.compressionLevel == 3)
    #expect(!options.structure && !options.experts)
    #expect(options.verbosity == -1)
  }

  @Test(arguments: [
    ([], "what to record"), (["--"], "no command"), (["--pid", "1", "--", "x"], "not both"),
    (["run"], "behind '--'"), (["--level", "deep", "--", "x"], "'deep'"),
    (["--tokens", "0", "--", "x"], "'0'"),
    (["--tokens", "9999999999999999999", "--", "x"], "--tokens"),
    (["--buffer", "3", "--", "x"], "power of two"),
    (["--duration", "-1", "--", "x"], "'-1'"), (["--duration", "0", "--", "x"], "'0'"),
    (["--duration", "1.0000000001", "--", "x"], "--duration"), (["--output"], "needs a value"),
    (["--no-structure=yes", "--", "x"], "takes no value"),
    (["--frobnicate", "1", "--", "x"], "--frobnicate"),
  ])
  func mistakesAreNamed(arguments: [String], part: String) {
    #expect(message(arguments)?.contains(part) == true, "\(arguments): \(message(arguments) ?? "accepted")")
  }

  @Test func configurationFileGivesOptionsAndNamesItsLines() throws {
    let path = FileManager.default.temporaryDirectory.appendingPathComponent("pi-record-\(UUID()).conf").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    try "# board\n level = token \n\nno-structure = true # fast\ntokens=7\n".write(
      toFile: path, atomically: true, encoding: .utf8)
    let options = try RecordOptions.parse(["--config", path, "--tokens", "9", "--", "x"])
    #expect(options.level == .token)
    #expect(!options.structure)
    #expect(options.tokens == 9, "the command line comes later and wins")

    try "level = op\nbuffer = 5\n".write(toFile: path, atomically: true, encoding: .utf8)
    #expect(message(["--config", path, "--", "x"])?.contains("\(path):2") == true)
    #expect(message(["--config", path + ".missing", "--", "x"])?.contains("No such file") == true)
  }
}
