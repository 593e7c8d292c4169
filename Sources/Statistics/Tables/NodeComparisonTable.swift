import TraceModel

/// The same node in two recordings, side by side: such as on two backends, with two builds or two kinds of weights.
///
/// Nodes are the same by name, operator and shape. One row per node of either, most time first.
public struct NodeComparisonTable: StatisticsTable, Sendable {
  /// What one of the recordings has of a node.
  public struct Side: Sendable, Equatable {
    public var type: String?
    /// True for nodes encoded for a device: the time is not the device's.
    public var isEnqueue: Bool
    public var count: UInt64
    /// Of the main thread. Nanoseconds.
    public var total: Int64

    public var mean: Int64 { total / Int64(clamping: max(count, 1)) }
  }

  public struct Row: Sendable, Equatable {
    public var name: String
    public var op: String
    public var shape: [Int64]
    /// nil where a recording has no such node.
    public var first: Side?
    public var second: Side?

    /// Mean time in the second over that in the first; nil unless both are of the same kind of work: computing, or
    /// handing over to a device.
    public var ratio: Double? {
      guard let first, let second, first.isEnqueue == second.isEnqueue, first.total > 0 else { return nil }
      return Double(second.total) / Double(max(second.count, 1)) * Double(max(first.count, 1))
        / Double(first.total)
    }
  }

  public var rows: [Row]

  /// - Parameter phases: the steps to count.
  public init(_ first: OperatorStatistics, beside second: OperatorStatistics, phases: Set<Phase>) {
    var indexOfKey: [Key: Int] = [:]
    rows = []
    for (statistics, side) in [(first, \Row.first), (second, \Row.second)] {
      for (key, sum) in Self.sums(statistics, phases) {
        let index = indexOfKey[key] ?? rows.count
        if index == rows.count {
          indexOfKey[key] = index
          rows.append(Row(name: key.name, op: key.op, shape: key.shape))
        }
        rows[index][keyPath: side] = sum
      }
    }
    rows.sort { a, b in
      let (timeOfA, timeOfB) = (Self.time(a), Self.time(b))
      return (timeOfB, a.name, a.op) < (timeOfA, b.name, b.op)
    }
  }

  private struct Key: Hashable {
    var name: String
    var op: String
    var shape: [Int64]
  }

  private static func time(_ row: Row) -> Int64 { (row.first?.total ?? 0) &+ (row.second?.total ?? 0) }

  private static func sums(_ statistics: OperatorStatistics, _ phases: Set<Phase>) -> [Key: Side] {
    var result: [Key: Side] = [:]
    let totals = statistics.totals(of: phases)
    func add(_ sums: [OperatorTotals], isEnqueue: Bool) {
      for (slot, sum) in sums.enumerated() where sum.count > 0 && UInt32(slot) != NodeCatalog.unknown {
        let entry = statistics.catalog.entries[slot]
        let key = Key(name: entry.name, op: entry.op, shape: entry.shape)
        // A node that was computed here and handed over there counts as computed.
        if let known = result[key], known.isEnqueue == isEnqueue {
          result[key] = Side(
            type: known.type == entry.type ? known.type : nil, isEnqueue: isEnqueue,
            count: known.count &+ sum.count, total: known.total &+ sum.total)
        } else if result[key] == nil {
          result[key] = Side(
            type: entry.type, isEnqueue: isEnqueue, count: sum.count, total: sum.total)
        }
      }
    }
    add(totals.nodes, isEnqueue: false)
    add(totals.enqueues, isEnqueue: true)
    return result
  }

  public static let columns = [
    Column("name", "node", isText: true), Column("op", "operator", isText: true), Column("ne0"),
    Column("ne1"),
    Column("ne2"), Column("ne3"), Column("type_a", "type A", isText: true),
    Column("type_b", "type B", isText: true),
    Column("kind_a", "A", isText: true), Column("kind_b", "B", isText: true),
    Column("count_a", isShown: false), Column("count_b", isShown: false),
    Column("total_ns_a", isShown: false), Column("total_ns_b", isShown: false),
    Column("mean_ns_a", "mean A", .nanoseconds), Column("mean_ns_b", "mean B", .nanoseconds),
    Column("ratio", "B/A"),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    func dimension(_ index: Int) -> Cell { index < row.shape.count ? .integer(row.shape[index]) : .missing }
    func kind(_ side: Side?) -> Cell { Cell(side.map { $0.isEnqueue ? "enqueue" : "cpu" }) }
    func count(_ side: Side?) -> Cell { side.map { Cell($0.count) } ?? .missing }
    return [
      .text(row.name), .text(row.op), dimension(0), dimension(1), dimension(2), dimension(3),
      Cell(row.first?.type), Cell(row.second?.type), kind(row.first), kind(row.second), count(row.first),
      count(row.second), Cell(row.first?.total), Cell(row.second?.total), Cell(row.first?.mean),
      Cell(row.second?.mean), Cell(row.ratio),
    ]
  }
}
