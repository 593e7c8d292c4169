import ArgumentParser
import Statistics
import TraceImport

struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "What the trace says about itself: target, machine, sites, losses, cost.",
    discussion: "The events are not read, so this is quick for a trace of any size.")

  @OptionGroup var input: TraceArgument

  func run() throws {
    let trace = try input.open()
    let output = Output.standard()
    try output.write(InfoText(trace.info).text)
    try output.close()
    let losses = Losses(trace.info)
    for line in losses.lines { complain("\(trace.file.name): \(line)") }
    if !losses.lines.isEmpty { throw ExitCode(ExitStatus.partial) }
  }
}
