import Archive
import ArgumentParser
import Foundation
import Report
import Statistics

struct ArchiveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "archive",
    abstract: "Lists the runs of an archive that `batch` made, or draws how they changed.",
    discussion: """
      Filters can be combined. --page writes a page of its own that needs no network: decoded tokens a second over time \
      for each model, device, number of threads and level, with what changed; a run counts as slower (or faster) when \
      it differs from the median of up to eight runs before it by 5 % and by three times their spread. The index is \
      SQLite: `sqlite3 DIR/archive.sqlite 'SELECT * FROM run_list'` and all that formats/ARCHIVE.md describes.
      """)

  @Argument(help: ArgumentHelp("Folder of the archive.", valueName: "dir"))
  var folder: String

  @Option(help: ArgumentHelp("A part of the model's description or file name.", valueName: "text"))
  var model: String?
  @Option(help: ArgumentHelp("A part of the host's or processor's name.", valueName: "text"))
  var device: String?
  @Option(help: ArgumentHelp("Begin of the engine's build id.", valueName: "id"))
  var build: String?
  @Option(help: ArgumentHelp("token, graph or op.", valueName: "level"))
  var level: String?
  @Option(help: ArgumentHelp("Threads that graphs were computed with.", valueName: "n"))
  var threads: Int?
  @Option(help: ArgumentHelp("Recorded on that day (UTC) or later.", valueName: "yyyy-mm-dd"))
  var since: Day?
  @Option(help: ArgumentHelp("Recorded before that day (UTC).", valueName: "yyyy-mm-dd"))
  var until: Day?

  @Flag(help: "The traces that gave no results, instead of the runs.")
  var failures = false

  @Option(help: ArgumentHelp("Page to write; - for standard output.", valueName: "file.html"))
  var page: String?

  @OptionGroup var format: TableFormatOptions

  func validate() throws {
    let others = [page != nil, failures, format.csv || format.json].count { $0 }
    if page != nil, others > 1 { throw ValidationError("--page goes without --failures, --csv and --json.") }
  }

  func run() throws {
    do {
      let archive = try Archive(reading: folder)
      if failures { return try format.write(FailureTable(try archive.failures())) }
      var filter = RunFilter()
      (filter.model, filter.device, filter.build) = (model, device, build)
      (filter.level, filter.threads) = (level, threads)
      (filter.since, filter.until) = (since?.nanoseconds, until?.nanoseconds)
      let runs = try archive.runs(filter)
      guard let page else { return try format.write(RunTable(runs)) }
      let output = try Output.file(page, reading: archive.indexFile)
      let trends = TrendsPage(
        folder: folder, runs: runs, trends: try archive.trends(of: runs), failures: try archive.failures(),
        analyzer: ProfAnalyze.configuration.version)
      try output.write(trends.html)
      try output.close()
    } catch let error as ArchiveError {
      complain(error.description)
      throw ExitCode(error.isAboutWriting ? ExitStatus.cannotWrite : ExitStatus.unreadable)
    }
  }
}

/// A day, from its first moment in UTC.
struct Day: ExpressibleByArgument {
  let nanoseconds: Int64

  init?(argument: String) {
    let formatter = DateFormatter()
    formatter.locale = Locale(identifier: "en_US_POSIX")
    formatter.timeZone = TimeZone(identifier: "UTC")
    formatter.dateFormat = "yyyy-MM-dd"
    formatter.isLenient = false
    guard let date = formatter.date(from: argument) else { return nil }
    let seconds = date.timeIntervalSince1970
    guard seconds.magnitude < 9e9 else { return nil }
    nanoseconds = Int64(seconds) * 1_000_000_000
  }
}

/// Traces that gave no results.
private struct FailureTable: StatisticsTable {
  var rows: [(path: String, reason: String)]

  init(_ failures: [(path: String, reason: String)]) { rows = failures }

  static let columns = [Column("path", "trace", isText: true), Column("reason", isText: true)]
  static func cells(_ row: (path: String, reason: String)) -> [Cell] { [.text(row.path), .text(row.reason)] }
}
