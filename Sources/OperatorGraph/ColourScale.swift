/// Values as colours from light to dark, from 0 to the largest value.
///
/// Costs (times, counts) go up by the square root: a few matrix products would leave all others white. Rates go up evenly.
struct ColourScale {
  let measure: GraphMeasure
  /// nil where no value is above 0.
  let maximum: Double?

  init(_ measure: GraphMeasure, _ values: [Double?]) {
    self.measure = measure
    let largest = values.reduce(0) { largest, value in
      value.map { $0.isFinite ? max(largest, $0) : largest } ?? largest
    }
    maximum = largest > 0 ? largest : nil
  }

  var colours: [String] {
    switch measure {
    case .time, .counter:
      ["#fff8ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#b30000"]
    // Large is good here, so nothing looks like an alarm.
    case .bandwidth, .flops:
      ["#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c"]
    }
  }

  func colour(_ value: Double) -> String { colours[step(value)] }

  /// True where black text would not be readable.
  func isDark(_ value: Double) -> Bool { step(value) >= 5 }

  /// The smallest value of each colour.
  var bounds: [Double] {
    guard let maximum else { return [] }
    let count = Double(colours.count)
    return colours.indices.map { index in
      let share = Double(index) / count
      return maximum * (isRooted ? share * share : share)
    }
  }

  private func step(_ value: Double) -> Int {
    guard let maximum, value.isFinite, value > 0 else { return 0 }
    let share = min(value / maximum, 1)
    let count = Double(colours.count)
    return min(colours.count - 1, Int((isRooted ? share.squareRoot() : share) * count))
  }

  private var isRooted: Bool {
    switch measure {
    case .time, .counter: true
    case .bandwidth, .flops: false
    }
  }
}
