import TraceModel

/// What token steps take that nothing disturbs: by their kind of step, and fitted to the context.
///
/// Steps are compared with those of the same model context, phase and number of tokens, recorded in the same
/// way. The expectation of a step is the sum of the expectations of its uses of time (`TimeUse`, operators by
/// kind), each the `ContextFit` over all such steps. Fits are over times from which the disturbances were
/// taken out, so that a run in which most steps are disturbed has the expectations of one that is not; of
/// disturbances nothing is expected.
struct Expectations {
  struct Group {
    var phase: Phase
    var context: UInt64
    var tokenCount: Int?
    /// Places in `StepAccounts.steps`, in order of start.
    var members: [Int]
    /// By column; empty with too few members.
    var fits: [ContextFit] = []
    /// The middle of its members' places.
    var typical: ContextPlace
  }

  private(set) var groups: [Group] = []
  /// By place of the step.
  private(set) var groupOfStep: [Int] = []
  /// Whether another token follows, so that the time outside of the engine up to it counts.
  private(set) var isFollowed: [Bool] = []
  private let accounts: StepAccounts

  /// Steps of a kind from which something can be expected of others.
  static let leastMembers = 5

  init(_ accounts: StepAccounts) {
    self.accounts = accounts
    findFollowers()
    findGroups()
    for index in groups.indices { fit(index) }
  }

  private struct Key: Hashable {
    var context: UInt64
    var phase: Phase
    var tokenCount: Int?
    var hasOperatorProbes: Bool
  }

  private mutating func findFollowers() {
    let steps = accounts.steps
    isFollowed = [Bool](repeating: false, count: steps.count)
    var previous: [ThreadID: Int] = [:]
    for place in steps.indices.sorted(by: { (steps[$0].range.start, $0) < (steps[$1].range.start, $1) }) {
      if let before = previous[steps[place].thread], steps[place].phase.generates {
        isFollowed[before] = steps[before].phase.generates || steps[before].phase == .prefill
      }
      previous[steps[place].thread] = place
    }
  }

  private mutating func findGroups() {
    var numbers: [Key: Int] = [:]
    for (place, step) in accounts.steps.enumerated() {
      let key = Key(
        context: step.context, phase: step.phase, tokenCount: step.tokenCount,
        hasOperatorProbes: step.hasOperatorProbes)
      let number = numbers[key] ?? groups.count
      if number == groups.count {
        numbers[key] = number
        groups.append(
          Group(
            phase: step.phase, context: step.context, tokenCount: step.tokenCount, members: [],
            typical: ContextPlace(position: nil, cells: nil)))
      }
      groupOfStep.append(number)
      // An incomplete step has no duration to learn from.
      if step.isComplete { groups[number].members.append(place) }
    }
  }

  private mutating func fit(_ index: Int) {
    let members = groups[index].members
    guard members.count >= Self.leastMembers, groups[index].phase != .warmup else { return }
    let places = members.map { accounts.steps[$0].place }
    groups[index].typical = ContextPlace(
      position: Self.middle(places.map(\.position)), cells: Self.middle(places.map(\.cells)))
    let bins = ContextBins(places)
    let columns = members.map { accounts.steps[$0].times.count }.max() ?? 0
    groups[index].fits = (0..<columns).map { column in
      if let use = TimeUse(rawValue: column) {
        if use.isDisturbance { return ContextFit(base: 0, perPosition: 0, perCell: 0, spread: 0) }
        if use == .outside { return outside(members) }
      }
      return bins.fit { accounts.time(of: members[$0], column: column) }
    }
  }

  private func outside(_ members: [Int]) -> ContextFit {
    let followed = members.filter { isFollowed[$0] }
    let bins = ContextBins(followed.map { _ in ContextPlace(position: nil, cells: nil) })
    return bins.fit { accounts.time(of: followed[$0], column: TimeUse.outside.rawValue) }
  }

  /// The middle of the values; nil where one is not known.
  private static func middle(_ values: [Int?]) -> Int? {
    let known = values.compactMap { $0 }
    guard known.count == values.count, !known.isEmpty else { return nil }
    return known.sorted()[(known.count - 1) / 2]
  }

  /// The group of a step, when something can be expected of it.
  func group(of place: Int) -> Group? {
    let group = groups[groupOfStep[place]]
    return group.fits.isEmpty || !accounts.steps[place].isComplete ? nil : group
  }

  /// What a step is expected to take, column by column.
  ///
  /// - Parameter at: where in the context.
  func expected(of place: Int, in group: Group, at context: ContextPlace) -> [Int64] {
    group.fits.enumerated().map { column, fit in
      column == TimeUse.outside.rawValue && !isFollowed[place] ? 0 : fit.value(at: context)
    }
  }
}

extension Phase {
  /// Whether its steps give tokens one after the other.
  var generates: Bool { self == .decode || self == .draft || self == .verify }
}

extension StepAccounts {
  /// Nanoseconds of a step in a column: a use of time, or behind those a kind of operators.
  func time(of place: Int, column: Int) -> Int64 {
    let times = steps[place].times
    return column < times.count ? values[times.lowerBound + column] : 0
  }

  func time(of place: Int, _ use: TimeUse) -> Int64 { values[steps[place].times.lowerBound + use.rawValue] }
}
