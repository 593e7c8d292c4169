import ArgumentParser
import Statistics
import Timeline
import TraceImport
import TraceModel

extension TimelineFormat: ExpressibleByArgument {}

struct TimelineCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "timeline", abstract: "Writes the run as a timeline for ui.perfetto.dev.",
    discussion: """
      Token steps with their phase, graphs, operators and barrier waits of each thread; what the scheduler did with it; \
      rounds of speculative decoding; lost records as slices of their own; and curves:
        decode speed        tokens of a decode step over its time; of a speculative round, those accepted and one for \
      each sequence
        modelled bandwidth  bytes that the operators of a graph have to move, over the time from their starts to the \
      ends of the waits behind them; operators whose bytes are not known count in neither
        COUNTER in token steps, COUNTER CPU n, frequency, temperature
      A curve holds its value until the next point; speed and bandwidth fall to 0 behind a step or graph that is \
      followed by a pause longer than itself, unless records of that time are lost or what ran then is not known. Arrows lead from a token step to its graphs.
      """)

  @OptionGroup var input: TraceArgument

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "File to write, compressed when its name ends in .gz; - for standard output.", valueName: "file"))
  var output: String

  @Option(
    help: ArgumentHelp(
      "chrome: Trace Event JSON; perfetto: protocol buffers, a third of the size. (default: perfetto "
        + "for files named *.pftrace or *.perfetto-trace, else chrome)", valueName: "chrome|perfetto"))
  var format: TimelineFormat?

  @Option(
    help: ArgumentHelp(
      "Only these token steps, such as 3..10 or 7, and what else overlaps their time.", valueName: "a..b"))
  var tokens: StepRange?

  func run() throws {
    let trace = try input.open()
    let sink = try Output.file(output, reading: input.trace)
    var writer = TimelineWriter(format ?? Self.format(ofFile: output), options(of: trace)) { sink.write($0) }
    let statistics = try trace.read(into: &writer)
    writer.finish()
    try sink.close()
    if writer.overlappingCount > 0 || writer.refusedCount > 0 || writer.droppedCount > 0 {
      complain(
        "\(trace.file.name): \(writer.overlappingCount) slices overlap others and went to tracks of their own,"
          + " \(writer.refusedCount + writer.droppedCount) could not be shown")
    }
    if let tokens, writer.sliceCount == 0 {
      complain("\(trace.file.name): no token step of \(tokens); `prof-analyze tokens` lists them")
    }
    try trace.finish(statistics)
  }

  private static func format(ofFile name: String) -> TimelineFormat {
    let plain = name.hasSuffix(".gz") ? name.dropLast(3) : name[...]
    return plain.hasSuffix(".pftrace") || plain.hasSuffix(".perfetto-trace") ? .perfetto : .chrome
  }

  private func options(of trace: OpenTrace) -> TimelineOptions {
    var options = TimelineOptions()
    options.tokens = tokens?.range
    options.origin = trace.info.range?.start ?? TraceTime(nanoseconds: 0)
    options.processID = trace.info.metadata.pid.flatMap { UInt32(exactly: $0) } ?? 1
    options.processName = trace.info.metadata.command.joined(separator: " ")
    options.threadNames = trace.threadNames
    options.counters = trace.counters
    options.zoneNames = trace.info.metadata.thermalZones
    options.workModel = OpenTrace.workModel
    if let anchor = trace.info.clocks.first, let bootTime = UInt64(exactly: anchor.boottimeNanoseconds),
      bootTime > anchor.monotonic.nanoseconds
    {
      options.bootTimeOffset = bootTime - anchor.monotonic.nanoseconds
    }
    return options
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
