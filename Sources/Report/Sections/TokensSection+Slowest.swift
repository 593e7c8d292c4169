import Statistics
import TraceModel

/// Why the slowest token steps were slow.
extension ReportPage {
  private static let shownSlowest = 12

  var slowest: HTML {
    let heading = Self.heading("Slowest steps, and why")
    let explainer = Explainer(statistics.run.accounts, facts: summary.facts)
    let explanations = explainer.slowest(Self.shownSlowest).filter { ($0.surprise ?? 0) > 0 }
    guard let worst = explanations.first?.surprise, worst > 0 else {
      return heading
        + "<p class=\"note\">No step took longer than expected, or there are too few of one kind to tell.</p>\n"
    }
    // The growth of the context is in what is expected.
    let causes = Cause.allCases.filter { cause in
      cause != .contextGrowth && explanations.contains { ($0.time(cause) ?? 0) > 0 }
    }
    let bars = explanations.map { explanation -> HTML in
      let segments = causes.compactMap { cause -> Segment? in
        guard let part = explanation.parts.first(where: { $0.cause == cause }), let time = part.time, time > 0
        else {
          return nil
        }
        return Segment(
          name: cause.title, colour: Self.colour(cause), value: Double(time), text: Self.text(part, time))
      }
      let took = formatDuration(explanation.explained)
      return StackedBar(
        label: "step \(explanation.step.index), \(explanation.step.phase.rawValue)", segments: segments,
        note: "\(took), expected \(explanation.expected.map { formatDuration($0) } ?? "–")",
        length: max(Double(explanation.surprise ?? 0) / Double(worst), 0.02)
      ).html
    }
    let missing = explanations[0].missing.prefix(6).map { "<li>\($0)</li>" as HTML }
    let note: HTML = missing.isEmpty ? "" : "<ul class=\"note\">\(missing)</ul>\n"
    return heading
      + """
      <p class="lead">What such steps took longer than undisturbed ones at their place in the context, split into causes; \
      the whole with what lies behind the step. prof-analyze explain has the sums.</p>

      """ + StackedBar.legend(causes.map { ($0.title, Self.colour($0)) })
      + "<div class=\"bars\">\(bars)</div>\n"
      + table(explanations) + note
  }

  private func table(_ explanations: [Explanation]) -> HTML {
    let origin = statistics.range?.start
    return DataTable(
      caption: "The same in numbers",
      columns: [
        .init(heading: "step"), .init(heading: "phase", isText: true), .init(heading: "began after"),
        .init(heading: "position"), .init(heading: "took", hint: "With what lies behind the step"),
        .init(heading: "expected"), .init(heading: "longer by"),
        .init(heading: "mostly because of", isText: true),
      ],
      rows: explanations.map { explanation in
        let step = explanation.step
        let causes = explanation.mainCauses.filter { $0.cause != .contextGrowth }.prefix(2).map { part in
          part.cause.title + (part.details.first.map { " (\($0.name))" } ?? "")
        }
        return [
          .count(step.index), .text(step.phase.rawValue), .duration(origin.map { step.range.start - $0 }),
          .count(step.place.position), .duration(explanation.explained), .duration(explanation.expected),
          .duration(explanation.surprise), .text(causes.isEmpty ? "many" : causes.joined(separator: ", ")),
        ]
      }
    ).html
  }

  private static func text(_ part: Explanation.Part, _ time: Int64) -> String {
    let details = part.details.prefix(3).map { detail in
      detail.name + (detail.time.map { " \(formatDuration($0))" } ?? "")
        + (detail.count.map { " ×\($0)" } ?? "")
    }
    return "+\(formatDuration(time))" + (details.isEmpty ? "" : " (\(details.joined(separator: ", ")))")
  }

  private static func colour(_ cause: Cause) -> String {
    switch cause {
    case .operators: "c1"
    case .barrier: "c2"
    case .preemption: "c5"
    case .blocked: "c5 hatched"
    case .migration: "c4 hatched"
    case .frequency: "c4"
    case .pageFaults: "c3"
    case .expertMisses: "c3 hatched"
    case .graphs: "c2 hatched"
    case .setup: "c1 hatched"
    case .sampling: "c7 hatched"
    case .outside: "c6"
    case .other, .contextGrowth: "c7"
    case .unexplained: "none"
    }
  }
}
