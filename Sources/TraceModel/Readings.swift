/// Something that the recorder read about once a second.
public struct Reading: Sendable, Equatable {
  public enum Value: Sendable, Equatable {
    case frequency(cpu: Int, kilohertz: UInt32)
    /// `zone` is an index of the trace's thermal zones.
    case temperature(zone: Int, millicelsius: Int32)
    /// What a counter of a CPU counted since the recording began, for whatever task. It ran for `running` of the
    /// `enabled` nanoseconds: less means that it shared its register and counted only part.
    case counter(cpu: Int, column: Int, value: UInt64, enabled: UInt64, running: UInt64)
  }

  public var time: TraceTime
  public var value: Value

  public init(time: TraceTime, value: Value) {
    self.time = time
    self.value = value
  }
}

/// An interval in which the recorder had taken the operator probes out, so as not to slow the target down.
public struct ProbeGap: Sendable, Equatable {
  public var range: TimeRange
  /// Decoding speed, tokens a second, that made the recorder drop the probes.
  public var droppedAt: Double
  /// And that made it put them back; nil when it did not: the interval goes on to the end of the recording.
  public var resumedAt: Double?

  public init(range: TimeRange, droppedAt: Double, resumedAt: Double?) {
    self.range = range
    self.droppedAt = droppedAt
    self.resumedAt = resumedAt
  }
}
