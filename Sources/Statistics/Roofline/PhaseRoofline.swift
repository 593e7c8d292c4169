import TraceModel

/// An operator type or a node beside the machine's ceilings: a point of a roofline.
public struct RooflinePoint: Sendable, Equatable {
  /// Of the node; empty for an operator type.
  public var name: String
  public var op: String
  public var type: String?
  public var count: UInt64
  public var performance: Performance
}

/// One phase of a run beside the machine's ceilings, and the verdict on it.
public struct PhaseRoofline: Sendable {
  public var phase: Phase
  public var model: RooflineModel
  public var steps: Int
  /// nil where one of the steps did not tell.
  public var tokens: Int?
  /// The phase as a whole: over the wall time of its steps, without what probes added where that is known.
  public var whole: Performance
  /// Shares of that wall time, 0…1.
  public var shares: Shares
  /// What a counter of the processor says was moved; nil without such a counter.
  public var countedBytes: Int64?
  /// Instructions a cycle of all threads; nil without both counters.
  public var instructionsPerCycle: Double?
  public var operators: [RooflinePoint]
  public var nodes: [RooflinePoint]
  public var verdict: Verdict

  public struct Shares: Sendable, Equatable {
    /// On the main thread: in operators, waiting at barriers, and the rest.
    public var operators = 0.0
    /// The part of `operators` that is in ones so short that starting them weighs as much as their work.
    public var shortOperators = 0.0
    public var barriers = 0.0
    public var rest: Double { max(1 - operators - barriers, 0) }
    /// In graphs of other backends than the CPU's.
    public var elsewhere = 0.0
    /// Of the time in operators: those whose bytes and FLOPs are known.
    public var known = 0.0
    /// Of the operators that the graphs ask for, those that were seen; nil where that is not known.
    public var coverage: Double?
  }

  /// - Parameters:
  ///   - time: of the phase's steps.
  ///   - steps: of the run.
  /// - Returns: nil for a phase without wall time.
  public init?(
    _ statistics: OperatorStatistics, graphs: GraphUse, time: Summary.PhaseTime, steps: [TokenStep],
    machine: RooflineModel.Machine
  ) {
    guard time.wall > 0 else { return nil }
    phase = time.phase
    self.steps = time.steps
    tokens = time.tokens
    model = RooflineModel(statistics, graphs: graphs, machine: machine, phases: [time.phase])
    let table = OperatorTable(statistics, phases: [time.phase], roofline: model)
    operators = table.rows.compactMap { row in
      row.performance.map {
        RooflinePoint(name: "", op: row.op, type: row.type, count: row.totals.count, performance: $0)
      }
    }
    nodes = NodeTable(statistics, phases: [time.phase], roofline: model).rows.compactMap { row in
      row.performance.map {
        RooflinePoint(name: row.name, op: row.op, type: row.type, count: row.totals.count, performance: $0)
      }
    }
    (whole, shares) = Self.whole(statistics, model, time)
    let use = graphs.use(of: [time.phase])
    shares.elsewhere = Double(use.elsewhere) / Double(time.wall)
    let coverages = steps.filter { $0.phase == time.phase }.compactMap(\.coverage)
    shares.coverage = coverages.isEmpty ? nil : coverages.reduce(0, +) / Double(coverages.count)
    countedBytes = machine.traffic.flatMap { $0.bytes(time.counters) }
    instructionsPerCycle = Self.instructionsPerCycle(time.counters, machine.counters)
    verdict = Verdict(bound: .unclear, evidence: "")
    verdict = Verdict(self, machine: machine)
  }

  private static func whole(
    _ statistics: OperatorStatistics, _ model: RooflineModel, _ time: Summary.PhaseTime
  ) -> (Performance, Shares) {
    var work = OperatorWork(bytes: 0, flops: 0)
    var atPeak = 0.0
    var hasAllPeaks = true
    var inOperators: Int64 = 0
    var inBarriers: Int64 = 0
    var inShort: Int64 = 0
    var known: Int64 = 0
    let sums = statistics.totals(of: [time.phase])
    statistics.forEachSlot(of: [time.phase], sums) { slot, totals, each, balance in
      guard totals.count > 0 else { return }
      var sample = OperatorSample()
      sample.add(totals, each, balance, isFused: statistics.catalog.entries[slot].isFused)
      let performance = model.performance(of: sample)
      let own = totals.total &- (performance.probeTime ?? 0)
      inOperators &+= own
      inBarriers &+= performance.elapsed &- own
      if Double(own) < Judgement.short * Double(totals.count) { inShort &+= own }
      // What is not known counts as nothing, and `known` tells how much of the time that is.
      guard let bytes = sample.work.bytes, let flops = sample.work.flops else { return }
      known &+= own
      work.bytes = work.bytes.map { $0.addingReportingOverflow(bytes).partialValue }
      work.flops = work.flops.map { $0.addingReportingOverflow(flops).partialValue }
      guard flops > 0 else { return }
      if let peak = model.ceilings?.peak(sample.work.arithmetic) {
        atPeak += Double(flops) / peak
      } else {
        hasAllPeaks = false
      }
    }
    let probes = sums.nodes.reduce(0) { $0 &+ $1.total &+ $1.barrier } &- inOperators &- inBarriers
    var whole = Performance(elapsed: max(time.wall &- max(probes, 0), 1))
    var shares = Shares()
    let wall = Double(whole.elapsed)
    shares.operators = Double(inOperators) / wall
    shares.shortOperators = Double(inShort) / wall
    shares.barriers = Double(inBarriers) / wall
    shares.known = inOperators > 0 ? Double(known) / Double(inOperators) : 0
    whole.probeTime = model.probeCost == nil ? nil : probes
    guard known > 0 else { return (whole, shares) }
    whole.bytes = work.bytes
    whole.flops = work.flops
    whole.bytesPerSecond = work.bytes.map { Double($0) * 1e9 / wall }
    whole.flopsPerSecond = work.flops.map { Double($0) * 1e9 / wall }
    whole.memoryShare = model.memoryCeiling.flatMap { ceiling in whole.bytesPerSecond.map { $0 / ceiling } }
    whole.computeShare = hasAllPeaks && model.ceilings != nil ? atPeak * 1e9 / wall : nil
    return (whole, shares)
  }

  private static func instructionsPerCycle(_ totals: CounterTotals, _ columns: [CounterColumn]) -> Double? {
    func column(_ names: Set<String>) -> Int? {
      columns.first { names.contains(String($0.name.prefix { $0 != ":" })) }?.index
    }
    guard let cycles = column(["cycles", "cpu-cycles", "cpu_cycles"]),
      let instructions = column(["instructions", "inst_retired"]),
      let all = totals[cycles], all > 0, let done = totals[instructions],
      totals.counted[cycles] == totals.counted[instructions]
    else { return nil }
    return Double(done) / Double(all)
  }
}
