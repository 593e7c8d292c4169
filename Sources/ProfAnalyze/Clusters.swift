import Statistics
import TraceImport

extension TraceMetadata {
  /// What the CPUs of a kind are called: `2.40 GHz CPUs (4–7)`, by CPU number.
  var clusters: [Int: String] {
    struct Kind: Hashable {
      var capacity: Int?
      var kilohertz: Int?
    }
    let kinds = Dictionary(grouping: cpus) {
      Kind(capacity: $0.capacity, kilohertz: $0.maxKilohertz)
    }
    var names: [Int: String] = [:]
    for (kind, members) in kinds {
      let numbers = members.map(\.number).sorted()
      var text = numbers.count == 1 ? "CPU \(numbers[0])" : "CPUs \(Self.ranges(numbers))"
      if let most = kind.kilohertz { text += " (\(formatFrequency(Int64(most))))" }
      for number in numbers { names[number] = text }
    }
    return names
  }

  /// `0-3, 6`.
  static func ranges(_ numbers: [Int]) -> String {
    var ranges: [ClosedRange<Int>] = []
    for number in numbers {
      if let last = ranges.last, last.upperBound < .max, number <= last.upperBound + 1 {
        ranges[ranges.count - 1] = last.lowerBound...max(last.upperBound, number)
      } else {
        ranges.append(number...number)
      }
    }
    return ranges.map { $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound)-\($0.upperBound)" }
      .joined(separator: ", ")
  }
}
