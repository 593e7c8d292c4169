import Comparison
import Statistics

/// A comparison as one JSON object. Times are integer nanoseconds of a mean step.
struct DiffJSON {
  let comparison: RunComparison
  /// nil without `--fail-over`.
  let isOver: Bool?

  var text: String {
    let fields = [
      "\"headline\":\(jsonString(comparison.headline))",
      "\"comparable\":\(comparison.isComparable)",
      "\"over\":\(isOver.map(String.init) ?? "null")",
      "\"a\":\(list(comparison.files.first.map(jsonString)))",
      "\"b\":\(list(comparison.files.second.map(jsonString)))",
      "\"differences\":\(list(comparison.differences.map(difference)))",
      "\"remarks\":\(list(comparison.remarks.map(jsonString)))",
      "\"phases\":[\n\(comparison.phases.map(phase).joined(separator: ",\n"))\n]",
    ]
    return "{\(fields.joined(separator: ",\n"))}\n"
  }

  private func list(_ values: [String]) -> String { "[\(values.joined(separator: ","))]" }

  private func difference(_ one: Difference) -> String {
    "{\"kind\":\(jsonString(one.kind.rawValue)),\"a\":\(jsonString(one.first)),\"b\":\(jsonString(one.second)),"
      + "\"meaning\":\(jsonString(one.meaning))}"
  }

  private func number(_ value: Double?) -> String { value.map { formatDecimal($0, digits: 6) } ?? "null" }

  private func phase(_ phase: PhaseComparison) -> String {
    let culprits = phase.culprits.map {
      "{\"name\":\(jsonString($0.name)),\"share\":\(number($0.share)),\"change_ns\":\($0.change)}"
    }
    let rows = phase.rows.map { row in
      let cells = DiffTable.cells(DiffTable.Row(phase: phase, row: row))
      return "{"
        + zip(DiffTable.columns, cells).dropFirst().map { "\(jsonString($0.name)):\(value($1))" }.joined(
          separator: ",") + "}"
    }
    let positions = phase.positions.map { "[\($0.lowerBound),\($0.upperBound)]" } ?? "null"
    return """
      {"phase":\(jsonString(phase.phase.rawValue)),"steps":[\(phase.steps.first),\(phase.steps.second)],\
      "runs":[\(phase.runs.first),\(phase.runs.second)],"left_out":[\(phase.leftOut.first),\(phase.leftOut.second)],\
      "positions":\(positions),"change":\(number(phase.relativeChange)),\
      "low":\(number(phase.relativeInterval?.low)),"high":\(number(phase.relativeInterval?.high)),\
      "explained_by":\(list(culprits)),"rows":[
      \(rows.joined(separator: ",\n"))]}
      """
  }

  private func value(_ cell: Cell) -> String {
    switch cell {
    case .missing: "null"
    case .text(let text): jsonString(text)
    case .integer(let integer): String(integer)
    case .decimal(let decimal): decimal.isFinite ? formatDecimal(decimal, digits: 6) : "null"
    }
  }
}
