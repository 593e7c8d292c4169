import Comparison
import Statistics

/// A comparison for people: the sentence, what differs, and tables.
struct DiffText {
  let text: String

  init(_ comparison: RunComparison, top: Int) {
    var lines = [comparison.headline + "."]
    for remark in comparison.remarks { lines.append("- \(remark).") }
    for phase in comparison.phasesForReading {
      lines.append("")
      lines.append(Self.title(phase))
      var one = comparison
      one.phases = [phase]
      let scopes: [(String, Set<PhaseComparison.Row.Scope>)] = [
        ("What explains the change; these add up:", [.total, .part, .op]),
        ("Nodes, the largest changes first:", [.node]), ("Layers:", [.layer]),
      ]
      // Without the model, names have nothing in common.
      for (heading, scopes) in comparison.isComparable ? scopes : Array(scopes.prefix(1)) {
        let table = DiffTable(one, scopes: scopes, limit: scopes == [.node] ? top : nil)
        if table.rows.isEmpty { continue }
        var encoder = HumanTableEncoder()
        lines += ["", heading, String(decoding: encoder.encode(table), as: UTF8.self)]
        lines[lines.count - 1].removeLast()
      }
    }
    text = lines.joined(separator: "\n") + "\n"
  }

  private static func title(_ phase: PhaseComparison) -> String {
    var text =
      "\(phase.phase.rawValue): \(phase.steps.first) steps of \(formatCount(phase.runs.first, "run")) in A, "
      + "\(phase.steps.second) of \(formatCount(phase.runs.second, "run")) in B"
    if let positions = phase.positions {
      text += ", positions \(positions.lowerBound)…\(positions.upperBound)"
    }
    return text
  }
}
