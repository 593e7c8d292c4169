import TraceModel

/// Clock rates of CPUs and temperatures of zones over time: smallest and largest of each part of the recording.
struct DeviceSeries: Sendable {
  struct Point: Sendable, Equatable {
    var minimum: Int64
    var maximum: Int64
  }

  let window: TimeWindow
  /// kHz by CPU; a part without a reading is nil.
  private(set) var frequencies: [Int: [Point?]] = [:]
  /// Thousandths of a degree by thermal zone.
  private(set) var temperatures: [Int: [Point?]] = [:]

  /// A machine has some hundreds of CPUs; a hostile trace may name any number.
  private static let limit = 1024

  init(range: TimeRange?) { window = TimeWindow(range, count: 240) }

  mutating func reading(_ reading: Reading) {
    switch reading.value {
    case .frequency(let cpu, let kilohertz):
      add(Int64(kilohertz), at: reading.time, of: cpu, to: &frequencies)
    case .temperature(let zone, let millicelsius):
      add(Int64(millicelsius), at: reading.time, of: zone, to: &temperatures)
    case .counter: break
    }
  }

  private func add(_ value: Int64, at time: TraceTime, of key: Int, to series: inout [Int: [Point?]]) {
    guard series[key] != nil || series.count < Self.limit else { return }
    let part = window.part(of: time)
    series[key, default: Array(repeating: nil, count: window.count)][part].include(
      Point(minimum: value, maximum: value))
  }

  /// The points of all keys with one name together, in the order of the first key of each name.
  static func grouped(_ series: [Int: [Point?]], name: (Int) -> String) -> [(name: String, points: [Point?])]
  {
    var result: [(name: String, points: [Point?])] = []
    for key in series.keys.sorted() {
      guard let points = series[key] else { continue }
      let name = name(key)
      if let index = result.firstIndex(where: { $0.name == name }) {
        for part in points.indices {
          if let point = points[part] { result[index].points[part].include(point) }
        }
      } else {
        result.append((name, points))
      }
    }
    return result
  }
}

extension DeviceSeries.Point? {
  fileprivate mutating func include(_ other: DeviceSeries.Point) {
    guard let known = self else {
      self = other
      return
    }
    self = .init(minimum: min(known.minimum, other.minimum), maximum: max(known.maximum, other.maximum))
  }
}
