import TraceModel

/// Facts about a recording that do not come from its events; nil where the trace does not tell.
public struct RecordingFacts: Sendable {
  public var command: [String] = []
  public var cpuModel: String?
  public var cpuCount: Int?
  public var threadNames: [ThreadID: String] = [:]
  /// Processes of the target.
  public var processes: Set<UInt32> = []
  /// From the first to the last record, nanoseconds.
  public var duration: Int64?
  /// CPU time of the recorder, nanoseconds.
  public var recorderTime: Int64?
  /// Expected time of all probe hits in the target's threads, nanoseconds.
  public var probeTime: Int64?
  /// True when that is by prices measured on the recording machine.
  public var isProbeTimeMeasured = false
  public var lostRecords: UInt64 = 0
  /// False when the trace was cut short.
  public var isComplete = true
  /// Counters with values behind records.
  public var counters: [CounterColumn] = []
  /// Share of the time that a counter had a register, on the CPU where it was least, by column; only what was
  /// multiplexed.
  public var multiplexed: [Int: Double] = [:]
  /// Roles and functions of sites that never fired although their neighbours did.
  public var silentSites: [String] = []
  /// What the CPUs of a kind are called, by CPU number, and thermal zones by index.
  public var clusters: [Int: String] = [:]
  /// Speed of the CPUs relative to each other, by CPU number; nothing where the machine does not tell.
  public var capacities: [Int: Int] = [:]
  public var thermalZones: [Int: String] = [:]
  public var machine = RooflineModel.Machine()

  public init() {}
}

/// The page to read first: how fast a run was and where its time went.
public struct Summary: Sendable {
  /// Where the wall time of the steps of one phase went, on the main thread. Nanoseconds.
  public struct PhaseTime: Sendable {
    public var phase: Phase
    public var steps: Int
    /// nil where one of the steps did not tell.
    public var tokens: Int?
    public var wall: Int64
    /// Sums over the steps.
    public var time: StepTime
    /// Sums over the steps, each of all its threads; empty without counters.
    public var counters = CounterTotals()
    /// Smallest accounted share of a step, and the step.
    public var worstAccounted: (share: Double, step: Int)?

    /// Of the wall time, under a name; nil without wall time.
    public var accounted: Double? { wall > 0 ? Double(time.accounted) / Double(wall) : nil }
    /// Nanoseconds without a name.
    public var unaccounted: Int64 { wall &- time.accounted }
  }

  /// Time of an operator type, with its share of the two phases that matter most.
  public struct OperatorShare: Sendable {
    public var row: OperatorTable.Row
    public var prefillShare: Double?
    public var decodeShare: Double?
  }

  /// Main-thread operator time of a part of the model.
  public struct PartShare: Sendable {
    public var part: ModelPart
    public var total: Int64
    public var share: Double?
    public var prefillShare: Double?
    public var decodeShare: Double?
  }

  public struct Coverage: Sendable {
    /// Mean over the steps that have one, and the smallest; nil without structure or operators.
    public var mean: Double?
    public var worst: (share: Double, step: Int)?
    /// Operators of which the end is a guess.
    public var repaired: UInt64 = 0
    public var incompleteSteps = 0
    public var lossGaps = 0
    public var cutExpertActivations = 0
  }

  /// Of the slowest steps, and what they took longer at least, relative to what was expected.
  private static let shownSlowest = 3
  private static let leastSurprise = 0.1

  /// Steps counted in operators, parts, threads and wall time: all but warm-up.
  public static let phases = Set(Phase.allCases).subtracting([.warmup])

