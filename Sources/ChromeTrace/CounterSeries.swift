import TraceModel

/// Values over time that a timeline shows as curves.
struct CounterSeries {
  /// A point of a curve.
  struct Point {
    var time: TraceTime
    var name: String
    /// Unit, as the viewer shows it.
    var unit: StaticString
    var value: Double
  }

  private struct Key: Hashable {
    var column: Int
    var cpu: Int
  }
  private struct Last {
    var time: TraceTime
    var value: UInt64
    var running: UInt64
  }

  private var last: [Key: Last] = [:]
  /// Points that wait until it is known which time the token steps asked for take.
  var waiting: [Point] = []
  /// That time so far.
  var window: TimeRange?

  /// Bounds `waiting` and `last`; no machine has so many CPUs or readings in a window.
  static let limit = 1 << 18

  /// Events a second since the reading before, of the time in which the counter had a register; nil for the first
  /// one and where it had none.
  mutating func rate(cpu: Int, column: Int, value: UInt64, running: UInt64, at time: TraceTime) -> Double? {
    let key = Key(column: column, cpu: cpu)
    let before = last[key]
    guard before != nil || last.count < Self.limit else { return nil }
    last[key] = Last(time: time, value: value, running: running)
    guard let before, value >= before.value, running > before.running, time > before.time else { return nil }
    return Double(value - before.value) * 1e9 / Double(running - before.running)
  }
}

extension ChromeTraceWriter {
  public mutating func reading(_ reading: Reading) {
    switch reading.value {
    case .frequency(let cpu, let kilohertz):
      point(reading.time, "frequency CPU \(cpu)", "MHz", Double(kilohertz) / 1000)
    case .temperature(let zone, let millicelsius):
      let name = zoneNames[zone] ?? "zone \(zone)"
      point(reading.time, "temperature \(name)", "°C", Double(millicelsius) / 1000)
    case .counter(let cpu, let column, let value, _, let running):
      guard
        let rate = series.rate(cpu: cpu, column: column, value: value, running: running, at: reading.time)
      else { return }
      let name = counterNames[column] ?? "counter \(column)"
      point(reading.time, "\(name)/s CPU \(cpu)", "a second", rate)
    }
  }

  /// A decode step gives a point of the speed.
  mutating func speed(of step: TokenStep) {
    if options.tokens != nil {
      let known = series.window ?? step.range
      series.window = TimeRange(
        start: min(known.start, step.range.start), end: max(known.end, step.range.end))
    }
    guard options.showsSpeed, step.phase == .decode, step.isComplete, let tokens = step.tokenCount,
      step.range.duration > 0
    else {
      return
    }
    point(step.range.start, "tokens/s", "tokens/s", Double(tokens) * 1e9 / Double(step.range.duration))
  }

  private mutating func point(_ time: TraceTime, _ name: String, _ unit: StaticString, _ value: Double) {
    let point = CounterSeries.Point(time: time, name: name, unit: unit, value: value)
    if options.tokens == nil {
      write(point)
    } else if series.waiting.count < CounterSeries.limit {
      series.waiting.append(point)
    }
  }

  /// Writes what was read while the token steps asked for ran.
  mutating func finishSeries() {
    guard let window = series.window else { return }
    for point in series.waiting where point.time >= window.start && point.time <= window.end { write(point) }
    series.waiting = []
  }

  private func write(_ point: CounterSeries.Point) {
    guard point.value.isFinite else { return }
    var text = JSONText()
    text.raw(",\n{\"name\":")
    text.string(point.name)
    text.raw(",\"ph\":\"C\",\"pid\":")
    text.decimal(options.processID)
    text.raw(",\"ts\":")
    sink.append(text.bytes)
    sink.append(microseconds: point.time - options.origin)
    var tail = JSONText()
    tail.raw(",\"args\":{\"")
    tail.raw(point.unit)
    tail.raw("\":")
    tail.number(point.value)
    tail.raw("}}")
    sink.append(tail.bytes)
  }
}
