/// Which hardware and software counters a recording has values of.
public struct CounterColumn: Sendable, Hashable {
  /// Place in `CounterDelta`, 0…7.
  public var index: Int
  /// As it was asked for when recording, such as `cycles` or `raw:0x2a`.
  public var name: String

  public init(index: Int, name: String) {
    self.index = index
    self.name = name
  }
}

/// What the counters of a recording counted during a span, for one thread.
///
/// Plain data without references: there is one for each operator span.
public struct CounterDelta: Sendable, Equatable {
  /// Counters that a recording can have.
  public static let capacity = 8

  private var values = SIMD8<UInt64>()
  /// Bit i: counter i is known.
  public private(set) var known: UInt8 = 0
  /// True when the scheduler's events, by which other tasks' share could be told, are missing.
  public var mayIncludeOtherTasks = false

  /// Everything unknown.
  public init() {}

  /// - Parameter known: bit i: `values[i]` is known.
  public init(values: SIMD8<UInt64>, known: UInt8, mayIncludeOtherTasks: Bool) {
    self.values = values
    self.known = known
    self.mayIncludeOtherTasks = mayIncludeOtherTasks
  }

  /// The counter of a column; nil where it is not known, which is never the same as 0.
  public subscript(index: Int) -> UInt64? {
    guard index >= 0, index < Self.capacity, known >> UInt8(index) & 1 == 1 else { return nil }
    return values[index]
  }

  /// Adds a span of another time or thread: what is not known of one of them is not known of both.
  public mutating func add(_ other: CounterDelta) {
    values &+= other.values
    known &= other.known
    mayIncludeOtherTasks = mayIncludeOtherTasks || other.mayIncludeOtherTasks
  }
}

/// Sums of counters over spans, each counter over those of which it is known.
public struct CounterTotals: Sendable, Equatable {
  /// By column.
  public private(set) var sums = SIMD8<UInt64>()
  /// Spans of which the counter of a column is known.
  public private(set) var counted = SIMD8<UInt64>()
  /// All spans.
  public private(set) var spans: UInt64 = 0
  public private(set) var mayIncludeOtherTasks = false

  public init() {}

  /// The sum of a column over the spans where it is known; nil when it is known of none.
  public subscript(index: Int) -> UInt64? {
    guard index >= 0, index < CounterDelta.capacity, counted[index] > 0 else { return nil }
    return sums[index]
  }

  public mutating func add(_ delta: CounterDelta) {
    spans &+= 1
    guard delta.known != 0 else { return }
    for index in 0..<CounterDelta.capacity {
      guard let value = delta[index] else { continue }
      sums[index] &+= value
      counted[index] &+= 1
    }
    mayIncludeOtherTasks = mayIncludeOtherTasks || delta.mayIncludeOtherTasks
  }

  public mutating func merge(_ other: CounterTotals) {
    sums &+= other.sums
    counted &+= other.counted
    spans &+= other.spans
    mayIncludeOtherTasks = mayIncludeOtherTasks || other.mayIncludeOtherTasks
  }

  /// Spans with a value over all spans, of the column of which least is known, 0…1; nil without spans.
  public func coverage(_ columns: [CounterColumn]) -> Double? {
    guard spans > 0, let least = columns.map({ counted[$0.index & 7] }).min() else { return nil }
    return Double(least) / Double(spans)
  }
}
