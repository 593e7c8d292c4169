/// A moment on the target machine's CLOCK_MONOTONIC, in nanoseconds.
///
/// Differences are plain `Int64` nanoseconds; the type keeps moments from being
/// mixed with durations or with the other clocks of a trace.
public struct TraceTime: Hashable, Comparable, Sendable {
  public var nanoseconds: UInt64

  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  public static func < (a: TraceTime, b: TraceTime) -> Bool { a.nanoseconds < b.nanoseconds }

  /// Nanoseconds from `earlier` to `later`; negative when they are out of order.
  public static func - (later: TraceTime, earlier: TraceTime) -> Int64 {
    Int64(bitPattern: later.nanoseconds &- earlier.nanoseconds)
  }
}

/// The closed-open interval in which something ran.
public struct TimeRange: Hashable, Sendable {
  public var start: TraceTime
  public var end: TraceTime

  public init(start: TraceTime, end: TraceTime) {
    self.start = start
    self.end = end
  }

  /// Nanoseconds.
  public var duration: Int64 { end - start }
}

/// A thread, by the number that the initial PID namespace gives it.
public struct ThreadID: Hashable, Comparable, Sendable {
  public var rawValue: UInt32

  public init(_ rawValue: UInt32) { self.rawValue = rawValue }

  public static func < (a: ThreadID, b: ThreadID) -> Bool { a.rawValue < b.rawValue }
}
