import Statistics

/// Rounds of speculative decoding and whether they pay; nothing where there are none.
extension SummaryText {
  mutating func speculation() {
    let speculation = summary.speculation
    guard speculation.rounds > 0 else { return }
    page.heading("Speculative decoding")
    var rounds = "\(speculation.rounds)"
    if let tokens = speculation.tokensPerRound {
      rounds += ", \(formatDecimal(tokens, digits: 2)) tokens each on average"
    }
    if speculation.sharedRounds > 0 { rounds += " and sequence" }
    if speculation.unknownRounds > 0 { rounds += "; \(speculation.unknownRounds) not known in full" }
    page.fact("rounds", rounds)
    if let acceptance = speculation.acceptance {
      page.fact(
        "accepted",
        "\(speculation.accepted) of \(formatCount(speculation.drafted, "drafted token")),"
          + " \(formatShare(acceptance))")
    }
    positions(speculation)
    page.fact(
      "drafting",
      "\(formatDuration(speculation.draftTime)) in \(formatCount(speculation.draftSteps, "draft step"))")
    let verify = summary.phaseTimes.filter { $0.phase == .verify }.reduce(0) { $0 &+ $1.wall }
    page.fact("verifying", formatDuration(verify))
    if let tokens = speculation.tokensPerRound, speculation.unknownRounds == 0,
      speculation.sharedRounds == 0, speculation.duration > 0
    {
      let rate = tokens * Double(speculation.rounds) * 1e9 / Double(speculation.duration)
      page.fact("speed", "\(formatDecimal(rate, digits: 1)) tokens/s from the first round to the last")
    }
    cost(summary.speculationCost)
  }

  private static let shownPositions = 8

  private mutating func positions(_ speculation: SpeculationStatistics) {
    let positions = speculation.positions
    guard !positions.isEmpty else { return }
    var text = positions.prefix(Self.shownPositions).map { "\($0.place): \(formatShare($0.rate))" }
      .joined(separator: ", ")
    if positions.count > Self.shownPositions { text += ", …" }
    page.fact("  by place in the draft", text)
  }

  private mutating func cost(_ cost: SpeculationCost) {
    guard cost.round.count > 0 else { return }
    func time(_ mean: SpeculationCost.Mean) -> String { formatDuration(Int64(mean.value.rounded())) }
    page.fact(
      "a round costs",
      "\(time(cost.round)): drafting \(time(cost.draft)), feeding the draft model \(time(cost.feed)), verifying"
        + " \(time(cost.verify)) (means of \(formatCount(cost.round.count, "round")); engine time, without sampling)"
    )
    guard let speedUp = cost.speedUp else {
      var text =
        "cannot tell: \(formatCount(cost.plain.count, "plain decode step")) of the target model in this recording,"
        + " fewer than \(SpeculationCost.leastPlainSteps); record some tokens without drafts too"
      if let most = cost.mostSpeedUp {
        text +=
          ". At most \(formatDecimal(most, digits: 2)) times as fast, as a plain step takes no longer than a verifying one"
        if most < 1 { text += ": it does not pay" }
      }
      page.fact("against plain decoding", text)
      return
    }
    let verdict =
      switch speedUp.pays {
      case true?: "it pays"
      case false?: "it does not pay"
      case nil: "cannot tell whether it pays"
      }
    page.fact(
      "against plain decoding",
      "\(formatDecimal(speedUp.value, digits: 2)) ± \(formatDecimal(speedUp.uncertainty, digits: 2)) times as fast:"
        + " \(verdict) (a plain step takes \(time(cost.plain)), mean of \(cost.plain.count))")
    guard let even = cost.breakEvenAcceptance else { return }
    page.fact(
      "break-even acceptance",
      even > 1
        ? "none: with drafts of \(formatDecimal(cost.drafted.value, digits: 1)) tokens a round costs more than all of"
          + " them accepted are worth"
        : "\(formatShare(even)) of the drafted tokens, with drafts of \(formatDecimal(cost.drafted.value, digits: 1))"
          + " tokens and costs as here")
  }
}
