import TraceModel

/// Parts of a slice.
extension JSONText {
  /// `12345,"ts":1.234,"dur":5.678`
  mutating func times(_ lane: Lane, _ range: TimeRange, _ origin: TraceTime) {
    decimal(lane.number)
    raw(",\"ts\":")
    microseconds(range.start - origin)
    raw(",\"dur\":")
    microseconds(range.duration)
  }

  /// `,"args":{…` without the closing brace; nothing where there are none.
  mutating func arguments(_ arguments: [Argument]) {
    for (index, argument) in arguments.enumerated() {
      raw(index == 0 ? ",\"args\":{" : ",")
      string(argument.name)
      raw(":")
      switch argument.value {
      case .text(let text): string(text)
      case .integer(let value): decimal(value)
      case .count(let value): decimal(value)
      case .number(let value): number(value)
      case .flag(let value): raw(value ? "true" : "false")
      case .address(let value): address(value)
      }
    }
  }
}
