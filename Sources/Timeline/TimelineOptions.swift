import Statistics
import TraceModel

/// Formats of a timeline.
public enum TimelineFormat: String, Sendable, CaseIterable {
  /// Trace Event JSON, which Perfetto, chrome://tracing, Speedscope and others open.
  case chrome
  /// Perfetto's own protocol buffers: a third of the size, exact, quick to open.
  case perfetto
}

/// What a timeline calls its operators.
public enum OperatorTitle: String, Sendable, CaseIterable {
  /// `MUL_MAT`: the viewer's totals by name become totals by operator type.
  case op
  /// `ffn_up-3`.
  case node
  /// `ffn_up-3 MUL_MAT`: what differs between neighbours comes first and stays readable in short slices.
  case nodeAndOp = "node-and-op"
}

public struct TimelineOptions: Sendable {
  /// Write only these token steps, what is in them, the gaps after them, and what else overlaps their time; nil for
  /// the whole run, also what lies outside of any token step.
  public var tokens: ClosedRange<Int>?
  /// The moment that becomes 0 in Trace Event JSON; earlier ones come out negative. Perfetto's format keeps a
  /// clock of the machine.
  public var origin = TraceTime(nanoseconds: 0)
  public var processID: UInt32 = 1
  /// Shown above the tracks, such as the target's command.
  public var processName = ""
  public var operatorTitle = OperatorTitle.nodeAndOp
  /// Names of threads as the trace knows them (`comm`).
  public var threadNames: [ThreadID: String] = [:]
  /// Counters with values behind operators, graphs and token steps.
  public var counters: [CounterColumn] = []
  /// Kinds of the thermal zones, by index.
  public var zoneNames: [Int: String] = [:]
  /// What CLOCK_BOOTTIME, the clock of Perfetto's format, is ahead of the trace's CLOCK_MONOTONIC: the time that the
  /// machine has slept. Nanoseconds.
  public var bootTimeOffset: UInt64 = 0
  /// Bytes and floating-point operations of nodes: for arguments, and the curve of the bandwidth.
  public var workModel: WorkModel?

  public init() {}
}
