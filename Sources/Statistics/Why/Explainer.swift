import TraceModel

/// Explains token steps of a run; see `Explanation` for the accounting.
public struct Explainer {
  let accounts: StepAccounts
  let facts: RecordingFacts
  let expectations: Expectations
  /// By place of the step: the clock in kHz, and the capacity of the CPUs that the thread ran on. nil where not known.
  private let clocks: [UInt32?]
  private let capacities: [Double?]
  /// Middle of the clocks, and of the capacities, of each group.
  private let usualClock: [UInt32?]
  private let usualCapacity: [Double?]

  /// A clock, or a capacity, that is less than this of the usual one makes operators slower.
  private static let slowerLimit = 0.97
  private static let shownDetails = 6

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
    accounts.steps.firstIndex { $0.index == index }.map(explanation)
  }

  /// Of every step, in order of start.
  public func all() -> [Explanation] {
    accounts.steps.indices.sorted { accounts.steps[$0].index < accounts.steps[$1].index }.map(explanation)
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
    return worst.prefix(count).map { explanation($0.place) }
  }

  /// Nanoseconds of a step that are explained.
  func explained(_ place: Int) -> Int64 {
    var time = max(accounts.steps[place].range.duration, 0)
    for use in TimeUse.allCases where use.isBehind && (!use.isOutside || expectations.isFollowed[place]) {
      time &+= accounts.time(of: place, use)
    }
    return time
  }

  private func explanation(_ place: Int) -> Explanation {
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
    var left = Remainder(
      (0..<here.count).map { accounts.time(of: place, column: $0) }, expected: here,
      isFollowed: expectations.isFollowed[place])
    let claims = claim(place, &left)
    let growth = step.place.position == nil ? nil : sum(here) &- sum(typical)
    result.parts = Cause.allCases.map { cause in
      switch cause {
      case .operators: .init(cause: cause, time: left.operators, details: operatorDetails(left))
      case .preemption: culprits(place, cause, [.preemption, .samplingPreemption, .outsidePreemption, .peerPreemption])
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

  // MARK: Claims

  private struct Claims {
    var migration: Int64 = 0
    var frequency: Int64 = 0
    var pageFaults: Int64 = 0
    var expertMisses: Int64 = 0
  }

  /// Takes from operators that took longer than expected what the recording shows a reason for.
  private func claim(_ place: Int, _ left: inout Remainder) -> Claims {
    var claims = Claims()
    let step = accounts.steps[place]
    for faulted in accounts.faulted[step.faulted] {
      let kind = Int(faulted.kind)
      let usual = left.expected(kind: kind)
      // Of one execution, as far as those of a kind are alike.
      let each =
        accounts.executions[kind] > 0
        ? Double(usual) * Double(accounts.executingSteps[kind]) / Double(accounts.executions[kind]) : 0
      let longer = faulted.time &- Int64(min(each * Double(faulted.executions), 0x1p60))
      let claimed = left.take(longer, kind: kind) &+ faulted.waited
      if accounts.readsExperts(kind) { claims.expertMisses &+= claimed } else { claims.pageFaults &+= claimed }
    }
    let number = expectations.groupOfStep[place]
    if let here = capacities[place], let usual = usualCapacity[number], here < usual * Self.slowerLimit {
      claims.migration = left.take(factor: usual / here - 1)
    }
    if let here = clocks[place], let usual = usualClock[number], here > 0,
      Double(here) < Double(usual) * Self.slowerLimit
    {
      claims.frequency = left.take(factor: Double(usual) / Double(here) - 1)
    }
    return claims
  }

  // MARK: Parts

  private func operatorDetails(_ left: Remainder) -> [Explanation.Detail] {
    left.kinds.enumerated().filter { $1 != 0 }
      .sorted { ($1.element.magnitude, $0.offset) < ($0.element.magnitude, $1.offset) }
      .prefix(Self.shownDetails)
      .map { kind, time in .init(name: accounts.kinds.kinds[kind].title, time: time) }
  }

  /// What was taken from the thread, by whom; nil without the scheduler's events.
  private func culprits(_ place: Int, _ cause: Cause, _ uses: [TimeUse]) -> Explanation.Part {
    guard accounts.hasScheduler else { return .init(cause: cause, time: nil) }
    let counted = uses.filter { !$0.isOutside || expectations.isFollowed[place] }
    var part = Explanation.Part(
      cause: cause, time: counted.reduce(0) { $0 &+ accounts.time(of: place, $1) })
    var rows: [String: Explanation.Detail] = [:]
    for entry in accounts.culpritTimes[accounts.steps[place].culprits] where counted.contains(entry.use) {
      let name = accounts.name(ofCulprit: entry.culprit, target: facts.processes)
      var row = rows[name] ?? Explanation.Detail(name: name, time: 0, count: 0)
      row.time = (row.time ?? 0) &+ entry.time
      row.count = (row.count ?? 0) &+ Int(entry.count)
      rows[name] = row
    }
    part.details = rows.values.sorted { ($1.time ?? 0, $0.name) < ($0.time ?? 0, $1.name) }
      .prefix(Self.shownDetails).map { $0 }
    return part
  }

  private func migration(_ place: Int, _ claim: Int64) -> Explanation.Part {
    var part = culprits(
      place, .migration, [.migration, .samplingMigration, .outsideMigration, .peerMigration])
    guard let time = part.time else { return part }
    part.time = time &+ claim
    let cpus = accounts.residence.cpus(of: accounts.steps[place].thread, in: accounts.steps[place].range)
    part.details = []
    if time != 0 { part.details.append(.init(name: "moved by the kernel", time: time)) }
    if claim != 0 { part.details.append(.init(name: "on slower CPUs than usual", time: claim)) }
    if cpus.count > 1 { part.details.append(.init(name: "moves to another CPU", count: cpus.count - 1)) }
    let kinds = zip(cpus, cpus.dropFirst()).count { facts.clusters[$0.cpu] != facts.clusters[$1.cpu] }
    if kinds > 0 { part.details.append(.init(name: "of them to another kind of CPU", count: kinds)) }
    return part
  }

  private func faults(_ step: StepAccount, _ cause: Cause, _ claims: Claims) -> Explanation.Part {
    let isExperts = cause == .expertMisses
    guard accounts.hasFaultCounters, !isExperts || accounts.hasExperts else {
      return .init(cause: cause, time: nil)
    }
    var part = Explanation.Part(cause: cause, time: isExperts ? claims.expertMisses : claims.pageFaults)
    if isExperts {
      if let first = step.firstExpertUses, let uses = step.expertUses, first > 0 {
        part.details.append(.init(name: "experts used for the first time, of \(uses)", count: first))
      }
    } else {
      if let all = step.faults, all > 0 {
        part.details.append(.init(name: "page faults", count: Int(clamping: all)))
      }
      if let major = step.majorFaults, major > 0 {
        part.details.append(.init(name: "of them read a disk", count: Int(clamping: major)))
      }
    }
    return part
  }

  private func frequency(_ place: Int, _ claim: Int64) -> Explanation.Part {
    guard let clock = clocks[place], let usual = usualClock[expectations.groupOfStep[place]] else {
      return .init(cause: .frequency, time: nil)
    }
    var part = Explanation.Part(cause: .frequency, time: claim)
    if claim != 0 {
      part.details = [
        .init(name: "at \(formatFrequency(Int64(clock))) instead of \(formatFrequency(Int64(usual)))", time: claim)
      ]
    }
    return part
  }

  // MARK: Helpers

  private func sum(_ values: [Int64]) -> Int64 { values.reduce(0, &+) }

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
