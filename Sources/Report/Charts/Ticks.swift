import Statistics

/// A labelled place on an axis.
struct Tick: Sendable, Equatable {
  /// 0…1 along the axis.
  var place: Double
  var label: String
}

enum Ticks {
  /// Round values from 0 to `maximum` (at least 0), about `count` of them: steps of 1, 2 or 5 times a power of ten.
  static func values(to maximum: Double, count: Int) -> [Double] {
    guard maximum > 0, maximum.isFinite, count > 0 else { return [0] }
    var step = 1.0
    while step * Double(count) < maximum { step *= 10 }
    while step / 10 * Double(count) >= maximum { step /= 10 }
    // Now a tenth of the step is too fine.
    for factor in [0.2, 0.5] where maximum / (step * factor) <= Double(count) {
      step *= factor
      break
    }
    return (0...Int(maximum / step)).map { Double($0) * step }
  }

  /// Powers of ten, and where there are few their doubles and fives, within a range of positive values.
  static func logarithmic(from minimum: Double, to maximum: Double) -> [Double] {
    guard minimum > 0, maximum > minimum, maximum.isFinite else { return [] }
    var power = 1.0
    while power > minimum { power /= 10 }
    while power * 10 <= minimum { power *= 10 }
    var decades: [Double] = []
    while power <= maximum {
      decades.append(power)
      power *= 10
    }
    let factors: [Double] = maximum / minimum <= 100 ? [1, 2, 5] : [1]
    return decades.flatMap { decade in factors.map { decade * $0 } }.filter { $0 >= minimum && $0 <= maximum }
  }

  /// A round number of nanoseconds: `10 ms`, `2.5 µs`.
  static func duration(_ nanoseconds: Double) -> String {
    guard nanoseconds != 0 else { return "0" }
    let (divisor, unit): (Double, String) =
      switch nanoseconds.magnitude {
      case ..<1e3: (1, "ns")
      case ..<1e6: (1e3, "µs")
      case ..<1e9: (1e6, "ms")
      default: (1e9, "s")
      }
    return "\(plain(nanoseconds / divisor)) \(unit)"
  }

  /// Without zeros at the end.
  static func plain(_ value: Double) -> String {
    var text = formatDecimal(value, digits: value.magnitude < 1 ? 4 : value.magnitude < 100 ? 2 : 0)
    guard text.contains(".") else { return text }
    while text.last == "0" { text.removeLast() }
    if text.last == "." { text.removeLast() }
    return text
  }

  /// A linear axis.
  static func linear(
    from minimum: Double = 0, to maximum: Double, count: Int, label: (Double) -> String
  ) -> [Tick] {
    let span = maximum - minimum
    guard span > 0, span.isFinite else { return [Tick(place: 0, label: label(minimum))] }
    let steps = values(to: span, count: count)
    guard steps.count > 1, minimum != 0 else { return steps.map { Tick(place: $0 / span, label: label($0)) } }
    // Round values, wherever the axis begins.
    let first = (minimum / steps[1]).rounded(.up) * steps[1]
    return steps.map { first + $0 }.filter { $0 <= maximum }
      .map { Tick(place: ($0 - minimum) / span, label: label($0)) }
  }
}

extension Ticks {
  /// An axis of bytes from 0.
  static func bytes(to maximum: Double, count: Int) -> [Tick] {
    var (unit, name) = (1.0, "B")
    for larger in ["KiB", "MiB", "GiB", "TiB"] where maximum / unit >= 2048 {
      (unit, name) = (unit * 1024, larger)
    }
    return linear(to: maximum / unit, count: count) { "\(plain($0)) \(name)" }
  }

  /// A power of ten with its prefix: `10 G`.
  static func prefixed(_ value: Double) -> String {
    let (divisor, prefix): (Double, String) =
      switch value.magnitude {
      case ..<1e3: (1, "")
      case ..<1e6: (1e3, " k")
      case ..<1e9: (1e6, " M")
      case ..<1e12: (1e9, " G")
      default: (1e12, " T")
      }
    return plain(value / divisor) + prefix
  }

  /// Steps a second.
  static func rate(_ value: Double) -> String {
    if value >= 1000 { return "\(plain((value / 100).rounded() / 10))k" }
    return plain(value >= 10 ? value.rounded() : (value * 10).rounded() / 10)
  }
}
