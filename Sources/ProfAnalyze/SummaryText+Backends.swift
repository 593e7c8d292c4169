import Statistics
import TraceModel

/// Graphs of other backends than the CPU's; nothing where there are none.
extension SummaryText {
  mutating func backends() {
    let rows = summary.backends.backends
    guard rows.contains(where: { $0.name != "CPU" }) else { return }
    page.heading("Backends (time on the calling thread)")
    var lines = [["backend", "graphs", "in graphs"]]
    for row in rows {
      lines.append([TextPage.name(row.name), String(row.count), formatDuration(row.total, aligned: true)])
    }
    page.table(lines, textColumns: [0])
    for count in summary.backends.splitCounts where count.phase != .warmup {
      let graphs =
        count.least == count.most
        ? "\(count.most)"
        : "\(count.least) to \(count.most), \(formatDecimal(count.mean, digits: 1)) on average"
      page.fact("graphs a \(count.phase.rawValue) step", graphs)
    }
    transfers()
    islands()
    waiting()
  }

  private static let shown = 4

  private mutating func transfers() {
    let transfers = summary.backends.transfers.filter { $0.phase != .warmup }
    for transfer in transfers.prefix(Self.shown) {
      page.fact(
        "\(TextPage.name(transfer.from)) to \(TextPage.name(transfer.to))",
        "\(transfer.phase.rawValue): \(formatDuration(transfer.time)) between the graphs,"
          + " \(formatDuration(transfer.time / Int64(max(transfer.count, 1)))) each of \(transfer.count)")
    }
    if transfers.count > Self.shown { page.line("  … all: prof-analyze backends --transfers") }
  }

  private mutating func islands() {
    let islands = summary.backends.islands.filter { $0.phase != .warmup }
    for island in islands.prefix(Self.shown) {
      let what =
        island.operators.map { TextPage.name($0.isEmpty ? "nothing" : $0) } ?? "operators not recorded"
      page.fact(
        "island on the CPU",
        "\(what) (\(formatCount(island.count, "\(island.phase.rawValue) graph"))):"
          + " \(formatDuration(island.total)), and \(formatDuration(island.around)) between them and the"
          + " graphs of \(TextPage.name(island.behind))")
    }
    if islands.count > Self.shown { page.line("  … all: prof-analyze backends --islands") }
  }

  /// Where a device's time may hide.
  private mutating func waiting() {
    let decode = summary.phaseTimes.first { $0.phase == .decode } ?? summary.phaseTimes.first
    guard let decode, decode.steps > 0 else { return }
    let steps = Int64(decode.steps)
    page.fact(
      "waiting for a device",
      "cannot be told apart: it is in the time between graphs (\(formatDuration(decode.time.betweenGraphs / steps)) a"
        + " \(decode.phase.rawValue) step) and outside of the engine behind the step"
        + " (\(formatDuration(decode.time.outside / steps)))")
  }
}
