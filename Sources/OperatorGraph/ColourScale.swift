/// Values as colours from light to dark, from 0 to the largest value.
///
/// Costs (times, counts) go up by a factor from colour to colour: one matrix product may take a thousand
/// times as long as the operators around it. Rates go up evenly. A few values far above the others share the
/// darkest colour, so that one operator that lost its CPU does not leave all others white.
struct ColourScale {
  let measure: GraphMeasure
  /// nil where no value is above 0.
  let maximum: Double?
  let colours: [String]
  /// The smallest value of each colour; empty where no value is above 0.
  let bounds: [Double]

  init(_ measure: GraphMeasure, _ values: [Double?]) {
    self.measure = measure
    let known = values.compactMap { $0 }.filter { $0.isFinite && $0 > 0 }.sorted()
    maximum = known.last
    colours = measure.isCost ? Self.heat : Self.blues
    guard let smallest = known.first, let largest = known.last else {
      bounds = []
      return
    }
    let count = colours.count
    let usual = known[known.count * 95 / 100]
    if measure.isCost {
      let top = min(largest, usual * 50)
      // The smallest value has the lightest colour, as far as the factor allows.
      var factor = 1.25
      while factor < 2.5, top / power(factor, count) > smallest { factor += 0.05 }
      bounds = [0] + (1..<count).map { top / power(factor, count - $0) }
    } else {
      let top = min(largest, usual * 2)
      bounds = (0..<count).map { top * Double($0) / Double(count) }
    }
  }

  private static let heat = [
    "#fff8ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#b30000",
  ]
  /// Large is good here, so nothing looks like an alarm.
  private static let blues = [
    "#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c",
  ]

  func colour(_ value: Double) -> String { colours[step(value)] }

  /// True where black text would not be readable.
  func isDark(_ value: Double) -> Bool { step(value) >= 5 }

  private func step(_ value: Double) -> Int {
    guard value.isFinite else { return 0 }
    return bounds.lastIndex { $0 <= value } ?? 0
  }
}

private func power(_ base: Double, _ exponent: Int) -> Double {
  (0..<exponent).reduce(1) { product, _ in product * base }
}
