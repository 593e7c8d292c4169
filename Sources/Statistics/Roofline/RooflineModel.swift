import TraceModel

/// Compares operators with the machine's ceilings: one selection of phases of one run.
public struct RooflineModel: Sendable {
  /// What is known of the machine and of the recording.
  public struct Machine: Sendable {
    public var calibration: Calibration?
    /// nil where it is not known, with the reason.
    public var probeCost: ProbeCost?
    public var probeCostUnknown: String?
    /// CPUs of the target; empty where not recorded. And kinds of CPUs, see `RunCeilings`.
    public var cpus: [Int] = []
    public var kinds: [Int: Int] = [:]
    public var traffic: CountedTraffic?
    public var counters: [CounterColumn] = []

    public init() {}
  }

  /// nil where the machine was not calibrated, or not for such CPUs.
  public let ceilings: RunCeilings?
  public let threads: Int?
  /// Bytes of all weights and caches that the operators use; nil where unknown for some.
  public let workingSet: Int64?
  let probeCost: ProbeCost?

  /// True when weights and caches fit into the last-level cache, so that they are read from there.
  public var isCached: Bool {
    guard let workingSet, let cache = ceilings?.cacheBytes else { return false }
    return workingSet <= cache
  }

  /// Bytes a second that weights and caches can be read with.
  public var memoryCeiling: Double? { isCached ? ceilings?.cache : ceilings?.memory }

  public init(_ statistics: OperatorStatistics, graphs: GraphUse, machine: Machine, phases: Set<Phase>) {
    threads = graphs.threads(of: phases)
    ceilings = machine.calibration.flatMap { calibration in
      graphs.threads(of: phases).flatMap {
        RunCeilings(calibration, threads: $0, allowed: machine.cpus, kinds: machine.kinds)
      }
    }
    probeCost = machine.probeCost
    workingSet = Self.workingSet(statistics, phases)
  }

  private static func workingSet(_ statistics: OperatorStatistics, _ phases: Set<Phase>) -> Int64? {
    struct Key: Hashable {
      var name: String
      var op: String
    }
    // A cache grows from step to step: the largest counts.
    var most: [Key: Int64] = [:]
    for (slot, totals) in statistics.totals(of: phases).nodes.enumerated() where totals.count > 0 {
      let entry = statistics.catalog.entries[slot]
      guard let work = entry.work else { continue }
      guard var bytes = work.persistentBytes else { return nil }
      if case .experts(let all, _, _, let each) = work.varying {
        bytes = all.multipliedReportingOverflow(by: each).partialValue
      }
      let key = Key(name: entry.name, op: entry.op)
      most[key] = max(most[key] ?? 0, bytes)
    }
    guard !most.isEmpty else { return nil }
    return most.values.reduce(0) { $0.addingReportingOverflow($1).partialValue }
  }

  func performance(of sample: OperatorSample) -> Performance {
    let totals = sample.totals
    let raw = totals.total &+ totals.barrier
    var result = Performance(elapsed: raw)
    result.bytes = sample.work.bytes
    result.flops = sample.work.flops
    result.imbalance = sample.balance.executions > 0 ? sample.balance.imbalance : nil
    var waiting = totals.barrier
    if let cost = probeCost {
      let waits = Int64(clamping: totals.waits)
      let others = Int64(clamping: totals.count) &- waits
      let inside =
        cost.insideOperator(isFused: sample.isFused, hasBarrier: true) &* waits
        &+ cost.insideOperator(isFused: sample.isFused, hasBarrier: false) &* others
      let atBarrier = min(cost.insideWait &* waits, totals.barrier)
      result.probeTime = min(inside, totals.total)
      result.elapsed = raw &- min(inside, totals.total) &- atBarrier
      waiting &-= atBarrier
    }
    guard raw > 0, Double(result.elapsed) >= Judgement.leastOwnShare * Double(raw) else { return result }
    let seconds = Double(result.elapsed) / 1e9
    result.bytesPerSecond = result.bytes.map { Double($0) / seconds }
    result.flopsPerSecond = result.flops.map { Double($0) / seconds }
    guard let ceilings else { return result }
    let isMostlyWeights =
      sample.work.persistentBytes.map { 2 * Double($0) >= Double(result.bytes ?? 0) } ?? false
    let memory = isMostlyWeights ? memoryCeiling : ceilings.cache
    result.memoryShare = memory.flatMap { ceiling in result.bytesPerSecond.map { $0 / ceiling } }
    let peak = ceilings.peak(sample.work.arithmetic)
    result.computeShare = peak.flatMap { peak in result.flopsPerSecond.map { $0 / peak } }
    result.bound = bound(
      result, waiting: Double(waiting) / Double(result.elapsed), count: totals.count,
      readsWeights: isMostlyWeights)
    return result
  }

  private func bound(
    _ performance: Performance, waiting: Double, count: UInt64, readsWeights: Bool
  ) -> Bound {
    if waiting >= Judgement.outside { return .overhead }
    let compute = performance.computeShare ?? 0
    var memory = performance.memoryShare
    if let share = memory, share > Judgement.pastCeiling {
      if readsWeights { return .unclear }
      // Results of a moment ago come from nearer caches, so this one is not what limits.
      memory = 0
    }
    if let memory, memory >= Judgement.atCeiling, memory >= compute { return .memory }
    if compute >= Judgement.atCeiling { return .compute }
    let mean = Double(performance.elapsed) / Double(max(count, 1))
    if mean < Judgement.short { return .overhead }
    if let memory, memory < Judgement.farFromMemory, mean >= Judgement.long { return .compute }
    return .unclear
  }
}
