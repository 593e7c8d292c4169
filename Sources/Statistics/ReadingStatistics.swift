import TraceModel

/// Smallest, median and largest of a series, and whether it changed while decoding.
public struct SeriesSummary: Sendable, Equatable {
  /// A cluster of CPUs, or a thermal zone.
  public var name: String
  public var minimum: Int64
  public var median: Int64
  public var maximum: Int64
  /// Largest value in the first and in the last third of the time in which the run was decoding; nil where too few
  /// readings were taken then. The largest, since CPUs that idle clock down.
  public var decodeStart: Int64?
  public var decodeEnd: Int64?

  /// How much of the first value is gone at the end, 0…1; nil where unknown.
  public var fall: Double? {
    guard let decodeStart, let decodeEnd, decodeStart > 0 else { return nil }
    return max(0, 1 - Double(decodeEnd) / Double(decodeStart))
  }
}

/// Keeps what the recorder read about once a second.
public struct ReadingStatistics: RunVisitor {
  private struct Sample {
    var time: TraceTime
    var key: Int
    var value: Int64
  }

  /// In kHz by CPU, in thousandths of a degree by zone.
  private var frequencies: [Sample] = []
  private var temperatures: [Sample] = []
  public private(set) var probeGaps: [ProbeGap] = []

  /// Nine hours of eight CPUs; later readings are left out.
  private static let limit = 1 << 18
  private static let gapLimit = 4096

  public init() {}

  public mutating func reading(_ reading: Reading) {
    switch reading.value {
    case .frequency(let cpu, let kilohertz):
      guard frequencies.count < Self.limit else { return }
      frequencies.append(Sample(time: reading.time, key: cpu, value: Int64(kilohertz)))
    case .temperature(let zone, let millicelsius):
      guard temperatures.count < Self.limit else { return }
      temperatures.append(Sample(time: reading.time, key: zone, value: Int64(millicelsius)))
    case .counter: break
    }
  }

  public mutating func probeGap(_ gap: ProbeGap) {
    if probeGaps.count < Self.gapLimit { probeGaps.append(gap) }
  }

  /// kHz by cluster.
  ///
  /// - Parameters:
  ///   - clusters: what the CPUs of a kind are called, by CPU number.
  ///   - decoding: when the run was decoding.
  public func frequencies(clusters: [Int: String], decoding: TimeRange?) -> [SeriesSummary] {
    Self.summaries(frequencies, decoding) { clusters[$0] ?? "CPU \($0)" }
  }

  /// Thousandths of a degree Celsius by thermal zone.
  public func temperatures(zones: [Int: String], decoding: TimeRange?) -> [SeriesSummary] {
    Self.summaries(temperatures, decoding) { zones[$0] ?? "zone \($0)" }
  }

  private static func summaries(_ samples: [Sample], _ decoding: TimeRange?, name: (Int) -> String)
    -> [SeriesSummary]
  {
    // In the order of the first CPU, or zone, of each name.
    var order: [String] = []
    var groups: [String: [Sample]] = [:]
    var names: [Int: String] = [:]
    for key in Set(samples.map(\.key)).sorted() {
      let text = name(key)
      names[key] = text
      if groups[text] == nil { order.append(text) }
      groups[text] = []
    }
    for sample in samples { if let name = names[sample.key] { groups[name]?.append(sample) } }
    return order.compactMap { name in groups[name].flatMap { summary(name, $0, decoding) } }
  }

  private static func summary(_ name: String, _ samples: [Sample], _ decoding: TimeRange?) -> SeriesSummary? {
    let values = samples.map(\.value).sorted()
    guard let least = values.first, let most = values.last else { return nil }
    var result = SeriesSummary(
      name: name, minimum: least, median: values[(values.count - 1) / 2], maximum: most)
    guard let decoding, decoding.duration > 0 else { return result }
    let third = UInt64(decoding.duration) / 3
    let early = decoding.start.nanoseconds &+ third
    let late = decoding.end.nanoseconds &- third
    let within = samples.filter { $0.time >= decoding.start && $0.time <= decoding.end }
    result.decodeStart = within.lazy.filter { $0.time.nanoseconds <= early }.map(\.value).max()
    result.decodeEnd = within.lazy.filter { $0.time.nanoseconds >= late }.map(\.value).max()
    return result
  }
}