  public var facts: RecordingFacts
  public var models: [ModelShape]
  public var speed: Speed
  /// Phases that occurred, warm-up too, in the order of `Phase`.
  public var phaseTimes: [PhaseTime]
  public var operators: [OperatorShare]
  public var parts: [PartShare]
  public var threads: [ThreadTable.Row]
  public var wallTime: Int64
  public var graphThreads: Int
  public var expertActivations: Int
  /// How the experts of each model were used; empty without routing.
  public var expertUses: [ExpertUse]
  /// What is missing in it.
  public var expertRemarks: [String]
  public var coverage: Coverage
  public var hasGraphs: Bool
  public var hasOperators: Bool
  public var scheduler: SchedulerStatistics
  public var backends: BackendStatistics
  /// Operator types that were enqueued for devices, most time first; the time is not the device's.
  public var enqueued: [OperatorTable.Row]
  public var speculation: SpeculationStatistics
  public var speculationCost: SpeculationCost
  /// kHz by cluster, and thousandths of a degree by zone; empty where not recorded.
  public var frequencies: [SeriesSummary]
  public var temperatures: [SeriesSummary]
  /// Intervals without operator probes.
  public var probeGaps: [ProbeGap]
  public var generation = Generation()
  /// How token steps grow with the context; empty where that cannot be told.
  public var drifts: [ContextDrift]
  /// Token steps that took most longer than expected, the worst first.
  public var slowest: [Explanation]
  /// Who took CPUs from the target; nil without the scheduler's events.
  public var interference: Interference?
  /// What page faults cost; nil where they were not counted.
  public var faultCosts: FaultCosts?
  /// How evenly threads share operators, by type.
  public var imbalances: [ThreadMeetings.Imbalance]
  public var meetings: ThreadMeetings
  /// Each phase beside the machine's ceilings, but warm-up.
  public var rooflines: [PhaseRoofline] = []
  /// Largest effect first.
  public var findings: [Finding] = []

  public init(_ statistics: RunStatistics, facts: RecordingFacts) {
    self.facts = facts
    let steps = statistics.steps.steps
    models = statistics.models.models
    speed = Speed(steps: steps)
    phaseTimes = Phase.allCases.compactMap { Self.phaseTime($0, statistics.steps) }

    let all = OperatorTable(statistics.operators, phases: Self.phases)
    let prefill = OperatorTable(statistics.operators, phases: [.prefill])
    let decode = OperatorTable(statistics.operators, phases: [.decode])
    wallTime = all.wallTime
    func share(_ row: OperatorTable.Row, _ table: OperatorTable) -> Double? {
      guard table.wallTime > 0 else { return nil }
      return table.rows.first { $0.op == row.op && $0.type == row.type }?.share ?? 0
    }
    enqueued = all.rows.filter(\.isEnqueue)
    operators = all.rows.filter { !$0.isEnqueue }.map {
      OperatorShare(row: $0, prefillShare: share($0, prefill), decodeShare: share($0, decode))
    }
    parts = Self.parts(statistics.operators)
    threads =
      ThreadTable(
        statistics.operators, phases: Self.phases, names: facts.threadNames,
        scheduler: statistics.scheduler, meetings: statistics.accounts.threads, clusters: facts.clusters
      ).rows
    scheduler = statistics.scheduler
    backends = statistics.backends
    speculation = statistics.speculation
    speculationCost = SpeculationCost(statistics.speculation.all, steps: steps)
    let decoding = Self.decoding(steps)
    frequencies = statistics.readings.frequencies(clusters: facts.clusters, decoding: decoding)
    temperatures = statistics.readings.temperatures(zones: facts.thermalZones, decoding: decoding)
    probeGaps = statistics.readings.probeGaps
    graphThreads = statistics.graphThreads
    expertActivations = statistics.expertActivations
    expertUses = statistics.expertUse.uses
    expertRemarks = statistics.expertUse.remarks
    hasGraphs = steps.contains { $0.graphCount > 0 }
    hasOperators = !operators.isEmpty || steps.contains { $0.operatorCount > 0 }

    let explainer = Explainer(statistics.accounts, facts: facts)
    generation = explainer.generation
    drifts = explainer.drifts
    slowest = explainer.slowest(Self.shownSlowest, least: Self.leastSurprise)
    interference = explainer.interference
    faultCosts = explainer.faultCosts
    imbalances = explainer.imbalances
    meetings = statistics.accounts.threads

    coverage = Coverage()
    coverage.lossGaps = statistics.lossGaps
    coverage.cutExpertActivations = statistics.cutExpertActivations
    coverage.incompleteSteps = steps.count { !$0.isComplete }
    coverage.repaired = all.rows.reduce(0) { $0 &+ $1.totals.repaired }
    let covered = steps.compactMap { step in step.coverage.map { (share: $0, step: step.index) } }
    if !covered.isEmpty {
      coverage.mean = covered.reduce(0) { $0 + $1.share } / Double(covered.count)
      coverage.worst = covered.min { ($0.share, $0.step) < ($1.share, $1.step) }
    }
    rooflines = phaseTimes.filter { Self.phases.contains($0.phase) }.compactMap { time in
      PhaseRoofline(
        statistics.operators, graphs: statistics.graphUse, time: time, steps: steps, machine: facts.machine)
    }
    findings = Finding.all(self)
  }

