import TraceModel

/// A kind of time of a token step and of what follows it. All of them together are disjoint stretches of the
/// wall time of the thread that calls the engine; the operators, by kind, are the rest of it.
public enum TimeUse: Int, Sendable, CaseIterable {
  // In the step, without what the scheduler or the disk took.
  case barrier, setup, betweenGraphs, finish, graphOverhead, notProbed
  /// Graphs of which no operators were recorded: of other backends, or all of them at level `graph`.
  case graphs
  /// In the step, in nothing that was recorded.
  case unnamed
  /// Behind the step: in samplers, and in the caller's own code until the next step.
  case sampling, outside

  // What was taken from the thread, or from one that it had to wait for.
  /// The thread could have run and had no CPU: in the step, in samplers behind it, outside of the engine.
  case preemption, samplingPreemption, outsidePreemption
  /// In barriers, for another thread that had no CPU.
  case peerPreemption
  /// Likewise, while the kernel moved a thread to another CPU.
  case migration, samplingMigration, outsideMigration, peerMigration
  /// Asleep in an operator: for a disk, a lock, or (where barriers sleep) for other threads in the middle of
  /// it.
  case blocked
  /// Likewise, in an operator that had page faults, itself or (in barriers) another thread.
  case blockedInFault
  /// In barriers, for a thread that came last and whose operator had had page faults.
  case peerFault

  /// Time behind the step.
  var isBehind: Bool {
    switch self {
    case .sampling, .outside, .samplingPreemption, .outsidePreemption, .samplingMigration, .outsideMigration:
      true
    default: false
    }
  }

  /// Counts for a token only when another one follows: until then the caller may wait for anything.
  var isOutside: Bool {
    self == .outside || self == .outsidePreemption || self == .outsideMigration
  }

  var isPreemption: Bool {
    switch self {
    case .preemption, .samplingPreemption, .outsidePreemption, .peerPreemption: true
    default: false
    }
  }

  var isMigration: Bool {
    switch self {
    case .migration, .samplingMigration, .outsideMigration, .peerMigration: true
    default: false
    }
  }

  /// Taken from the thread: an undisturbed step has nothing of it.
  public var isDisturbance: Bool { rawValue >= TimeUse.preemption.rawValue }
}

/// A token step with what is known of it; its times are in `StepAccounts`.
public struct StepAccount: Sendable {
  public var index: Int
  public var thread: ThreadID
  public var context: UInt64
  public var phase: Phase
  public var range: TimeRange
  public var tokenCount: Int?
  public var place: ContextPlace
  public var isComplete: Bool
  public var hasOperatorProbes: Bool
  /// Experts routed to, and those of them that no step before had used; nil without routing.
  public var expertUses: Int?
  public var firstExpertUses: Int?
  /// Page faults, and those of them that read a disk, of the step's threads; nil where not known.
  public var faults: UInt64?
  public var majorFaults: UInt64?

  /// Where its values are in the stores of `StepAccounts`.
  var times: Range<Int>
  var culprits: Range<Int>
  var faulted: Range<Int>
  var peers: Range<Int>
}

/// What somebody took from a token.
struct CulpritTime: Sendable, Equatable {
  /// Number in `OffCPU.culprits`.
  var culprit: UInt16
  var use: TimeUse
  var count: Int32
  /// Nanoseconds.
  var time: Int64
}

/// Time in which the main thread computed operators of a kind while another thread of the graph had no CPU.
/// What that one did not do the main thread did, or waited for in the middle of the operator; how much is
/// known when it is known how long such operators take.
struct PeerOffCPU: Sendable {
  var kind: UInt16
  /// Number in `OffCPU.culprits`.
  var culprit: UInt16
  var count: Int32 = 0
  /// Nanoseconds.
  var time: Int64 = 0
}

/// Operators of a kind that had page faults, in one step.
struct FaultedOperators: Sendable {
  var kind: UInt16
  /// Those with faults on the main thread, and their time without what was taken. Nanoseconds.
  var executions: Int32 = 0
  var time: Int64 = 0
  /// Time in which the main thread, or another one that it had to wait for, waited for pages. Nanoseconds.
  var waited: Int64 = 0
}

/// A token step whose end is to come.
struct OpenAccount {
  var step: Int
  /// By `TimeUse`, then operators by kind. Nanoseconds.
  var times = [Int64](repeating: 0, count: TimeUse.allCases.count)
  var culprits: [CulpritTime] = []
  var faulted: [FaultedOperators] = []
  var peers: [PeerOffCPU] = []
  /// Operators, or the time around them in a graph, were recorded: the graph is no block of one.
  var hasInside = false
  var cells: Int32 = -1
  var expertUses = 0
  var firstExpertUses = 0
  /// Of other threads than the calling one.
  var peerFaults: UInt64? = 0
  var peerMajorFaults: UInt64? = 0
  /// Of the operator that came last: without what was taken, and how long it waited.
  var lastNet: Int64 = 0
  var lastBlocked: Int64 = 0

  private static let culpritLimit = 128
  private static let peerLimit = 64

  init(step: Int) { self.step = step }

  subscript(use: TimeUse) -> Int64 {
    get { times[use.rawValue] }
    set { times[use.rawValue] = newValue }
  }

  mutating func add(_ time: Int64, kind: Int) {
    let place = TimeUse.allCases.count + kind
    if place >= times.count { times.append(contentsOf: repeatElement(0, count: place + 1 - times.count)) }
    times[place] &+= time
    hasInside = true
  }

  mutating func add(_ time: Int64, culprit: UInt16, use: TimeUse) {
    self[use] &+= time
    var culprit = culprit
    var place = culprits.firstIndex { $0.culprit == culprit && $0.use == use }
    if place == nil, culprits.count >= Self.culpritLimit {
      culprit = OffCPU.others
      place = culprits.firstIndex { $0.culprit == culprit && $0.use == use }
    }
    if let place {
      culprits[place].count &+= 1
      culprits[place].time &+= time
    } else {
      culprits.append(CulpritTime(culprit: culprit, use: use, count: 1, time: time))
    }
  }

  /// The operator that came last on the main thread had page faults: if it waited, then for the pages.
  mutating func addFaulted(kind: UInt16) {
    let place = faultedPlace(kind)
    faulted[place].executions &+= 1
    faulted[place].time &+= lastNet
    faulted[place].waited &+= lastBlocked
    self[.blocked] &-= lastBlocked
    self[.blockedInFault] &+= lastBlocked
  }

  /// More of them than are kept are left to the operators.
  mutating func addPeer(_ time: Int64, kind: UInt16, culprit: UInt16) {
    var place = peers.firstIndex { $0.kind == kind && $0.culprit == culprit }
    if place == nil, peers.count < Self.peerLimit {
      peers.append(PeerOffCPU(kind: kind, culprit: culprit))
      place = peers.count - 1
    }
    guard let place else { return }
    peers[place].count &+= 1
    peers[place].time &+= time
  }

  /// The main thread waited for one whose operator had page faults.
  mutating func addPeerFault(_ time: Int64, kind: UInt16, use: TimeUse) {
    guard time > 0 else { return }
    self[use] &+= time
    faulted[faultedPlace(kind)].waited &+= time
  }

  private mutating func faultedPlace(_ kind: UInt16) -> Int {
    if let known = faulted.firstIndex(where: { $0.kind == kind }) { return known }
    faulted.append(FaultedOperators(kind: kind))
    return faulted.count - 1
  }
}
