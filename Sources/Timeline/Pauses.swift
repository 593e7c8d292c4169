import TraceModel

/// Where curves of what runs fall to 0: behind a stretch that is followed by a pause longer than itself, if nothing
/// speaks against it. That something does, such as records lost in the pause, can come out later.
struct Pauses {
  /// A moment from which a curve is 0, unless in doubt.
  struct Fall {
    var curve: Int
    var pause: TimeRange
  }

  private struct Doubt {
    /// nil for all curves.
    var curve: Int?
    var range: TimeRange
  }

  // Losses are reported two chunks late at most: so many steps fit into these several times.
  private static let maxFalls = 1 << 13
  private static let maxDoubts = 1 << 8

  private var latest: [Int: TimeRange] = [:]
  private var falls: [Fall] = []
  private var doubts: [Doubt] = []

  /// Notes a stretch in which a curve has a value.
  ///
  /// - Returns: falls that are no longer in doubt.
  mutating func add(_ range: TimeRange, of curve: Int) -> [Fall] {
    let last = latest[curve]
    latest[curve] = range
    guard let last, range.start - last.end > max(last.duration, 0) else { return [] }
    append(Fall(curve: curve, pause: TimeRange(start: last.end, end: range.start)))
    return falls.count < Self.maxFalls ? [] : take(falls.count / 2)
  }

  /// Notes a time in which a curve may have any value; nil for all curves.
  mutating func doubt(_ curve: Int?, _ range: TimeRange) {
    if doubts.count >= Self.maxDoubts { doubts.removeFirst(Self.maxDoubts / 2) }
    let doubt = Doubt(curve: curve, range: range)
    doubts.append(doubt)
    if !falls.isEmpty { falls.removeAll { Self.speaks(doubt, against: $0) } }
  }

  /// What is left: nothing is to come behind `end`.
  mutating func finish(_ end: TraceTime) -> [Fall] {
    for (curve, range) in latest.sorted(by: { $0.key < $1.key }) {
      append(Fall(curve: curve, pause: TimeRange(start: range.end, end: end)))
    }
    latest = [:]
    return take(falls.count)
  }

  private mutating func append(_ fall: Fall) {
    if !doubts.contains(where: { Self.speaks($0, against: fall) }) { falls.append(fall) }
  }

  private mutating func take(_ count: Int) -> [Fall] {
    defer { falls.removeFirst(count) }
    return Array(falls.prefix(count))
  }

  private static func speaks(_ doubt: Doubt, against fall: Fall) -> Bool {
    (doubt.curve == nil || doubt.curve == fall.curve) && doubt.range.start < fall.pause.end
      && doubt.range.end > fall.pause.start
  }
}
