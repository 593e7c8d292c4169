import TraceModel

/// Which part of a run is asked for: some token steps, and the time that they took as far as it is known.
struct StepWindow {
  private let tokens: ClosedRange<Int>?
  /// Time of the steps seen so far that are asked for.
  private(set) var range: TimeRange?
  /// Nothing that ends earlier can be in their time.
  private var earliest = TraceTime(nanoseconds: 0)
  /// True when no more of them can come.
  private var isOver = false

  enum Verdict {
    /// With the part of it that is asked for.
    case inside(TimeRange)
    case outside, notKnownYet
  }

  init(_ tokens: ClosedRange<Int>?) { self.tokens = tokens }

  /// Whether what belongs to a step is asked for.
  @inline(__always)
  func isWanted(_ step: Int?) -> Bool {
    guard let tokens else { return true }
    return step.map(tokens.contains) ?? false
  }

  mutating func note(_ step: TokenStep) {
    guard let tokens else { return }
    if tokens.contains(step.index) {
      let known = range ?? step.range
      range = TimeRange(start: min(known.start, step.range.start), end: max(known.end, step.range.end))
    } else if step.index < tokens.lowerBound {
      earliest = max(earliest, step.range.start)
    } else {
      isOver = true
    }
  }

  /// No more steps are to come.
  mutating func end() { isOver = true }

  /// Whether something that belongs to no step overlaps the time asked for.
  func verdict(_ time: TimeRange) -> Verdict {
    guard tokens != nil else { return .inside(time) }
    guard let range else { return isOver || time.end < earliest ? .outside : .notKnownYet }
    if time.end < range.start { return .outside }
    if time.end > range.end, !isOver { return .notKnownYet }
    if time.start > range.end { return .outside }
    return .inside(TimeRange(start: max(time.start, range.start), end: min(time.end, range.end)))
  }
}

/// What waits until it is known whether it overlaps the time asked for.
enum HeldItem {
  case point(Curve, TraceTime, Double)
  case slice(Slice, TrackSet.Owner)

  var range: TimeRange {
    switch self {
    case .point(_, let time, _): TimeRange(start: time, end: time)
    case .slice(let slice, _): slice.range
    }
  }
}

extension TimelineWriter {
  /// What happens between two token steps fits many times.
  private static let heldLimit = 1 << 16

  /// Writes something that belongs to no token step, keeps it or drops it.
  mutating func writeOrHold(_ item: HeldItem) {
    switch window.verdict(item.range) {
    case .inside(let part): write(item, part)
    case .outside: break
    case .notKnownYet:
      if held.count < Self.heldLimit { held.append(item) } else { droppedCount += 1 }
    }
  }

  /// A token step is over: decides what can be decided now.
  mutating func releaseHeld() {
    guard !held.isEmpty else { return }
    let items = held
    held.removeAll(keepingCapacity: true)
    for item in items { writeOrHold(item) }
  }

  private mutating func write(_ item: HeldItem, _ part: TimeRange) {
    switch item {
    case .point(let curve, let time, let value): point(curve, time, value)
    case .slice(var slice, let owner):
      if part != slice.range {
        slice.range = part
        slice.arguments.append(Argument("goes on outside", .flag(true)))
      }
      draw(slice, on: owner)
    }
  }
}
