import TraceModel

/// Explains token steps of a run; see `Explanation` for the accounting.
public struct Explainer {
  let accounts: StepAccounts
  let facts: RecordingFacts
  let expectations: Expectations
  /// By place of the step: the clock in kHz, and the capacity of the CPUs that the thread ran on. nil where
  /// not known.
  let clocks: [UInt32?]
  let capacities: [Double?]
  /// Middle of the clocks, and of the capacities, of each group.
  let usualClock: [UInt32?]
  let usualCapacity: [Double?]

  public init(_ accounts: StepAccounts, facts: RecordingFacts) {
    let expectations = Expectations(accounts)
    let cpus = accounts.steps.map { accounts.residence.cpus(of: $0.thread, in: $0.range) }
    let clocks = accounts.clocks.largest(
      at: accounts.steps.enumerated().map { ($1.range.end, Set(cpus[$0].map(\.cpu))) })
    let capacities = cpus.map { Self.capacity($0, facts.capacities) }
    self.accounts = accounts
    self.facts = facts
    self.expectations = expectations
    self.clocks = clocks
    self.capacities = capacities
    usualClock = expectations.groups.map { Self.middle($0.members.compactMap { clocks[$0] }) }
    usualCapacity = expectations.groups.map { Self.middle($0.members.compactMap { capacities[$0] }) }
  }

  /// By the number of the step; nil when there is none of it.
  public func explanation(ofStep index: Int) -> Explanation? {
    accounts.steps.firstIndex { $0.index == index }.map { explanation(at: $0) }
  }

  /// Of every step, in order of start.
  public func all() -> [Explanation] {
    accounts.steps.indices.sorted { accounts.steps[$0].index < accounts.steps[$1].index }.map {
      explanation(at: $0)
    }
  }

  /// The steps that took most longer than expected at their place, relative to what was expected.
  ///
  /// - Parameters:
  ///   - count: at most so many.
  ///   - least: leaves out steps that took less than this longer, relative to their expectation.
  public func slowest(_ count: Int, least: Double = 0) -> [Explanation] {
    var worst: [(place: Int, surprise: Int64)] = []
    for place in accounts.steps.indices {
      guard let group = expectations.group(of: place) else { continue }
      let expected = sum(expectations.expected(of: place, in: group, at: accounts.steps[place].place))
      let surprise = explained(place) &- expected
      guard surprise > 0, Double(surprise) >= least * Double(expected) else { continue }
      worst.append((place, surprise))
    }
    worst.sort { ($1.surprise, $0.place) < ($0.surprise, $1.place) }
    return worst.prefix(count).map { explanation(at: $0.place) }
  }

  /// Nanoseconds of a step that are explained.
  func explained(_ place: Int) -> Int64 {
    var time = max(accounts.steps[place].range.duration, 0)
    for use in TimeUse.allCases where use.isBehind && (!use.isOutside || expectations.isFollowed[place]) {
      time &+= accounts.time(of: place, use)
    }
    return time
  }

  func explanation(at place: Int) -> Explanation {
    let step = accounts.steps[place]
    let group = expectations.group(of: place)
    var result = Explanation(
      step: step, duration: max(step.range.duration, 0), explained: explained(place), expected: nil,
      typical: nil, typicalPlace: group?.typical ?? ContextPlace(position: nil, cells: nil),
      peers: group?.members.count ?? 0)
    result.missing = missing(step)
    result.notes = notes(step, hasGroup: group != nil)
    guard let group else { return result }
    let here = expectations.expected(of: place, in: group, at: step.place)
    let typical = expectations.expected(of: place, in: group, at: group.typical)
    result.expected = sum(here)
    result.typical = sum(typical)
    var left = remainder(place, expected: here)
    let claims = claim(place, &left)
    let growth = step.place.position == nil ? nil : sum(here) &- sum(typical)
    result.parts = Cause.allCases.map { cause in
      switch cause {
      case .operators: .init(cause: cause, time: left.operators, details: operatorDetails(left))
      case .preemption: preemption(place, claims.peers)
      case .migration: migration(place, claims.migration)
      case .blocked: .init(cause: cause, time: accounts.hasScheduler ? left[.blocked] : nil)
      case .pageFaults, .expertMisses: faults(step, cause, claims)
      case .frequency: frequency(place, claims.frequency)
      case .contextGrowth: .init(cause: cause, time: growth)
      case .barrier: .init(cause: cause, time: left[.barrier])
      case .graphs: .init(cause: cause, time: left[.graphs])
      case .setup: .init(cause: cause, time: left[.setup])
      case .sampling: .init(cause: cause, time: left[.sampling])
      case .outside: .init(cause: cause, time: left[.outside])
      case .other: .init(cause: cause, time: left.other, details: left.otherDetails)
      case .unexplained: .init(cause: cause, time: left[.unnamed])
      }
    }
    return result
  }

  func remainder(_ place: Int, expected: [Int64]) -> Remainder {
    Remainder(
      expected.indices.map { accounts.time(of: place, column: $0) }, expected: expected,
      isFollowed: expectations.isFollowed[place])
  }

  func sum(_ values: [Int64]) -> Int64 { values.reduce(0, &+) }

  private static func middle<Value: Comparable>(_ values: [Value]) -> Value? {
    values.isEmpty ? nil : values.sorted()[(values.count - 1) / 2]
  }

  /// Mean over the time, relative to the CPUs' own; nil where one of them has none.
  private static func capacity(_ cpus: [(cpu: Int, time: Int64)], _ capacities: [Int: Int]) -> Double? {
    var (sum, time) = (0.0, 0.0)
    for (cpu, nanoseconds) in cpus {
      guard let capacity = capacities[cpu], capacity > 0 else { return nil }
      sum += Double(capacity) * Double(nanoseconds)
      time += Double(nanoseconds)
    }
    return time > 0 ? sum / time : nil
  }
}
