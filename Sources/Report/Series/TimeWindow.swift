import TraceModel

/// A stretch of the recording cut into equally long parts, for what is drawn over time.
struct TimeWindow: Sendable {
  let start: TraceTime
  /// Nanoseconds, at least 1.
  let duration: Int64
  let count: Int

  /// - Parameter range: of a run; a hostile trace may have its end before its start.
  init(_ range: TimeRange?, count: Int) {
    start = range?.start ?? TraceTime(nanoseconds: 0)
    duration = max(range?.duration ?? 0, 1)
    self.count = max(count, 1)
  }

  /// Place in the window, 0…1, clamped to it.
  func fraction(of time: TraceTime) -> Double {
    min(max(Double(time - start) / Double(duration), 0), 1)
  }

  /// The part that a time lies in; times outside of the window lie in its first or last part.
  func part(of time: TraceTime) -> Int {
    min(Int(fraction(of: time) * Double(count)), count - 1)
  }

  /// The time at a place in the window, 0…1.
  func time(at fraction: Double) -> TraceTime {
    TraceTime(nanoseconds: start.nanoseconds &+ UInt64(min(max(fraction, 0), 1) * Double(duration)))
  }

  /// Calls `body` with each part that a range overlaps and with the nanoseconds of it inside.
  func split(_ range: TimeRange, _ body: (Int, Int64) -> Void) {
    guard range.duration > 0 else { return }
    let (first, last) = (part(of: range.start), part(of: range.end))
    for part in first...last {
      let from = max(Double(range.start - start), edge(part))
      let to = min(Double(range.end - start), edge(part + 1))
      if to > from { body(part, Int64(to - from)) }
    }
  }

  /// Nanoseconds from the start of the window to that of a part.
  private func edge(_ part: Int) -> Double { Double(duration) * Double(part) / Double(count) }
}
