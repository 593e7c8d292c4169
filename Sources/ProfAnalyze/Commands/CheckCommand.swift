import ArgumentParser
import Statistics
import TraceContainer
import TraceImport
import TraceModel

struct CheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Structure and checksums of every chunk, and what an import meets.",
    discussion: "Exit status 0: whole; 4: readable, but damaged, cut short or with losses; 3: not a trace.")

  @OptionGroup var input: TraceArgument

  func run() throws {
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
    for warning in info.warnings + statistics.warnings { page.fact("warning", warning) }
    let losses = Losses(info, statistics)
    page.fact("verdict", losses.lines.isEmpty ? "whole" : "partial")
    let output = Output.standard()
    try output.write(page.text)
    try output.close()
    try trace.finish(statistics)
  }
}

/// Takes a run and keeps nothing.
private struct Discard: RunVisitor {}
