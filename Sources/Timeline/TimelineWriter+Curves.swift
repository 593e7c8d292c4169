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
  /// The last stretch of a curve that is 0 where nothing runs.
  struct Stretch {
    var range: TimeRange
    var curve: Int
  }

  /// No machine has so many CPUs.
  private static let limit = 1 << 14

  private var numbers: [Curve: Int] = [:]
  private var readings: [CounterKey: LastReading] = [:]
  var stretches: [Int: Stretch] = [:]

  /// The number of a curve, and whether it is new; nil when there are too many.
  mutating func number(of curve: Curve) -> (number: Int, isNew: Bool)? {
    if let known = numbers[curve] { return (known, false) }
    guard numbers.count < Self.limit else { return nil }
    let number = numbers.count
    numbers[curve] = number
    return (number, true)
  }

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
    guard step.isComplete, step.range.duration > 0 else { return }
    let seconds = Double(step.range.duration) / 1e9
    if step.phase == .decode, let tokens = step.tokenCount {
      stretch(.speed, step.range, Double(tokens) / seconds)
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

  /// Modelled bytes of a graph's operators over the time that they took.
  mutating func bandwidth(_ moved: GraphWork.Sum, _ range: TimeRange) {
    guard moved.time > 0 else { return }
    stretch(
      Curve(name: "modelled bandwidth", unit: "GB/s"), range, Double(moved.bytes) / Double(moved.time))
  }

  /// A point that holds for a stretch. Behind one that is followed by a longer pause the curve falls to 0.
  private mutating func stretch(_ curve: Curve, _ range: TimeRange, _ value: Double) {
    guard let number = number(of: curve) else { return }
    if let last = curves.stretches[number], range.start - last.range.end > last.range.duration {
      encoder.point(curve: number, last.range.end, 0)
    }
    curves.stretches[number] = CurveSet.Stretch(range: range, curve: number)
    encoder.point(curve: number, range.start, value)
  }

  mutating func finishCurves() {
    for stretch in curves.stretches.values.sorted(by: { $0.curve < $1.curve }) {
      encoder.point(curve: stretch.curve, stretch.range.end, 0)
    }
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
