import Statistics
import TraceModel

/// The token steps that the chart over time shows.
///
/// All of them where they are few. Of more, consecutive steps of one phase are taken together and the fastest, the
/// median and the slowest of them kept, so that no spike and no step of the staircase is averaged away, and every
/// point of the chart is a step that happened.
struct TokenSeries: Sendable {
  struct Point: Sendable {
    /// What a point is of the steps that were taken together.
    enum Role: Int, Sendable { case only, fastest, median, slowest }

    var step: TokenStep
    var time: StepTime
    var role: Role
  }

  /// In order of start.
  let points: [Point]
  /// Complete steps that the points stand for.
  let stepCount: Int
  /// How many consecutive steps of a phase were taken together; 1: every step is a point.
  let groupSize: Int

  /// Points that a page holds at most, and what a chart can show of.
  static let limit = 18_000

  init(_ statistics: StepStatistics, limit: Int = Self.limit) {
    let steps = statistics.steps.filter(\.isComplete)
      .sorted { ($0.range.start, $0.index) < ($1.range.start, $1.index) }
    stepCount = steps.count
    // Three of each group are kept, and each phase may end in a group that is not full.
    let groups = max(limit / 3 - Phase.allCases.count, 1)
    groupSize = steps.count <= limit ? 1 : (steps.count + groups - 1) / groups
    var points: [Point] = []
    func add(_ step: TokenStep, _ role: Point.Role) {
      points.append(Point(step: step, time: statistics.time(ofStep: step.index), role: role))
    }
    if groupSize == 1 {
      for step in steps { add(step, .only) }
    } else {
      for phase in Phase.allCases {
        let members = steps.filter { $0.phase == phase }
        for first in stride(from: 0, to: members.count, by: groupSize) {
          let group = members[first..<min(first + groupSize, members.count)]
            .sorted { ($0.range.duration, $0.index) < ($1.range.duration, $1.index) }
          if group.count < 3 {
            for step in group { add(step, .only) }
          } else {
            add(group[0], .fastest)
            add(group[(group.count - 1) / 2], .median)
            add(group[group.count - 1], .slowest)
          }
        }
      }
      points.sort { ($0.step.range.start, $0.step.index) < ($1.step.range.start, $1.step.index) }
    }
    self.points = points
  }

  /// Phases that occur, in the order of `Phase`.
  var phases: [Phase] {
    let present = Set(points.map(\.step.phase))
    return Phase.allCases.filter(present.contains)
  }

  /// From the first step's start to the last one's end; nil without steps.
  var range: TimeRange? {
    guard let first = points.first?.step.range.start, let last = points.map(\.step.range.end).max() else {
      return nil
    }
    return TimeRange(start: first, end: last)
  }

  /// Share of the time from the first step to the last in which one was computed, 0…1: a server that waits for
  /// requests has little.
  var busyShare: Double {
    guard let range, range.duration > 0, groupSize == 1 else { return 1 }
    let busy = points.reduce(0.0) { $0 + Double(max($1.step.range.duration, 0)) }
    return min(busy / Double(range.duration), 1)
  }
}
