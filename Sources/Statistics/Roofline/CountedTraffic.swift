import TraceModel

/// Bytes that a counter of the processor tells of: lines that it had to fetch from memory.
public struct CountedTraffic: Sendable, Equatable {
  /// The counter's column, and its name as it was asked for.
  public var column: CounterColumn
  /// Bytes of each event.
  public var bytesPerEvent: Int64

  /// - Parameter architecture: of the recording machine: it tells what a raw event or a general name means.
  /// - Returns: nil where no counter tells. `bus_access` does not: how much each moves differs from core to core.
  public init?(_ columns: [CounterColumn], architecture: String?) {
    for name in architecture == "aarch64" ? Self.onARM : Self.onX86 {
      guard let column = columns.first(where: { Self.event($0.name) == name }) else { continue }
      self.column = column
      bytesPerEvent = Self.line
      return
    }
    return nil
  }

  /// Bytes of a cache line.
  private static let line: Int64 = 64
  /// The best first: what the last level fetched, prefetching included, then misses of loads alone.
  private static let onARM = ["l3d_cache_refill", "raw:0x2a", "ll_cache_miss_rd", "raw:0x37"]
  private static let onX86 = ["cache-misses"]

  /// Without what follows the event's name, such as `:u`.
  private static func event(_ name: String) -> String {
    let isRaw = name.hasPrefix("raw:")
    let rest = name.dropFirst(isRaw ? 4 : 0)
    return (isRaw ? "raw:" : "") + rest.prefix { $0 != ":" }
  }

  /// nil where the counter is not known.
  public func bytes(_ totals: CounterTotals) -> Int64? {
    guard let events = totals[column.index] else { return nil }
    let (bytes, overflow) = Int64(clamping: events).multipliedReportingOverflow(by: bytesPerEvent)
    return overflow ? nil : bytes
  }
}
