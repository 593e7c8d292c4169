import TraceModel

/// How evenly threads share the work, and who came last: over all operators that more than one thread
/// computed.
public struct ThreadMeetings: Sendable {
  /// Nanoseconds.
  public struct Lateness: Sendable, Equatable {
    /// Operators that it arrived last at the barrier of.
    public var lastArrivals = 0
    /// How much later it came than the last but one, over these.
    public var lateBy: Int64 = 0
    /// How much longer the main thread waited for it because it had had no CPU; nil without the scheduler's
    /// events.
    public var heldUp: Int64?
  }

  /// Of the operators of one type. Nanoseconds.
  public struct Imbalance: Sendable, Equatable {
    public var op: String
    public var meetings = 0
    /// Sums over the operators: of the thread that worked longest, and of all threads on average.
    public var longest: Int64 = 0
    public var mean: Int64 = 0
    /// Sum of what the first thread waited for the last.
    public var spread: Int64 = 0

    /// How much longer the longest thread took than if all had taken the same, 0 for perfect balance.
    public var excess: Double? { mean > 0 ? Double(longest) / Double(mean) - 1 : nil }
  }

  public private(set) var meetings = 0
  /// Barriers at which threads waited while another thread of the same graph could run and had no CPU; 0
  /// without the scheduler's events.
  public private(set) var oversubscribed = 0
  /// Time from the first arrival to the last one at these. Nanoseconds.
  public private(set) var oversubscribedTime: Int64 = 0
  public private(set) var lateness: [ThreadID: Lateness] = [:]
  private var byKind = [Imbalance](repeating: Imbalance(op: ""), count: NodeKinds.limit + 1)

  /// A pool has some dozens; a hostile trace may name any number.
  private static let threadLimit = 4096

  mutating func add(_ meeting: Meeting, kind: Int, last: ThreadID, heldUp: Int64?) {
    meetings &+= 1
    byKind[kind].meetings &+= 1
    byKind[kind].longest &+= Int64(clamping: meeting.longest)
    byKind[kind].mean &+= Int64(clamping: meeting.work / UInt64(meeting.count))
    byKind[kind].spread &+= Int64(clamping: meeting.release &- meeting.firstEnd)
    guard lateness[last] != nil || lateness.count < Self.threadLimit else { return }
    var sum = lateness[last] ?? Lateness()
    sum.lastArrivals &+= 1
    sum.lateBy &+= Int64(clamping: meeting.release &- meeting.secondEnd)
    if let heldUp { sum.heldUp = (sum.heldUp ?? 0) &+ heldUp }
    lateness[last] = sum
  }

  mutating func addOversubscribed(_ meeting: Meeting) {
    oversubscribed &+= 1
    oversubscribedTime &+= Int64(clamping: meeting.release &- meeting.firstEnd)
  }

  /// By operator type, those with the most time from first to last arrival first.
  func imbalances(_ kinds: [NodeKind]) -> [Imbalance] {
    var rows: [String: Imbalance] = [:]
    for (number, sum) in byKind.enumerated() where sum.meetings > 0 {
      let op = number < kinds.count ? kinds[number].op : "(others)"
      var row = rows[op] ?? Imbalance(op: op)
      row.meetings &+= sum.meetings
      row.longest &+= sum.longest
      row.mean &+= sum.mean
      row.spread &+= sum.spread
      rows[op] = row
    }
    return rows.values.sorted { ($1.spread, $0.op) < ($0.spread, $1.op) }
  }
}
