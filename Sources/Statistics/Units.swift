/// `value` with a fixed number of decimals (at most 9), `-` where it is no finite number.
public func formatDecimal(_ value: Double, digits: Int) -> String {
  guard value.isFinite else { return "-" }
  let digits = min(max(digits, 0), 9)
  var scale: Double = 1
  for _ in 0..<digits { scale *= 10 }
  let scaled = value.magnitude * scale
  // Beyond this a Double has no such decimals.
  guard scaled < 9e15 else { return String(Int64(max(-0x1p62, min(value, 0x1p62)))) }
  let rounded = UInt64(scaled + 0.5)
  let whole = rounded / UInt64(scale)
  let sign = value < 0 && rounded > 0 ? "-" : ""
  guard digits > 0 else { return sign + String(whole) }
  let fraction = String(rounded % UInt64(scale))
  return sign + String(whole) + "." + String(repeating: "0", count: digits - fraction.count) + fraction
}

/// Four digits and a unit: `41.23 ms`.
///
/// - Parameter aligned: makes every unit two letters wide, so that a column of durations lines up.
public func formatDuration(_ nanoseconds: Int64, aligned: Bool = false) -> String {
  let value = Double(nanoseconds)
  return switch value.magnitude {
  case ..<999.5: "\(nanoseconds) ns"
  case ..<999.95e3: fourDigits(value / 1e3) + " µs"
  case ..<999.95e6: fourDigits(value / 1e6) + " ms"
  default: fourDigits(value / 1e9) + (aligned ? "  s" : " s")
  }
}

/// Bytes in B, KiB, MiB or GiB.
public func formatBytes(_ bytes: Int64) -> String {
  let value = Double(bytes)
  return switch value.magnitude {
  case ..<1024: "\(bytes) B"
  case ..<1_048_576: fourDigits(value / 1024) + " KiB"
  case ..<1_073_741_824: fourDigits(value / 1_048_576) + " MiB"
  default: fourDigits(value / 1_073_741_824) + " GiB"
  }
}

/// Units a second, or bytes, in thousands, millions and so on: `9.81 GB/s`.
public func formatRate(_ value: Double, _ unit: String) -> String {
  return switch value.magnitude {
  case ..<999.95: fourDigits(value, 3) + " \(unit)"
  case ..<999.95e3: fourDigits(value / 1e3, 3) + " k\(unit)"
  case ..<999.95e6: fourDigits(value / 1e6, 3) + " M\(unit)"
  case ..<999.95e9: fourDigits(value / 1e9, 3) + " G\(unit)"
  default: fourDigits(value / 1e12, 3) + " T\(unit)"
  }
}

/// Kilohertz in GHz or MHz.
public func formatFrequency(_ kilohertz: Int64) -> String {
  let value = Double(kilohertz)
  return value >= 1e6
    ? formatDecimal(value / 1e6, digits: 2) + " GHz" : formatDecimal(value / 1e3, digits: 0) + " MHz"
}

/// Thousandths of a degree Celsius in degrees.
public func formatTemperature(_ millicelsius: Int64) -> String {
  formatDecimal(Double(millicelsius) / 1000, digits: 1) + " °C"
}

/// `1 record`, `2 records`.
public func formatCount<Number: BinaryInteger>(_ number: Number, _ noun: String) -> String {
  "\(number) \(noun)\(number == 1 ? "" : "s")"
}

/// A ratio as per cent with one decimal.
public func formatShare(_ ratio: Double) -> String {
  formatDecimal(ratio * 100, digits: 1) + " %"
}

/// - Parameter digits: 4, or 3 for what is not known more exactly.
private func fourDigits(_ value: Double, _ digits: Int = 4) -> String {
  let less = 4 - digits
  return switch value.magnitude {
  case ..<9.9995: formatDecimal(value, digits: 3 - less)
  case ..<99.995: formatDecimal(value, digits: 2 - less)
  case ..<999.95: formatDecimal(value, digits: 1 - less)
  default: formatDecimal(value, digits: 0)
  }
}
