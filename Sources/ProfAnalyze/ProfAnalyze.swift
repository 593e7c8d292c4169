import ArgumentParser
import Foundation
import TraceImport

/// What prof-analyze exits with; scripts rely on it.
enum ExitStatus {
  /// `diff --fail-over`: slower by more than that.
  static let over: Int32 = 1
  static let usage: Int32 = 2
  static let unreadable: Int32 = 3
  /// Results were written, but the trace has losses or was cut short.
  static let partial: Int32 = 4
  static let cannotWrite: Int32 = 5
}

struct ProfAnalyze: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "prof-analyze",
    abstract: "Tells where the time of a recorded LLM inference goes.",
    discussion: """
      Start with `prof-analyze summary TRACE`. TRACE is a file written by pi-record, or - for standard input.

      Exit status: 0 complete; 1 slower than `diff --fail-over` allows; 2 usage; 3 not a trace or unreadable;
      4 analysed, but the trace has losses or was cut short (results written, losses on stderr); 5 results
      could not be written.
      """,
    version: "prof-analyze 0.2.0",
    subcommands: [
      InfoCommand.self, SummaryCommand.self, TokensCommand.self, OpsCommand.self, NodesCommand.self,
      RooflineCommand.self, ExpertsCommand.self, BackendsCommand.self, SpeculationCommand.self,
      ThreadsCommand.self, ExplainCommand.self, TimelineCommand.self, DagCommand.self, ReportCommand.self,
      DiffCommand.self, ExportCommand.self, CheckCommand.self, TablesCommand.self, BatchCommand.self,
      ArchiveCommand.self,
    ])
}

@main
enum Main {
  static func main() {
    // A reader that goes away (`| head`) shows as an error of write.
    signal(SIGPIPE, SIG_IGN)
    exit(status())
  }

  private static func status() -> Int32 {
    do {
      var command = try ProfAnalyze.parseAsRoot()
      try command.run()
      return 0
    } catch let error as TraceFileError {
      complain(error.description)
      return ExitStatus.unreadable
    } catch OutputError.readerGone {
      return 0
    } catch let error as OutputError {
      complain(error.description)
      return ExitStatus.cannotWrite
    } catch let code as ExitCode {
      return code.rawValue
    } catch {
      return finish(parserError: error)
    }
  }

  /// Help and version are errors to the argument parser too.
  private static func finish(parserError error: Error) -> Int32 {
    let text = ProfAnalyze.fullMessage(for: error)
    guard ProfAnalyze.exitCode(for: error).isSuccess else {
      FileHandle.standardError.write(Data((text + "\n").utf8))
      return ExitStatus.usage
    }
    let output = Output.standard()
    do {
      try output.write(text + "\n")
      try output.close()
      return 0
    } catch OutputError.readerGone {
      return 0
    } catch {
      complain("\(error)")
      return ExitStatus.cannotWrite
    }
  }
}
