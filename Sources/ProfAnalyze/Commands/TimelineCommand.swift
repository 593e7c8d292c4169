import ArgumentParser
import ChromeTrace
import Statistics
import TraceImport
import TraceModel

struct TimelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "timeline", abstract: "Writes the run as a timeline for ui.perfetto.dev or chrome://tracing."
  )

  enum Format: String, ExpressibleByArgument, CaseIterable { case chrome }

  @OptionGroup var input: TraceArgument

  @Option(name: .shortAndLong, help: ArgumentHelp("File to write; - for standard output.", valueName: "file"))
  var output: String

  @Option(help: "chrome: Trace Event JSON.")
  var format = Format.chrome

  @Option(help: ArgumentHelp("Only these token steps, such as 3..10 or 7.", valueName: "a..b"))
  var tokens: StepRange?

  func run() throws {
    let trace = try input.open()
    let sink = try Output.file(output, reading: input.trace)
    var writer = ChromeTraceWriter(
      ChromeTraceWriter.Options(
        tokens: tokens?.range, origin: trace.info.range?.start ?? TraceTime(nanoseconds: 0),
        processID: trace.info.metadata.pid.flatMap { UInt32(exactly: $0) } ?? 1,
        processName: trace.info.metadata.command.joined(separator: " "),
        // Timelines of old traces stay as they were.
        showsSpeed: trace.info.header.minor > 0)
    ) { sink.write($0) }
    writer.threadNames = trace.threadNames
    writer.counterNames = Dictionary(trace.counters.map { ($0.index, $0.name) }) { first, _ in first }
    writer.zoneNames = trace.info.metadata.thermalZones
    let statistics = try trace.read(into: &writer)
    writer.finish()
    try sink.close()
    if writer.overlappingCount > 0 || writer.refusedCount > 0 {
      complain(
        "\(trace.file.name): \(writer.overlappingCount) slices overlap others and went to tracks of their own,"
          + " \(writer.refusedCount) could not be shown")
    }
    if let tokens, writer.sliceCount == 0 {
      complain("\(trace.file.name): no token step of \(tokens); `prof-analyze tokens` lists them")
    }
    try trace.finish(statistics)
  }
}

/// `A..B` (both included) or a single step.
struct StepRange: ExpressibleByArgument, CustomStringConvertible {
  var range: ClosedRange<Int>

  init?(argument: String) {
    let ends = argument.split(separator: ".", omittingEmptySubsequences: false)
    switch ends.count {
    case 1:
      guard let step = Int(ends[0]), step >= 0 else { return nil }
      range = step...step
    case 3 where ends[1].isEmpty:
      guard let first = Int(ends[0]), let last = Int(ends[2]), first >= 0, first <= last else { return nil }
      range = first...last
    default: return nil
    }
  }

  var description: String { "\(range.lowerBound)..\(range.upperBound)" }
}
