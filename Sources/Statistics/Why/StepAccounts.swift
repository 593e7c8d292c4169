import TraceModel

/// Accounts for the wall time of every token step, on the thread that calls the engine.
///
/// The time is cut into disjoint stretches: operators by kind (`NodeKind`), waits in barriers, the named gaps
/// around them, and the rest (`TimeUse`). What the scheduler's events show to be taken from the thread is
/// taken out of each of these and accounted for on its own, by whom. How waits for other threads are taken
/// apart says `settle`.
///
/// Memory: some 500 bytes for a token step, up to a limit.
public struct StepAccounts: RunVisitor {
  /// In order of their end.
  public internal(set) var steps: [StepAccount] = []
  /// Steps for whose times there was no room.
  public private(set) var omittedSteps = 0
  public internal(set) var threads = ThreadMeetings()
  var residence = CPUResidence()
  var clocks = ClockReadings()
  private(set) var lossGaps: [LossGap] = []

  var kinds = NodeKinds()
  var offCPU = OffCPU()
  var meetings = BarrierMeetings()
  var open: [OpenAccount] = []
  /// Times of the steps: those of `TimeUse`, then the operators by kind.
  var values: [Int64] = []
  var culpritTimes: [CulpritTime] = []
  var faulted: [FaultedOperators] = []
  var peers: [PeerOffCPU] = []
  private var cellsOfStructure: [UInt32: Int32] = [:]
  private var seenExperts = SeenExperts()
  let faultCounters: FaultCounters
  /// Executions of each kind on main threads, and steps that had some.
  private(set) var executions = [Int64](repeating: 0, count: NodeKinds.limit + 1)
  private(set) var executingSteps = [Int64](repeating: 0, count: NodeKinds.limit + 1)

  /// Most values that are kept.
  private let limit: Int
  /// 24 MiB.
  private static let culpritLimit = 1 << 20
  /// Steps at once, each on a thread of its own; a hostile trace may begin any number and never end one.
  private static let openLimit = 64
  private static let gapLimit = 4096

  /// - Parameters:
  ///   - counters: of the recording.
  ///   - limit: most values that are kept; 64 MiB, for some 170,000 steps.
  public init(counters: [CounterColumn] = [], limit: Int = 1 << 23) {
    faultCounters = FaultCounters(counters)
    self.limit = limit
  }

  /// False where the scheduler's events were not recorded.
  public var hasScheduler: Bool { offCPU.isRecorded }
  /// False where page faults were not counted.
  public var hasFaultCounters: Bool { faultCounters.any }

