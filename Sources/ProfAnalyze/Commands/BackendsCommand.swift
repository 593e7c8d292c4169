import ArgumentParser
import Statistics

struct BackendsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backends",
    abstract: "How token steps are split into graphs on backends, and what lies between them.",
    discussion: """
      Without an option: one row per place of a graph in the token steps of a phase. `before it` is the time since the
      graph before: copying inputs to this backend, waiting for the one before, and the scheduler's own work. Which
      part is which is not recorded, nor how many bytes were copied.

      Times are the calling thread's. A backend that computes later (Vulkan, CUDA) only takes a graph over: where the
      target then waits for the device shows before the next graph, and after the step (`prof-analyze tokens`,
      outside_ns).
      """)

  enum View: EnumerableFlag {
    case transfers, islands

    static func help(for value: View) -> ArgumentHelp? {
      switch value {
      case .transfers: "One row per change from one backend to another: how often, and the time in between."
      case .islands:
        "One row per kind of CPU graph between graphs of another backend: operators that fall back to the CPU."
      }
    }
  }

  @OptionGroup var input: TraceArgument
  @Flag(exclusivity: .exclusive) var view: View?
  @OptionGroup var phase: PhaseOptions
  @OptionGroup var format: TableFormatOptions

  func run() throws {
    let trace = try input.open()
    var backends = BackendStatistics()
    let statistics = try trace.read(into: &backends)
    switch view {
    case nil: try format.write(SplitTable(backends, phases: phase.phases))
    case .transfers: try format.write(TransferTable(backends, phases: phase.phases))
    case .islands: try format.write(IslandTable(backends, phases: phase.phases))
    }
    if !backends.isMixed {
      let only = backends.backends.first.map { "all graphs are of \($0.name)" } ?? "no graph in this trace"
      complain("\(trace.file.name): \(only)")
    }
    if backends.leftOut > 0 {
      complain(
        "\(trace.file.name): \(formatCount(backends.leftOut, "graph")) left out: too many different ones")
    }
    try trace.finish(statistics)
  }
}
