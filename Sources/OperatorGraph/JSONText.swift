import Statistics
import TraceModel

func jsonQuoted(_ text: String) -> String {
  var out = "\""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\"": out += "\\\""
    case "\\": out += "\\\\"
    case "\n": out += "\\n"
    case "\t": out += "\\t"
    case _ where scalar.value < 0x20 || scalar.value == 0x7f:
      let digits = String(scalar.value, radix: 16)
      out += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: out.unicodeScalars.append(scalar)
    }
  }
  return out + "\""
}

/// Hexadecimal, in quotes: JSON numbers lose bits beyond 2^53.
func hexadecimal(_ value: UInt64) -> String {
  "\"0x\(String(value, radix: 16))\""
}

func jsonList(_ numbers: some Sequence<some BinaryInteger>) -> String {
  "[" + numbers.map { String($0) }.joined(separator: ",") + "]"
}

func jsonNumber(_ value: Double?) -> String {
  guard let value, value.isFinite else { return "null" }
  return formatDecimal(value, digits: 3)
}

func jsonNumber(_ value: Int64?) -> String { value.map(String.init) ?? "null" }

extension OperatorFigures {
  /// The fields of its object: the median time, the mean work and the mean counts of a call; null where not
  /// recorded.
  func json(_ counters: [CounterColumn]) -> String {
    var out = "\"calls\":\(calls),\"duration_ns\":\(jsonNumber(times.quantile(0.5)))"
    out += ",\"p95_ns\":\(jsonNumber(times.quantile(0.95)))"
    out += ",\"bytes\":\(jsonNumber(perCall(bytes))),\"flops\":\(jsonNumber(perCall(flops)))"
    out += ",\"bytes_per_s\":\(jsonNumber(bandwidth)),\"flops_per_s\":\(jsonNumber(flopRate))"
    out += ",\"counters\":{"
    out += counters.map { "\(jsonQuoted($0.name)):\(jsonNumber(self.counters[$0.index]))" }.joined(
      separator: ",")
    return out + "}"
  }
}

extension CriticalPath {
  /// The fields of its object, without its vertices.
  ///
  /// - Parameter graphTime: wall time of the graph, nanoseconds.
  func json(graphTime: Int64?) -> String {
    "\"length_ns\":\(length),\"operators_ns\":\(total),\"graph_ns\":\(jsonNumber(graphTime))"
      + ",\"complete\":\(isComplete)"
  }
}
