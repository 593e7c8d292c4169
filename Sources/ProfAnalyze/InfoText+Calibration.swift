import Statistics
import TraceImport
import TraceModel

/// What the recording machine can do at most, and what its probes cost; nothing where that was not measured.
extension InfoText {
  private static let shown = 16

  mutating func calibration() {
    guard let calibration = info.metadata.calibration, !calibration.ceilings.isEmpty else { return }
    page.heading("Ceilings of the machine")
    if let time = calibration.measuredAt { page.fact("measured", Self.date(nanoseconds: time)) }
    let works = Calibration.Work.allCases.filter { work in
      calibration.ceilings.contains { $0.rates[work] != nil }
    }
    var rows = [["threads", "CPUs"] + works.map(Self.title)]
    for ceiling in calibration.ceilings.prefix(Self.shown) {
      rows.append(
        [String(ceiling.cpus.count), TextPage.name(TraceMetadata.ranges(ceiling.cpus.sorted()))]
          + works.map { work in ceiling.rates[work].map { Self.text($0, work) } ?? "-" })
    }
    page.table(rows, textColumns: [1])
    let more = calibration.ceilings.count - Self.shown
    if more > 0 { page.line("  … and \(formatCount(more, "more set")) of CPUs") }
    for work in works {
      if let instructions = calibration.instructions[work] { page.fact(Self.title(work), instructions) }
    }
  }

  private static func title(_ work: Calibration.Work) -> String {
    switch work {
    case .read: "memory"
    case .readHuge: "huge pages"
    case .readCache: "last-level cache"
    case .f32, .f16, .int8: work.rawValue
    }
  }

  /// The best, and how far the worst measurement was below where that is much.
  private static func text(_ rate: Calibration.Rate, _ work: Calibration.Work) -> String {
    let unit =
      switch work {
      case .read, .readHuge, .readCache: "B/s"
      case .f32, .f16: "FLOP/s"
      case .int8: "OP/s"
      }
    var text = formatRate(rate.best, unit)
    let spread = 1 - rate.worst / rate.best
    if spread > 0.05 { text += " -\(formatDecimal(spread * 100, digits: 0)) %" }
    return rate.undisturbed == 0 ? text + " (disturbed)" : text
  }

  /// By how much probes lengthen operators, and whether that is taken out anywhere.
  mutating func probeCost() {
    guard info.metadata.hasSite("op_begin") else { return }
    let (cost, reason) = info.probeCost(info.metadata.calibration)
    guard let cost else {
      page.fact("probes in operators", "not known: \(reason ?? "not measured")")
      return
    }
    func inside(_ isFused: Bool, _ hasBarrier: Bool) -> String {
      formatDuration(cost.insideOperator(isFused: isFused, hasBarrier: hasBarrier))
    }
    var text = "\(inside(false, false)) in the time of each"
    if cost.fused != cost.begin { text += " (\(inside(true, false)) of fused ones)" }
    if cost.barrier != nil {
      text +=
        "; where barriers are probed \(inside(false, true)), and"
        + " \(formatDuration(cost.insideWait)) in each wait"
    }
    page.fact(
      "probes in operators", text + "; taken out of rates and verdicts, left in all times")
  }
}
