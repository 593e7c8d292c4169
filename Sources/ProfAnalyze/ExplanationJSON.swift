import Statistics

/// Explanations of token steps for programs.
///
/// `{"tokens":[{"step":…,"phase":…,"position":…,"n_kv":…,"n_tokens":…,"context":…,"start_ns":…,
/// "duration_ns":…,"explained_ns":…,"peers":…,"expected_ns":…,"typical_ns":…,"typical_position":…,
/// "excess_ns":…,"parts":[{"cause":…,"ns":…,"details":[{"name":…,"ns":…,"count":…}]}],"missing":[…],
/// "notes":[…]}]}`.
/// The parts that are not null add up to `excess_ns`.
struct ExplanationJSON {
  private(set) var text = "{\"tokens\":["

  init(_ explanations: [Explanation]) {
    for (index, explanation) in explanations.enumerated() {
      text += index == 0 ? "\n" : ",\n"
      add(explanation)
    }
    text += "\n]}\n"
  }

  private mutating func add(_ explanation: Explanation) {
    let step = explanation.step
    text +=
      "{\"step\":\(step.index),\"phase\":\"\(step.phase.rawValue)\",\"position\":\(number(step.place.position))"
    text += ",\"n_kv\":\(number(step.place.cells)),\"n_tokens\":\(number(step.tokenCount))"
    text +=
      ",\"context\":\"0x\(String(step.context, radix: 16))\",\"start_ns\":\(step.range.start.nanoseconds)"
    text += ",\"duration_ns\":\(explanation.duration),\"explained_ns\":\(explanation.explained)"
    text += ",\"peers\":\(explanation.peers),\"expected_ns\":\(number(explanation.expected))"
    text += ",\"typical_ns\":\(number(explanation.typical))"
    text += ",\"typical_position\":\(number(explanation.typicalPlace.position))"
    text += ",\"excess_ns\":\(number(explanation.excess)),\"parts\":["
    text += explanation.parts.map(part).joined(separator: ",")
    text += "],\"missing\":[\(explanation.missing.map(jsonString).joined(separator: ","))]"
    text += ",\"notes\":[\(explanation.notes.map(jsonString).joined(separator: ","))]}"
  }

  private func part(_ part: Explanation.Part) -> String {
    let details = part.details.map { detail in
      "{\"name\":\(jsonString(detail.name)),\"ns\":\(number(detail.time)),\"count\":\(number(detail.count))}"
    }
    return "{\"cause\":\"\(part.cause.rawValue)\",\"ns\":\(number(part.time))"
      + ",\"details\":[\(details.joined(separator: ","))]}"
  }

  private func number(_ value: (some BinaryInteger)?) -> String { value.map { String($0) } ?? "null" }
}
