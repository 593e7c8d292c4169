import TraceModel

/// Graphs by backend, and what was enqueued for devices.
public struct BackendStatistics: RunVisitor, Sendable {
  public struct Row: Sendable, Equatable {
    public var name: String
    /// Graphs, or nodes enqueued.
    public var count: Int
    /// Nanoseconds on the calling threads.
    public var total: Int64
  }

  private var graphs: [Row] = []
  private var devices: [Row] = []

  /// A target has a handful of backends; a hostile trace may name any number.
  private static let limit = 64

  public init() {}

  /// Most time first.
  public var backends: [Row] { Self.sorted(graphs) }
  /// What was encoded for, or handed to, each device; the time is not the device's.
  public var enqueued: [Row] { Self.sorted(devices) }

  public mutating func graphRun(_ run: GraphRun) { Self.add(run.backend, run.range, to: &graphs) }

  public mutating func enqueueSpan(_ span: EnqueueSpan) { Self.add(span.device, span.range, to: &devices) }

  private static func add(_ name: String, _ range: TimeRange, to rows: inout [Row]) {
    // There are few, and a list of few is faster than a table.
    var index = rows.firstIndex { $0.name == name } ?? rows.count
    if index == rows.count {
      if index > limit {
        index = limit
      } else {
        rows.append(Row(name: index < limit ? name : others, count: 0, total: 0))
      }
    }
    rows[index].count &+= 1
    rows[index].total &+= max(range.duration, 0)
  }

  private static let others = "(others)"

  private static func sorted(_ rows: [Row]) -> [Row] {
    rows.sorted { ($1.total, $0.name) < ($0.total, $1.name) }
  }
}
