import Statistics
import TraceModel

/// What the colours of a graph show.
public enum GraphMeasure: Sendable, Hashable {
  /// Median time of a call on the main thread, nanoseconds.
  case time
  /// Modelled bytes over time, bytes per second.
  case bandwidth
  /// Modelled floating-point operations over time, per second.
  case flops
  /// Mean count of a call, of all threads.
  case counter(CounterColumn)

  /// nil where it was not recorded.
  public func value(_ figures: OperatorFigures?) -> Double? {
    guard let figures else { return nil }
    return switch self {
    case .time: figures.times.quantile(0.5).map(Double.init)
    case .bandwidth: figures.bandwidth
    case .flops: figures.flopRate
    case .counter(let column): figures.counters[column.index]
    }
  }

  /// True where a large value costs time, false where it is good.
  var isCost: Bool {
    switch self {
    case .time, .counter: true
    case .bandwidth, .flops: false
    }
  }

  /// For a legend.
  public var title: String {
    switch self {
    case .time: "time of a call"
    case .bandwidth: "modelled bytes / time"
    case .flops: "modelled FLOPs / time"
    case .counter(let column): "\(column.name) of a call"
    }
  }

  /// A value with its unit.
  public func text(_ value: Double) -> String {
    let (number, prefix) = scaled(value)
    return switch self {
    case .time: formatDuration(Int64(max(-0x1p62, min(value.rounded(), 0x1p62))))
    case .bandwidth: "\(number) \(prefix)B/s"
    case .flops: "\(number) \(prefix)FLOP/s"
    case .counter(let column): "\(number)\(prefix.isEmpty ? "" : " \(prefix)") \(column.name)"
    }
  }

  /// A number below 1000 and a decimal prefix.
  private func scaled(_ value: Double) -> (number: String, prefix: String) {
    let (divisor, prefix) =
      switch value.magnitude {
      case ..<999.5: (1.0, "")
      case ..<999.5e3: (1e3, "k")
      case ..<999.5e6: (1e6, "M")
      case ..<999.5e9: (1e9, "G")
      default: (1e12, "T")
      }
    let number = value / divisor
    let digits = divisor == 1 && number == number.rounded() ? 0 : number.magnitude < 9.995 ? 2 : 1
    return (formatDecimal(number, digits: number.magnitude < 99.95 ? digits : 0), prefix)
  }
}
