import TraceModel

/// What the scheduler did with each thread over time, and where records were lost: nanoseconds in each part of the
/// recording.
struct ThreadSeries: Sendable {
  struct Part: Sendable, Equatable {
    var running: Int64 = 0
    var runnable: Int64 = 0
    var blocked: Int64 = 0

    var total: Int64 { running &+ runnable &+ blocked }
  }

  let window: TimeWindow
  private(set) var threads: [ThreadID: [Part]] = [:]

  /// A target has some dozens of threads; a hostile trace may name any number.
  private static let limit = 512

  init(range: TimeRange?) { window = TimeWindow(range, count: 240) }

  mutating func threadSlice(_ slice: ThreadSlice) {
    guard threads[slice.thread] != nil || threads.count < Self.limit else { return }
    let empty = [Part](repeating: Part(), count: window.count)
    window.split(slice.range) { part, nanoseconds in
      switch slice.activity {
      case .running: threads[slice.thread, default: empty][part].running &+= nanoseconds
      case .runnable: threads[slice.thread, default: empty][part].runnable &+= nanoseconds
      case .blocked: threads[slice.thread, default: empty][part].blocked &+= nanoseconds
      }
    }
  }
}

/// Parts of the recording in which something holds.
struct MarkedParts: Sendable {
  let window: TimeWindow
  private var isMarked: [Bool]

  init(range: TimeRange?) {
    window = TimeWindow(range, count: 1000)
    isMarked = Array(repeating: false, count: window.count)
  }

  mutating func mark(_ range: TimeRange) {
    let (first, last) = (window.part(of: range.start), window.part(of: range.end))
    for part in first...max(first, last) { isMarked[part] = true }
  }

  /// From the first marked part to the last; nil without any.
  var extent: TimeRange? {
    let stretches = stretches
    guard let first = stretches.first, let last = stretches.last else { return nil }
    return TimeRange(start: window.time(at: first.lowerBound), end: window.time(at: last.upperBound))
  }

  /// Consecutive marked parts, as fractions of the window.
  var stretches: [ClosedRange<Double>] {
    var result: [ClosedRange<Double>] = []
    var start: Int?
    for part in 0...isMarked.count {
      let marked = part < isMarked.count && isMarked[part]
      if marked, start == nil { start = part }
      if !marked, let first = start {
        result.append(Double(first) / Double(isMarked.count)...Double(part) / Double(isMarked.count))
        start = nil
      }
    }
    return result
  }
}
