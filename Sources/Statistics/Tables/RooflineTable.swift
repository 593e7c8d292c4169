import TraceModel

/// One row per phase, and in it per operator type and per node: where each stands beside the machine's ceilings.
public struct RooflineTable: StatisticsTable, Sendable {
  public struct Row: Sendable {
    public enum Scope: String, Sendable {
      case phase, op, node
    }
    public var phase: Phase
    public var scope: Scope
    public var name: String?
    public var op: String?
    public var type: String?
    public var count: UInt64
    public var performance: Performance
    /// Of a phase: why that is its bound.
    public var evidence: String?
  }

  public var rows: [Row]

  /// - Parameter nodes: with a row for each node.
  public init(_ rooflines: [PhaseRoofline], nodes: Bool) {
    rows = []
    for roofline in rooflines {
      var whole = roofline.whole
      whole.bound = roofline.verdict.bound
      rows.append(
        Row(
          phase: roofline.phase, scope: .phase, count: UInt64(max(roofline.steps, 0)), performance: whole,
          evidence: roofline.verdict.evidence))
      func add(_ points: [RooflinePoint], _ scope: Row.Scope) {
        rows += points.map {
          Row(
            phase: roofline.phase, scope: scope, name: scope == .node ? $0.name : nil, op: $0.op,
            type: $0.type,
            count: $0.count, performance: $0.performance)
        }
      }
      add(roofline.operators, .op)
      if nodes { add(roofline.nodes, .node) }
    }
  }

  public static let columns = [
    Column("phase", isText: true), Column("scope", isText: true), Column("name", "node", isText: true),
    Column("op", "operator", isText: true), Column("type", isText: true), Column("count"),
    Column("elapsed_ns", "time", .nanoseconds), Column("bytes", "moved", .bytes),
    Column("flops", isShown: false), Column("intensity", "FLOP/B"),
    Column("bytes_per_s", "moved/s", .bytesPerSecond), Column("flops_per_s", "computed/s", .flopsPerSecond),
    Column("memory_share", "of memory", .share), Column("compute_share", "of peak", .share),
    Column("bound", isText: true), Column("evidence", isText: true, isShown: false),
  ]

  public static func cells(_ row: Row) -> [Cell] {
    let performance = row.performance
    return [
      .text(row.phase.rawValue), .text(row.scope.rawValue), Cell(row.name), Cell(row.op), Cell(row.type),
      Cell(row.count), .integer(performance.elapsed), Cell(performance.bytes), Cell(performance.flops),
      Cell(performance.intensity), Cell(rate: performance.bytesPerSecond),
      Cell(rate: performance.flopsPerSecond), Cell(performance.memoryShare), Cell(performance.computeShare),
      Cell(performance.bound?.rawValue), Cell(row.evidence),
    ]
  }
}
