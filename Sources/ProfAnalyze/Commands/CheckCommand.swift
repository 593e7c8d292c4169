import ArgumentParser
import Statistics
import TraceContainer
import TraceImport
import TraceModel

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Structure and checksums of every chunk, and what an import meets.",
    discussion: """
      Exit status 0: whole; 4: readable, but damaged, cut short or with losses; 3: not a trace.

      With --salvage, a trace of what is whole in this one: whole chunks as they are, of the chunk in which the file \
      ends whatever records are there, a new header where that is damaged. What is missing stays visible in the new \
      trace, by the numbers of chunks and records. Exit status 0: all of it; 4: what is left; 3: nothing is.
      """)

  @OptionGroup var input: TraceArgument

  @Option(help: ArgumentHelp("Write a trace of what can be saved.", valueName: "file"))
  var salvage: String?

  func run() throws {
    if let salvage { return try write(salvage) }
    let trace = try input.open()
    var nothing = Discard()
    // Reads and verifies every payload.
    let statistics = try trace.read(into: &nothing)
    var page = TextPage()
    let info = trace.info
    page.fact("trace", info.file)
    page.fact("format", "version \(info.header.major).\(info.header.minor)")
    page.fact("chunks", "\(info.chunks.count)")
    page.fact("records", "\(statistics.records)")
    page.fact("lost records", "\(max(statistics.lostRecords, info.missingRecords))")
    page.fact("end record", info.end == nil ? "missing" : "present")
    let damage = Losses.damage(info, statistics)
    page.fact("damage", damage.isEmpty ? "none" : formatCount(damage.count, "place"))
    for place in damage {
      page.line(
        "    byte \(place.offset): \(place.description); "
          + (place.skippedBytes.map { "\($0) bytes passed over" } ?? "nothing readable behind it"))
    }
    for (oddity, count) in statistics.oddities.occurred {
      page.line("  \(oddity.isLoss ? "loss" : "odd ")  \(oddity): \(count)")
    }
    for warning in info.warnings { page.fact("warning", warning) }
    let losses = Losses(info, statistics)
    page.fact("verdict", losses.lines.isEmpty ? "whole" : "partial")
    let output = Output.standard()
    try output.write(page.text)
    try output.close()
    try trace.finish(statistics)
  }

  private func write(_ file: String) throws {
    let (name, bytes) = try TraceFile.raw(path: input.trace)
    var output: Output?
    var failure: OutputError?
    let salvage: Salvage
    do throws(TraceError) {
      salvage = try Salvage(bytes.bytes) { part in
        guard failure == nil else { return }
        do throws(OutputError) {
          if output == nil { output = try Output.file(file, reading: input.trace) }
          output?.write(part)
        } catch { failure = error }
      }
    } catch {
      complain("\(name): \(error.description)")
      throw ExitCode(ExitStatus.unreadable)
    }
    if let failure { throw failure }
    guard let output else {
      complain(
        "\(name): no chunk of a trace in it is whole: nothing can be saved, and \(file) was not written")
      throw ExitCode(ExitStatus.unreadable)
    }
    try output.close()
    if salvage.hasNewHeader {
      complain(
        "\(name): the file header is damaged and made anew: the trace's id, time and machine may be wrong")
    }
    for loss in salvage.losses.prefix(20) {
      complain("\(name): byte \(loss.offset): \(loss.bytes) bytes left out: \(loss.reason)")
    }
    if salvage.losses.count > 20 { complain("\(name): and \(salvage.losses.count - 20) more places") }
    if salvage.cutRecords > 0 {
      complain(
        "\(name): \(salvage.cutRecords) records saved of the last chunk, which no checksum vouches for")
    }
    complain(
      "\(name): \(formatCount(salvage.keptChunks, "whole chunk")), \(salvage.keptBytes) bytes -> \(file)")
    if !salvage.isWhole { throw ExitCode(ExitStatus.partial) }
  }
}

/// Takes a run and keeps nothing.
private struct Discard: RunVisitor {}