  public mutating func structure(_ structure: GraphStructure) {
    kinds.add(structure)
    if let cells = structure.cacheCells { cellsOfStructure[structure.number] = Int32(clamping: cells) }
  }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    guard span.isMainThread else {
      meetings.add(span, kind: 0)
      return
    }
    let kind = kinds.kind(of: span)
    if span.step >= 0 {
      let place = openIndex(Int(span.step))
      executions[kind] &+= 1
      var time = max(span.range.duration, 0)
      if offCPU.isRecorded {
        let blocked = open[place][.blocked]
        time &-= take(span.thread, span.range, from: .barrier, into: place, waits: true)
        open[place].lastBlocked = open[place][.blocked] &- blocked
      }
      open[place].add(time, kind: kind)
      open[place].lastNet = time
      // Without a structure it is not known which spans of other threads belong to it.
      if span.node < 0 { open[place][.barrier] &+= max(span.barrier.duration, 0) }
    }
    if meetings.add(span, kind: kind) { settle(graph: span.graph, isOver: false) }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard span.step >= 0, faultCounters.any else { return }
    let place = openIndex(Int(span.step))
    let hadFaults = (faultCounters.faults(counters) ?? 0) > 0 || (faultCounters.major(counters) ?? 0) > 0
    if span.isMainThread {
      guard hadFaults else { return }
      open[place].addFaulted(kind: UInt16(truncatingIfNeeded: kinds.kind(of: span)))
    } else {
      if hadFaults { meetings.markFaults(of: span) }
      for delta in [counters, barrier] {
        open[place].peerFaults = FaultCounters.sum(open[place].peerFaults, faultCounters.faults(delta))
        open[place].peerMajorFaults = FaultCounters.sum(
          open[place].peerMajorFaults, faultCounters.major(delta))
      }
    }
  }

  public mutating func threadSlice(_ slice: ThreadSlice) {
    offCPU.add(slice)
    residence.add(slice)
  }

  public mutating func gap(_ gap: GapSpan) {
    guard let step = gap.step else { return }
    let use: TimeUse =
      switch gap.kind {
      case .setup: .setup
      case .betweenGraphs: .betweenGraphs
      case .finish: .finish
      case .graphOverhead: .graphOverhead
      case .notProbed: .notProbed
      case .sampling: .sampling
      case .outsideEngine: .outside
      }
    let time = max(gap.range.duration, 0)
    if !open.contains(where: { $0.step == step }),
      let closed = steps.suffix(64).last(where: { $0.index == step })
    {
      if use.isBehind { values[closed.times.lowerBound + use.rawValue] &+= time }
      return
    }
    let place = openIndex(step)
    if use == .graphOverhead || use == .notProbed { open[place].hasInside = true }
    let taken = offCPU.isRecorded ? take(gap.thread, gap.range, from: use, into: place, waits: false) : 0
    open[place][use] &+= time &- taken
  }

  public mutating func graphRun(_ run: GraphRun) {
    settle(graph: Int32(truncatingIfNeeded: run.index), isOver: true)
    guard let step = run.step else { return }
    let place = openIndex(step)
    if let cells = run.structure.flatMap({ cellsOfStructure[$0] }) {
      open[place].cells = max(open[place].cells, cells)
    }
    guard !run.isCPUGraph || !open[place].hasInside else { return }
    let taken = offCPU.isRecorded ? take(run.thread, run.range, from: .graphs, into: place, waits: false) : 0
    open[place][.graphs] &+= max(run.range.duration, 0) &- taken
  }

  public mutating func experts(_ activation: ExpertActivation) {
    guard activation.step >= 0 else { return }
    let place = openIndex(activation.step)
    for expert in activation.experts {
      open[place].expertUses &+= 1
      if seenExperts.insert(layer: activation.layer, expert) { open[place].firstExpertUses &+= 1 }
    }
  }

  public mutating func reading(_ reading: Reading) { clocks.add(reading) }

  public mutating func lossGap(_ gap: LossGap) {
    if lossGaps.count < Self.gapLimit { lossGaps.append(gap) }
  }

  public mutating func tokenStep(_ step: TokenStep) {
    // Whatever of it is open, its graph's end was lost.
    while let graph = meetings.graph(ofStep: step.index) { settle(graph: graph, isOver: true) }
    let place = openIndex(step.index)
    var account = open[place]
    open.remove(at: place)
    offCPU.forget(step.thread, upTo: step.range.end.nanoseconds)
    for kind in 0..<(account.times.count - TimeUse.allCases.count)
    where account.times[TimeUse.allCases.count + kind] != 0 { executingSteps[kind] &+= 1 }
    account[.unnamed] = TimeUse.allCases.reduce(max(step.range.duration, 0)) {
      $1.isBehind ? $0 : $0 &- account[$1]
    }
    for time in account.times.dropFirst(TimeUse.allCases.count) { account[.unnamed] &-= time }
    guard values.count + account.times.count <= limit else {
      omittedSteps &+= 1
      return
    }
    let (time, culprit, fault, peer) = (values.count, culpritTimes.count, faulted.count, peers.count)
    values += account.times
    // Without room for names, the times are left.
    if culpritTimes.count + account.culprits.count <= Self.culpritLimit { culpritTimes += account.culprits }
    faulted += account.faulted
    peers += account.peers
    let counters = step.counters ?? CounterDelta()
    steps.append(
      StepAccount(
        index: step.index, thread: step.thread, context: step.context, phase: step.phase, range: step.range,
        tokenCount: step.tokenCount,
        place: ContextPlace(position: step.position, cells: account.cells < 0 ? nil : Int(account.cells)),
        isComplete: step.isComplete, hasOperatorProbes: step.hasOperatorProbes,
        expertUses: account.expertUses > 0 ? account.expertUses : nil,
        firstExpertUses: account.expertUses > 0 ? account.firstExpertUses : nil,
        faults: FaultCounters.sum(faultCounters.faults(counters), account.peerFaults),
        majorFaults: FaultCounters.sum(faultCounters.major(counters), account.peerMajorFaults),
        times: time..<values.count, culprits: culprit..<culpritTimes.count, faulted: fault..<faulted.count,
        peers: peer..<peers.count))
  }

  mutating func openIndex(_ step: Int) -> Int {
    if let last = open.last, last.step == step { return open.count - 1 }
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    if open.count >= Self.openLimit { open.removeFirst() }
    open.append(OpenAccount(step: step))
    return open.count - 1
  }

  /// Accounts for what was taken from a thread in an interval of one use.
  ///
  /// - Parameter waits: whether its waiting for a disk or a lock counts, too. Elsewhere a thread may wait by
  ///   design: for a device, or for the next request.
  /// - Returns: the sum, nanoseconds.
  mutating func take(
    _ thread: ThreadID, _ range: TimeRange, from use: TimeUse, into place: Int, waits: Bool
  ) -> Int64 {
    offCPU.find(thread, from: range.start.nanoseconds, to: range.end.nanoseconds)
    var sum: Int64 = 0
    for (stretch, time) in offCPU.found {
      if stretch.isRunnable {
        open[place].add(
          time, culprit: stretch.culprit, use: stretch.isMigration ? use.migration : use.preemption)
      } else if waits {
        open[place][.blocked] &+= time
      } else {
        continue
      }
      sum &+= time
    }
    return sum
  }
}

extension TimeUse {
  /// What a preemption in a stretch of this use is.
  fileprivate var preemption: TimeUse {
    switch self {
    case .sampling: .samplingPreemption
    case .outside: .outsidePreemption
    default: .preemption
    }
  }
  fileprivate var migration: TimeUse {
    switch self {
    case .sampling: .samplingMigration
    case .outside: .outsideMigration
    default: .migration
    }
  }
}
