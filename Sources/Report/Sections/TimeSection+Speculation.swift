import Statistics
import TraceModel

/// Rounds of speculative decoding and whether they pay.
extension ReportPage {
  var speculation: HTML {
    let speculation = summary.speculation
    guard speculation.rounds > 0 else { return .empty }
    var list: [(String, HTML)] = []
    var rounds = grouped(Int64(speculation.rounds))
    if let tokens = speculation.tokensPerRound {
      rounds += ", \(formatDecimal(tokens, digits: 2)) tokens each on average"
    }
    if speculation.unknownRounds > 0 { rounds += "; \(speculation.unknownRounds) not known in full" }
    list.append(("rounds", "\(rounds)"))
    if let acceptance = speculation.acceptance {
      list.append(
        (
          "accepted",
          "\(formatShare(acceptance)): \(speculation.accepted) of \(formatCount(speculation.drafted, "drafted token"))"
        ))
    }
    list += cost(summary.speculationCost)
    return Self.heading("Speculative decoding") + bar(summary.speculationCost) + Self.list(list) + positions
  }

  private static func text(_ mean: SpeculationCost.Mean) -> String {
    formatDuration(Int64(mean.value.rounded()))
  }

  /// What a round costs.
  private func bar(_ cost: SpeculationCost) -> HTML {
    guard cost.round.count > 0 else { return .empty }
    let parts: [(String, String, SpeculationCost.Mean)] = [
      ("drafting", Self.colour(.draft), cost.draft), ("feeding the draft model", "c2", cost.feed),
      ("verifying", Self.colour(.verify), cost.verify),
    ]
    return StackedBar.legend(parts.map { ($0.0, $0.1) }) + "<div class=\"bars\">"
      + StackedBar(
        label: "a round",
        segments: parts.map { Segment(name: $0.0, colour: $0.1, value: $0.2.value, text: Self.text($0.2)) },
        note: "\(Self.text(cost.round)), mean of \(cost.round.count)"
      ).html + "</div>\n"
  }

  private func cost(_ cost: SpeculationCost) -> [(String, HTML)] {
    guard cost.round.count > 0 else { return [] }
    guard let speedUp = cost.speedUp else {
      var text =
        "cannot tell: \(formatCount(cost.plain.count, "plain decode step")) of the target model in this recording, fewer"
        + " than \(SpeculationCost.leastPlainSteps); record some tokens without drafts too"
      if let most = cost.mostSpeedUp {
        text +=
          ". At most \(formatDecimal(most, digits: 2)) times as fast" + (most < 1 ? ": it does not pay" : "")
      }
      return [("against plain decoding", "\(text)")]
    }
    let verdict =
      switch speedUp.pays {
      case true?: "it pays"
      case false?: "it does not pay"
      case nil: "cannot tell whether it pays"
      }
    var list: [(String, HTML)] = [
      (
        "against plain decoding",
        """
        \(speedUp.value, digits: 2) ± \(speedUp.uncertainty, digits: 2) times as fast: \(verdict) (a plain step takes \
        \(Self.text(cost.plain)), mean of \(cost.plain.count))
        """
      )
    ]
    if let even = cost.breakEvenAcceptance {
      list.append(
        (
          "break-even acceptance",
          even > 1
            ? "none: a round costs more than all of its drafted tokens accepted are worth"
            : "\(formatShare(even)) of the drafted tokens"
        ))
    }
    return list
  }

  private var positions: HTML {
    let rows = summary.speculation.positions
    guard !rows.isEmpty else { return .empty }
    return DataTable(
      caption: "Acceptance by place in the draft",
      columns: [
        .init(heading: "place"), .init(heading: "drafted"), .init(heading: "reached"),
        .init(heading: "accepted"),
        .init(heading: "rate"), .init(heading: "once reached"),
      ],
      rows: rows.prefix(32).map {
        [
          .count($0.place), .count($0.drafted), .count($0.reached), .count($0.accepted),
          .share($0.rate, bar: true),
          .share($0.rateOnceReached),
        ]
      }
    ).html
  }
}
