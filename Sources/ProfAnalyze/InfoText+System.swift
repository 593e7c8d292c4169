import GGML
import Statistics
import TraceImport
import TraceModel

/// Counters, scheduler, thermal zones, backends and probes; nothing where the trace has none.
extension InfoText {
  mutating func counters() {
    let counters = info.metadata.counters
    guard !counters.isEmpty else { return }
    page.heading("Counters")
    for counter in counters {
      var text = counter.state ?? (counter.column == nil ? "not recorded" : "recorded")
      if let reason = counter.reason { text += ": \(reason)" }
      let pmus = counter.events.compactMap(\.pmu)
      if !pmus.isEmpty { text += " on \(pmus.joined(separator: ", "))" }
      if let share = counter.column.flatMap({ info.leastShare(ofColumn: $0) }), share < 1 {
        text +=
          "; multiplexed: it counted \(formatShare(share)) of the time on one CPU, and its values are too"
          + " small by that"
      }
      page.fact(TextPage.name(counter.name), text)
    }
  }

  mutating func surroundings() {
    let zones = info.metadata.thermalZones.sorted { $0.key < $1.key }
    let switches = TraceInfo.switchTypes.reduce(0) { $0 + (info.recordCounts[$1] ?? 0) }
    let isAsked = info.metadata.recordsScheduler
    let hasAny =
      isAsked == true || switches > 0 || !zones.isEmpty || !info.backends.isEmpty || !info.readings.isEmpty
    guard hasAny || !info.probeGaps.isEmpty || info.metadata.leastTokensPerSecond != nil else { return }
    page.heading("Around the engine")
    if isAsked != nil || switches > 0 {
      page.fact("scheduler", switches > 0 ? "recorded, \(formatCount(switches, "event"))" : "not recorded")
    }
    for zone in zones { page.fact("thermal zone \(zone.key)", TextPage.name(zone.value)) }
    readings()
    for backend in info.backends {
      let kind = BackendKind(guid: backend.guid)
      var text = kind?.name ?? "not known, guid \(Self.hexadecimal(backend.guid))"
      if let alike = kind?.alike, !alike.isEmpty { text += " (or \(alike.joined(separator: ", ")))" }
      page.fact("backend 0x\(String(backend.address, radix: 16))", text)
    }
    probes()
  }

  private mutating func readings() {
    var statistics = ReadingStatistics()
    for reading in info.readings { statistics.reading(reading) }
    let suffix = info.hasAllReadings ? "" : "  (near the begin and the end)"
    func text(_ series: SeriesSummary, _ format: (Int64) -> String) -> String {
      "\(format(series.minimum)) to \(format(series.maximum)), median \(format(series.median))" + suffix
    }
    for series in statistics.frequencies(clusters: info.metadata.clusters, decoding: nil) {
      page.fact(TextPage.name(series.name), text(series, formatFrequency))
    }
    for series in statistics.temperatures(zones: info.metadata.thermalZones, decoding: nil) {
      page.fact(TextPage.name(series.name), text(series, formatTemperature))
    }
  }

  private mutating func probes() {
    if let least = info.metadata.leastTokensPerSecond, least > 0 {
      page.fact("operator probes", "taken out under \(formatDecimal(least, digits: 1)) tokens/s")
    }
    guard !info.probeGaps.isEmpty else { return }
    let total = info.probeGaps.reduce(0) { $0 &+ max($1.range.duration, 0) }
    page.fact(
      "without operator probes",
      "\(formatCount(info.probeGaps.count, "interval")), together \(formatDuration(total))")
    let origin = info.range?.start ?? TraceTime(nanoseconds: 0)
    for gap in info.probeGaps.prefix(8) {
      page.fact(
        "  after \(formatDuration(gap.range.start - origin))",
        "\(formatDuration(gap.range.duration)); \(formatDecimal(gap.droppedAt, digits: 1)) tokens/s, "
          + (gap.resumedAt.map { "back at \(formatDecimal($0, digits: 1)) tokens/s" } ?? "to the end"))
    }
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
  }
}
