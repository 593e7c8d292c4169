import TraceModel

/// One value of a table.
public enum Cell: Sendable, Hashable {
  /// Not recorded: an empty field, `null` in JSON; never 0.
  case missing
  case text(String)
  case integer(Int64)
  /// A ratio or a rate, written with six decimals.
  case decimal(Double)

  public init(_ value: Int64?) { self = value.map(Cell.integer) ?? .missing }
  public init(_ value: Int?) { self = value.map { Cell.integer(Int64($0)) } ?? .missing }
  /// Units a second, without decimals.
  public init(rate value: Double?) {
    self = value.flatMap { $0.magnitude < 9e18 ? Cell.integer(Int64($0)) : nil } ?? .missing
  }
  public init(counter value: UInt64?) { self = value.map { Cell($0) } ?? .missing }
  public init(_ value: UInt64) { self = .integer(Int64(clamping: value)) }
  public init(_ value: Double?) { self = value.map(Cell.decimal) ?? .missing }
  public init(_ value: String?) { self = value.map(Cell.text) ?? .missing }
}

/// A column of a table.
public struct Column: Sendable, Hashable {
  /// What a column measures: how a person wants it printed. CSV and JSON carry plain
  /// nanoseconds, bytes and ratios.
  public enum Unit: Sendable, Hashable {
    case plain, nanoseconds, bytes
    /// 0…1, printed as per cent.
    case share
    case bytesPerSecond, flopsPerSecond
  }

  /// Name in CSV and JSON, fixed by the interface.
  public var name: String
  /// Heading for people.
  public var heading: String
  public var unit: Unit
  public var isText: Bool
  /// False for columns that only scripts want; people see the others.
  public var isShown: Bool

  public init(
    _ name: String, _ heading: String? = nil, _ unit: Unit = .plain, isText: Bool = false,
    isShown: Bool = true
  ) {
    self.name = name
    self.heading = heading ?? name
    self.unit = unit
    self.isText = isText
    self.isShown = isShown
  }
}

/// A table with fixed columns: the ones of the interface first, additions behind them.
public protocol StatisticsTable {
  associatedtype Row
  associatedtype Rows: RandomAccessCollection = [Row] where Rows.Element == Row
  static var columns: [Column] { get }
  var rows: Rows { get }
  /// One cell per column.
  static func cells(_ row: Row) -> [Cell]
  /// Columns that only some recordings have, behind the others.
  var extraColumns: [Column] { get }
  /// One cell per extra column.
  func extraCells(_ row: Row) -> [Cell]
}

extension StatisticsTable {
  public var extraColumns: [Column] { [] }
  public func extraCells(_ row: Row) -> [Cell] { [] }
}

extension Column {
  /// A column for each counter of a recording, named as the counter was asked for.
  static func counters(_ counters: [CounterColumn], behind columns: [Column]) -> [Column] {
    var names = Set(columns.map(\.name))
    return counters.map { counter in
      // A counter may be called like a column of the table, or like another counter.
      var name = counter.name.isEmpty ? "counter" : counter.name
      while !names.insert(name).inserted { name += "_counter" }
      return Column(name)
    }
  }
}
