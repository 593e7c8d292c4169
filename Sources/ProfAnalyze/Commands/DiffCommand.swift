import ArgumentParser
import Comparison
import Report
import Statistics
import TraceImport
import TraceModel

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "What changed between two recordings, and what explains it.",
    discussion: """
      A and B are traces, or folders of traces of the same run, repeated. Compared is the mean time of a token step
      with the samplers and the caller's code behind it, over steps of the same number of tokens in the same range of
      positions. The slowest half of the steps is left out (--leave-out): what other programs cost hits some steps, what
      a build costs hits all. With --leave-out 0 all count. Nodes are the same by name and operator, not by position.
      `part` and `operator` rows add up to the step, `node` and `layer` rows to the operators, to the nanosecond.

      Intervals hold the change with 95 %: steps are drawn again, and runs where there are several on a side; few runs
      make them wider. With one run on a side they know nothing of how runs differ among themselves: for CI, record seven
      of each, in turns, so that one which was disturbed from begin to end does not count.

      --fail-over exits with 1 when a phase takes longer by more than PERCENT with all of its interval, and with 2
      when A and B are not comparable. Losses exit with 4.
      """)

  @Argument(help: ArgumentHelp("A trace, or a folder of repeated runs.", valueName: "a"))
  var first: String
  @Argument(help: ArgumentHelp("What to compare it with.", valueName: "b"))
  var second: String

  @OptionGroup var format: TableFormatOptions

  @Option(help: ArgumentHelp("Fail when a phase is slower by more than this.", valueName: "percent"))
  var failOver: Double?
  @Option(help: ArgumentHelp("Leave out this share of the steps, the slowest.", valueName: "percent"))
  var leaveOut = 50.0
  @Option(help: ArgumentHelp("Nodes that people are shown.", valueName: "rows"))
  var top = 15
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Also write a page; - for standard output.", valueName: "page.html"))
  var output: String?

  func validate() throws {
    if let failOver, !(failOver >= 0 && failOver.isFinite) {
      throw ValidationError("--fail-over must be a percentage, 0 or more.")
    }
    if !(leaveOut >= 0 && leaveOut < 100) {
      throw ValidationError("--leave-out must be from 0 to below 100.")
    }
    if top < 1 { throw ValidationError("--top must be at least 1.") }
    if first == "-" && second == "-" { throw ValidationError("Only one of A and B can be standard input.") }
  }

  func run() throws {
    let (a, b): (RunSide, RunSide)
    do {
      (a, b) = (try RunSide(path: first), try RunSide(path: second))
    } catch let error as DiffError {
      complain(error.description)
      throw ExitCode(ExitStatus.unreadable)
    }
    var options = ComparisonOptions()
    options.leftOut = leaveOut / 100
    let comparison = RunComparison(a.runs, b.runs, options: options)
    let isOver = failOver.map { limit in
      comparison.isComparable && comparison.phases.contains { $0.isSlower(byMoreThan: limit / 100) }
    }
    if output != "-" { try write(comparison, isOver) }
    if let output { try writePage(comparison, to: output, a.runs + b.runs) }
    if failOver != nil, !comparison.isComparable {
      complain("\(comparison.headline); --fail-over cannot judge")
      throw ExitCode(ExitStatus.usage)
    }
    if a.hasLosses || b.hasLosses { throw ExitCode(ExitStatus.partial) }
    if isOver == true { throw ExitCode(ExitStatus.over) }
  }

  private func write(_ comparison: RunComparison, _ isOver: Bool?) throws {
    if format.csv { return try format.write(DiffTable(comparison)) }
    let output = Output.standard()
    try output.write(
      format.json
        ? DiffJSON(comparison: comparison, isOver: isOver).text : DiffText(comparison, top: top).text)
    try output.close()
  }

  private func writePage(_ comparison: RunComparison, to path: String, _ runs: [ComparedRun]) throws {
    for run in runs.dropLast() { try Output.refuse(path, toOverwrite: run.facts.file) }
    let sink = try Output.file(path, reading: runs.last?.facts.file ?? path)
    try sink.write(DiffPage(comparison, analyzer: ProfAnalyze.configuration.version).html)
    try sink.close()
  }
}
