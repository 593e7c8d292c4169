import TraceModel

/// The curves of a timeline under the numbers that its encoder knows them by.
struct CurveSet {
  private struct CounterKey: Hashable {
    var column: Int
    var cpu: Int
  }
  private struct LastReading {
    var time: TraceTime
    var value: UInt64
    var running: UInt64
  }

  /// No machine has so many CPUs.
  private static let limit = 1 << 14

  private var numbers: [Curve: Int] = [:]
  private var readings: [CounterKey: LastReading] = [:]
  var pauses = Pauses()

  /// The number of a curve, and whether it is new; nil when there are too many.
  mutating func number(of curve: Curve) -> (number: Int, isNew: Bool)? {
    if let known = numbers[curve] { return (known, false) }
    guard numbers.count < Self.limit else { return nil }
    let number = numbers.count
    numbers[curve] = number
    return (number, true)
  }

  /// The number of a curve that has points.
  func known(_ curve: Curve) -> Int? { numbers[curve] }

  /// Events a second since the reading before, or since the counter was opened, of the time in which it had a
  /// register, and when that was; nil where it had none.
  mutating func rate(
    cpu: Int, column: Int, value: UInt64, enabled: UInt64, running: UInt64, at time: TraceTime
  ) -> (since: TraceTime, rate: Double)? {
    let key = CounterKey(column: column, cpu: cpu)
    let known = readings[key]
    guard known != nil || readings.count < Self.limit else { return nil }
    readings[key] = LastReading(time: time, value: value, running: running)
    let opened = TraceTime(nanoseconds: time.nanoseconds - min(enabled, time.nanoseconds))
    let before = known ?? LastReading(time: opened, value: 0, running: 0)
    guard value >= before.value, running > before.running, time > before.time else { return nil }
    return (before.time, Double(value - before.value) * 1e9 / Double(running - before.running))
  }
}

extension Curve {
  fileprivate static let speed = Curve(name: "decode speed", unit: "tokens/s")
  fileprivate static let bandwidth = Curve(name: "modelled bandwidth", unit: "GB/s")
}

extension TimelineWriter {
  public mutating func reading(_ reading: Reading) {
    switch reading.value {
    case .frequency(let cpu, let kilohertz):
      writeOrHold(
        .point(Curve(name: "frequency CPU \(cpu)", unit: "MHz"), reading.time, Double(kilohertz) / 1000))
    case .temperature(let zone, let millicelsius):
      let name = options.zoneNames[zone] ?? "zone \(zone)"
      writeOrHold(
        .point(Curve(name: "temperature \(name)", unit: "°C"), reading.time, Double(millicelsius) / 1000))
    case .counter(let cpu, let column, let value, let enabled, let running):
      guard
        let (since, rate) = curves.rate(
          cpu: cpu, column: column, value: value, enabled: enabled, running: running, at: reading.time)
      else { return }
      let name = options.counters.first { $0.index == column }?.name ?? "counter \(column)"
      writeOrHold(.point(Curve(name: "\(name) CPU \(cpu)", unit: "a second"), since, rate))
    }
  }

  /// Points of a token step: the speed of decoding, and what its threads counted a second.
  mutating func curves(of step: TokenStep, _ counted: CounterDelta?) {
    guard step.isComplete, step.range.duration > 0 else { return doubt(.speed, step.range) }
    let seconds = Double(step.range.duration) / 1e9
    switch (step.phase, step.tokenCount) {
    case (.decode, let tokens?): stretch(.speed, step.range, Double(tokens) / seconds)
    case (.decode, nil), (.unknown, _): doubt(.speed, step.range)
    default: break
    }
    guard let counted else { return }
    for column in options.counters {
      guard let count = counted[column.index] else { continue }
      point(
        Curve(name: "\(column.name) in token steps", unit: "a second"), step.range.start,
        Double(count) / seconds)
    }
  }

  /// A round gives the tokens accepted, and one that the target model itself adds to each sequence.
  mutating func speed(of round: SpeculativeRound) {
    guard let accepted = round.accepted, round.verifyStep != nil, round.range.duration > 0 else { return }
    let tokens = Double(accepted) + Double(round.sequences)
    stretch(.speed, round.range, tokens * 1e9 / Double(round.range.duration))
  }

  /// Modelled bytes of a graph's operators over the time that they took; of a graph of another backend, or recorded
  /// without operators, nothing is known.
  mutating func bandwidth(_ moved: GraphWork.Sum?, _ range: TimeRange) {
    guard let moved, moved.time > 0 else { return doubt(.bandwidth, range) }
    stretch(.bandwidth, range, Double(moved.bytes) / Double(moved.time))
  }

  /// A point that holds for a stretch, or until the next one comes soon behind it.
  private mutating func stretch(_ curve: Curve, _ range: TimeRange, _ value: Double) {
    guard let number = number(of: curve) else { return }
    fall(curves.pauses.add(range, of: number))
    encoder.point(curve: number, range.start, value)
  }

  /// What a curve was in this time is not known; nil for all curves.
  mutating func doubt(_ curve: Curve?, _ range: TimeRange) {
    guard let curve else { return curves.pauses.doubt(nil, range) }
    // A curve without a point is nowhere 0.
    if let number = curves.known(curve) { curves.pauses.doubt(number, range) }
  }

  private func fall(_ falls: [Pauses.Fall]) {
    for fall in falls { encoder.point(curve: fall.curve, fall.pause.start, 0) }
  }

  mutating func finishCurves() {
    fall(curves.pauses.finish(window.range?.end ?? TraceTime(nanoseconds: .max)))
  }

  /// A value that was there before the run's first record holds when it begins; viewers drop what is earlier.
  mutating func point(_ curve: Curve, _ time: TraceTime, _ value: Double) {
    guard value.isFinite, let number = number(of: curve) else { return }
    encoder.point(curve: number, max(time, options.origin), value)
  }

  private mutating func number(of curve: Curve) -> Int? {
    guard let (number, isNew) = curves.number(of: curve) else {
      droppedCount += 1
      return nil
    }
    if isNew { encoder.add(curve) }
    return number
  }
}