  /// From the first step that generates to the end of the last one.
  private static func decoding(_ steps: [TokenStep]) -> TimeRange? {
    let generating = steps.filter { $0.phase == .decode || $0.phase == .draft || $0.phase == .verify }
    guard let start = generating.map(\.range.start).min(), let end = generating.map(\.range.end).max() else {
      return nil
    }
    return TimeRange(start: start, end: end)
  }

  private static func phaseTime(_ phase: Phase, _ statistics: StepStatistics) -> PhaseTime? {
    let steps = statistics.steps.filter { $0.phase == phase }
    guard !steps.isEmpty else { return nil }
    var result = PhaseTime(phase: phase, steps: steps.count, tokens: 0, wall: 0, time: StepTime())
    for step in steps {
      let time = statistics.time(ofStep: step.index)
      let wall = max(step.range.duration, 0)
      result.wall &+= wall
      result.time.add(time)
      if let counters = statistics.counters(of: step) { result.counters.add(counters) }
      if let sum = result.tokens, let count = step.tokenCount {
        result.tokens = sum &+ count
      } else {
        result.tokens = nil
      }
      if wall > 0, step.isComplete {
        let share = Double(time.accounted) / Double(wall)
        if share < result.worstAccounted?.share ?? .infinity { result.worstAccounted = (share, step.index) }
      }
    }
    return result
  }

  private static func parts(_ statistics: OperatorStatistics) -> [PartShare] {
    func sums(_ phases: Set<Phase>) -> [ModelPart: Int64] {
      var result: [ModelPart: Int64] = [:]
      for (slot, node) in statistics.totals(of: phases).nodes.enumerated() where node.count > 0 {
        result[statistics.catalog.entries[slot].part, default: 0] &+= node.total
      }
      return result
    }
    let (all, prefill, decode) = (sums(phases), sums([.prefill]), sums([.decode]))
    func share(_ sums: [ModelPart: Int64], _ part: ModelPart, _ phases: Set<Phase>) -> Double? {
      let wall = statistics.wallTime(of: phases)
      return wall > 0 ? Double(sums[part] ?? 0) / Double(wall) : nil
    }
    return all.keys.map { part in
      PartShare(
        part: part, total: all[part] ?? 0, share: share(all, part, phases),
        prefillShare: share(prefill, part, [.prefill]), decodeShare: share(decode, part, [.decode]))
    }.sorted { ($1.total, $0.part.rawValue) < ($0.total, $1.part.rawValue) }
  }
}

extension StepTime {
  mutating func add(_ other: StepTime) {
    operators &+= other.operators
    barrier &+= other.barrier
    graphs &+= other.graphs
    backendGraphs &+= other.backendGraphs
    notProbed &+= other.notProbed
    setup &+= other.setup
    betweenGraphs &+= other.betweenGraphs
    finish &+= other.finish
    graphOverhead &+= other.graphOverhead
    sampling &+= other.sampling
    outside &+= other.outside
  }
}
