import TraceModel

/// What is left of a step's times over what was expected, while causes are found for it.
struct Remainder {
  /// By `TimeUse`. Nanoseconds, as all here.
  private var uses: [Int64]
  /// By kind of operator.
  private(set) var kinds: [Int64]
  private let expectedKinds: [Int64]

  /// - Parameters:
  ///   - times: of the step, by column.
  ///   - expected: likewise.
  ///   - isFollowed: whether the time outside of the engine counts.
  init(_ times: [Int64], expected: [Int64], isFollowed: Bool) {
    uses = TimeUse.allCases.map { use in
      use.isOutside && !isFollowed ? 0 : times[use.rawValue] &- expected[use.rawValue]
    }
    expectedKinds = Array(expected.dropFirst(TimeUse.allCases.count))
    kinds = zip(times, expected).dropFirst(TimeUse.allCases.count).map { $0 &- $1 }
  }

  subscript(use: TimeUse) -> Int64 { uses[use.rawValue] }

  var operators: Int64 { kinds.reduce(0, &+) }

  /// Parts of a step that are rarely worth a line of their own.
  private static let others: [(use: TimeUse, name: String)] = [
    (.betweenGraphs, "between graphs"), (.finish, "finish after the graph"),
    (.graphOverhead, "graph start and end"),
    (.notProbed, "operators not probed"),
  ]

  var other: Int64 { Self.others.reduce(0) { $0 &+ self[$1.use] } }

  var otherDetails: [Explanation.Detail] {
    Self.others.filter { self[$0.use] != 0 }.map { .init(name: $0.name, time: self[$0.use]) }
  }

  func expected(kind: Int) -> Int64 { kind < expectedKinds.count ? expectedKinds[kind] : 0 }

  /// Takes at most `time` from a kind of operators, and no more than it took too long.
  ///
  /// - Returns: what was taken.
  mutating func take(_ time: Int64, kind: Int) -> Int64 {
    guard kind < kinds.count else { return 0 }
    let taken = min(max(time, 0), max(kinds[kind], 0))
    kinds[kind] &-= taken
    return taken
  }

  /// Takes a part of what was expected from each kind of operators, and no more than it took too long.
  mutating func take(factor: Double) -> Int64 {
    guard factor > 0 else { return 0 }
    return kinds.indices.reduce(0) { sum, kind in
      sum &+ take(Int64(min(Double(expectedKinds[kind]) * factor, 0x1p60)), kind: kind)
    }
  }
}
