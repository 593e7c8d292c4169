import Statistics
import TraceImport

/// What of a run is missing in a trace, in words; nothing for a whole one.
struct Losses {
  var lines: [String] = []

  init(_ info: TraceInfo, _ statistics: ImportStatistics? = nil) {
    let lost = max(statistics?.lostRecords ?? 0, info.missingRecords)
    if lost > 0 {
      lines.append(
        "\(formatCount(lost, "record")) lost while recording; sums are too small by that. "
          + "Record with a larger --buffer, or a lower --level.")
    }
    let damage = Self.damage(info, statistics)
    for place in damage.prefix(Self.shownDamage) {
      var line = "damaged at byte \(place.offset): \(place.description)"
      if let skipped = place.skippedBytes {
        line += "; \(skipped) bytes were passed over, the rest was analysed"
      } else {
        line += "; nothing readable follows, what came before was analysed"
      }
      lines.append(line)
    }
    if damage.count > Self.shownDamage {
      lines.append(
        "damaged in \(damage.count - Self.shownDamage) more places; `prof-analyze check` lists all")
    }
    if info.end == nil && damage.isEmpty {
      lines.append(
        "the trace has no end record after \(info.fileBytes) bytes: it was cut short or is still being written; "
          + "what is there was analysed")
    }
    guard let statistics, lines.isEmpty else { return }
    for (oddity, count) in statistics.oddities.occurred where oddity.isLoss {
      lines.append("\(oddity): \(formatCount(count, "time")); results are partial")
    }
  }

  private static let shownDamage = 3

  /// Places that could not be read, in file order: metadata is read for the trace's own account,
  /// events by the import, chunk headers by both.
  static func damage(_ info: TraceInfo, _ statistics: ImportStatistics?) -> [Damage] {
    let imported = statistics?.damage ?? []
    let offsets = Set(imported.map(\.offset))
    return (imported + info.damage.filter { !offsets.contains($0.offset) }).sorted { $0.offset < $1.offset }
  }
}
