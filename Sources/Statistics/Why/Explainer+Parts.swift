import TraceModel

extension Explainer {
  private static let shownDetails = 6

  func operatorDetails(_ left: Remainder) -> [Explanation.Detail] {
    left.kinds.enumerated().filter { $1 != 0 }
      .sorted { ($1.element.magnitude, $0.offset) < ($0.element.magnitude, $1.offset) }
      .prefix(Self.shownDetails)
      .map { kind, time in .init(name: accounts.kinds.kinds[kind].title, time: time) }
  }

  /// What was taken from the thread, by whom; nil without the scheduler's events.
  func preemption(_ place: Int, _ peers: [(culprit: UInt16, count: Int, time: Int64)]) -> Explanation.Part {
    guard accounts.hasScheduler else { return .init(cause: .preemption, time: nil) }
    var takers = Takers(facts.processes)
    for entry in accounts.culpritTimes[accounts.steps[place].culprits] {
      guard entry.use.isPreemption, !entry.use.isOutside || expectations.isFollowed[place] else { continue }
      takers.add(accounts.offCPU.culprits[Int(entry.culprit)], Int(entry.count), entry.time)
    }
    for (culprit, count, time) in peers { takers.add(accounts.offCPU.culprits[Int(culprit)], count, time) }
    let rows = takers.sorted
    let time = TimeUse.allCases.reduce(peers.reduce(Int64(0)) { $0 &+ $1.time }) { sum, use in
      use.isPreemption && (!use.isOutside || expectations.isFollowed[place])
        ? sum &+ accounts.time(of: place, use) : sum
    }
    return .init(
      cause: .preemption, time: time,
      details: rows.prefix(Self.shownDetails).map { .init(name: $0.name, time: $0.time, count: $0.count) })
  }

  func migration(_ place: Int, _ claim: Int64) -> Explanation.Part {
    guard accounts.hasScheduler else { return .init(cause: .migration, time: nil) }
    let step = accounts.steps[place]
    let moving = TimeUse.allCases.reduce(Int64(0)) { sum, use in
      use.isMigration && (!use.isOutside || expectations.isFollowed[place])
        ? sum &+ accounts.time(of: place, use) : sum
    }
    var part = Explanation.Part(cause: .migration, time: moving &+ claim)
    if moving != 0 { part.details.append(.init(name: "moved by the kernel", time: moving)) }
    if claim != 0 { part.details.append(.init(name: "on slower CPUs than usual", time: claim)) }
    let cpus = accounts.residence.cpus(of: step.thread, in: step.range)
    if cpus.count > 1 { part.details.append(.init(name: "moves to another CPU", count: cpus.count - 1)) }
    let kinds = zip(cpus, cpus.dropFirst()).count { facts.clusters[$0.cpu] != facts.clusters[$1.cpu] }
    if kinds > 0 { part.details.append(.init(name: "of them to another kind of CPU", count: kinds)) }
    return part
  }

  func faults(_ step: StepAccount, _ cause: Cause, _ claims: Claims) -> Explanation.Part {
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

  func frequency(_ place: Int, _ claim: Int64) -> Explanation.Part {
    guard let clock = clocks[place], let usual = usualClock[expectations.groupOfStep[place]] else {
      return .init(cause: .frequency, time: nil)
    }
    var part = Explanation.Part(cause: .frequency, time: claim)
    if claim != 0 {
      part.details = [
        .init(
          name: "at \(formatFrequency(Int64(clock))) instead of \(formatFrequency(Int64(usual)))", time: claim
        )
      ]
    }
    return part
  }
}

/// Who had the CPU, added up by name; the target's own threads are one.
struct Takers {
  struct Row {
    var name: String
    var kind: Interference.Kind
    var count = 0
    /// Nanoseconds.
    var time: Int64 = 0
  }

  private var rows: [String: Row] = [:]
  private let target: Set<UInt32>

  /// - Parameter target: processes of the target.
  init(_ target: Set<UInt32>) { self.target = target }

  /// - Returns: the name.
  @discardableResult
  mutating func add(_ culprit: Culprit, _ count: Int, _ time: Int64) -> String {
    var row =
      switch culprit {
      case .task(let name, let process) where process.map(target.contains) != true:
        Row(name: name.isEmpty ? "a task without a name" : name, kind: .task)
      case .task, .targetThread: Row(name: "the target's own threads", kind: .target)
      case .unknown: Row(name: "woken, and no CPU was free", kind: .unknown)
      case .idle: Row(name: "waking up on an idle CPU", kind: .idle)
      case .others: Row(name: "(others)", kind: .unknown)
      }
    if let known = rows[row.name] { row = known }
    row.count &+= count
    row.time &+= time
    rows[row.name] = row
    return row.name
  }

  /// Most time first.
  var sorted: [Row] { rows.values.sorted { ($1.time, $0.name) < ($0.time, $1.name) } }
}
