import Archive
import ArgumentParser
import Foundation
import Statistics

struct BatchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "batch", abstract: "Reads every trace under some paths into an archive with an index.",
    discussion: """
      A file that is named is a trace; in folders, and folders in them, those are that end in .pitrace. DIR gets \
      archive.sqlite, the index, and runs/ID/, the tables and the summary of each trace (`tables`). A trace whose \
      content and analyzer version are known is not read again, so that an interrupted batch goes on where it was when \
      it is started again. A trace that is bad stops no other; it is listed with its reason. `prof-analyze archive \
      DIR` shows what is there; formats/ARCHIVE.md describes the index.

      Exit status: 0 complete; 4 some traces were bad or have losses (listed on stderr, results of the others \
      written); 5 results could not be written.
      """)

  @Argument(help: ArgumentHelp("Traces, and folders with traces.", valueName: "path"))
  var paths: [String]

  @Option(name: .shortAndLong, help: ArgumentHelp("Folder of the archive.", valueName: "dir"))
  var output: String

  @Option(
    name: .shortAndLong,
    help: ArgumentHelp("Traces to read at the same time. (default: one for each processor)", valueName: "n"))
  var jobs: Int?

  @Flag(help: "The page of `report` for each trace too.")
  var report = false

  @Flag(help: "Read traces again that are known.")
  var again = false

  @Option(help: ArgumentHelp("A trace that takes longer counts as bad.", valueName: "seconds"))
  var timeout = 600

  func validate() throws {
    if let jobs, !(1...1024).contains(jobs) { throw ValidationError("-j takes a number from 1 to 1024.") }
    guard (1...1_000_000).contains(timeout) else {
      throw ValidationError("--timeout takes a number of seconds from 1.")
    }
    if paths.contains("-") { throw ValidationError("- is no path: batch reads files and folders.") }
  }

  func run() throws {
    let found = TraceFinder(paths)
    guard !found.traces.isEmpty || !found.unreadable.isEmpty else {
      complain(
        "\(paths.joined(separator: ", ")): no .pitrace file there; name traces, or a folder with traces")
      throw ExitCode(ExitStatus.usage)
    }
    do {
      try run(found)
    } catch let error as ArchiveError {
      complain(error.description)
      throw ExitCode(error.isAboutWriting ? ExitStatus.cannotWrite : ExitStatus.unreadable)
    }
  }

  private func run(_ found: TraceFinder) throws {
    var options = Batch.Options(analyzer: ProfAnalyze.configuration.version)
    options.jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
    options.withReports = report
    options.readsAgain = again
    options.secondsAllowed = timeout
    let archive = try Archive(writing: output)
    let line = ProgressLine()
    let outcome = try Batch(archive, options).run(found) { line.show($0) }
    line.clear()
    try archive.close()
    var (read, known, bad) = (0, 0, 0)
    for (path, result) in outcome.results {
      switch result {
      case .read(let losses):
        read += 1
        for loss in losses { complain("\(path): \(loss)") }
      case .known(let losses):
        known += 1
        for loss in losses { complain("\(path): \(loss)") }
      case .bad(let reason):
        bad += 1
        complain("\(path): \(reason)")
      }
    }
    complain(
      "\(formatCount(outcome.results.count, "trace")): \(read) read, \(known) known, \(bad) bad -> \(archive.indexFile)"
    )
    if outcome.isPartial { throw ExitCode(ExitStatus.partial) }
  }
}

/// How far a batch is, on one line of a terminal; nothing elsewhere.
private final class ProgressLine: @unchecked Sendable {
  private let isShown = isatty(2) == 1
  private let begin = ContinuousClock.now
  /// Called by one thread at a time.
  private var last = ContinuousClock.now

  func show(_ progress: Batch.Progress) {
    let now = ContinuousClock.now
    guard isShown, now - last > .milliseconds(100) || progress.done == progress.traces else { return }
    last = now
    var text = "\(progress.done) of \(formatCount(progress.traces, "trace"))"
    if progress.bad > 0 { text += ", \(progress.bad) bad" }
    if progress.readBytes > 0, progress.leftBytes > 0 {
      let seconds = (now - begin) / .seconds(1) * Double(progress.leftBytes) / Double(progress.readBytes)
      let whole = Int(min(seconds.rounded(.up), 1e9))
      text += whole < 60 ? ", about \(whole) s left" : ", about \(whole / 60) min \(whole % 60) s left"
    }
    FileHandle.standardError.write(Data("\r\u{1b}[K\(text)".utf8))
  }

  func clear() {
    if isShown { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
  }
}
