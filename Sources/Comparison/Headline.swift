import Statistics

extension RunComparison {
  /// The result in one sentence.
  public var headline: String {
    if let model = differences.first(where: \.preventsComparison) {
      return "A and B are not comparable: \(model.meaning) (A: \(model.first); B: \(model.second))"
    }
    guard let phase = mainPhase, let change = phase.relativeChange else {
      return "A and B have no token steps to compare"
    }
    guard let interval = phase.relativeInterval else {
      return "\(phase.phase.rawValue): too few steps to tell a change from chance "
        + "(\(Self.signed(change)) over \(phase.steps.first) and \(phase.steps.second) steps)"
    }
    guard interval.isClear else {
      return "no clear change: \(phase.phase.rawValue) \(Self.signed(change)) "
        + "(\(Self.signed(interval.low))…\(Self.signed(interval.high)))"
    }
    let isSlower = change > 0
    let (low, high) = isSlower ? (interval.low, interval.high) : (-interval.high, -interval.low)
    let text =
      "\(phase.phase.rawValue) got \(formatShare(change.magnitude)) \(isSlower ? "slower" : "faster") "
      + "(\(formatDecimal(low * 100, digits: 1))…\(formatShare(high)))"
    let causes = phase.culprits.enumerated().map { index, one in
      "\(one.name)\(index == 0 ? " explains" : "") \(formatDecimal(one.share * 100, digits: 0)) %"
        + (index == 0 ? " of it" : "")
    }
    return causes.isEmpty
      ? text + ", spread over many operators" : "\(text): \(causes.joined(separator: ", "))"
  }

  static func signed(_ ratio: Double) -> String {
    (ratio < 0 ? "−" : "+") + formatShare(ratio.magnitude)
  }

  /// What a reader must know besides the numbers, one sentence each.
  public var remarks: [String] {
    var lines = differences.map { "\($0.meaning): A \($0.first); B \($0.second)" }
    for phase in phases {
      let name = phase.phase.rawValue
      if phase.leftOut.first + phase.leftOut.second > 0 {
        var line =
          "\(name): \(phase.leftOut.first) steps of A and \(phase.leftOut.second) of B have no counterpart of the same "
          + "number of tokens and position and are left out"
        if let positions = phase.positions {
          line += "; compared at positions \(positions.lowerBound)…\(positions.upperBound)"
        }
        lines.append(line)
      }
      if phase.relativeInterval == nil {
        lines.append(
          "\(name): fewer than \(PhaseComparison.leastSteps) steps on a side: no interval; record more, or repeat the "
            + "run and compare folders")
      } else if min(phase.runs.first, phase.runs.second) == 1 {
        lines.append(
          "\(name): one run on a side: the interval does not know how much runs differ among themselves; repeat the run "
            + "and compare folders")
      }
    }
    for (phase, reason) in notCompared { lines.append("\(phase.rawValue): not compared: \(reason)") }
    if skippedSteps.first + skippedSteps.second > 0 {
      lines.append(
        "\(skippedSteps.first) steps of A and \(skippedSteps.second) of B were not recorded whole and are left out"
      )
    }
    return lines
  }
}
