import TraceModel

/// What limits a phase, with the numbers that show it, or why that cannot be told.
public struct Verdict: Sendable, Equatable {
  public var bound: Bound
  /// One or more sentences.
  public var evidence: String

  /// `memory-bound` and so on.
  public var headline: String {
    switch bound {
    case .memory: "memory-bound"
    case .compute: "compute-bound"
    case .overhead: "overhead-bound"
    case .unclear: "cannot tell"
    }
  }

  init(bound: Bound, evidence: String) {
    self.bound = bound
    self.evidence = evidence
  }

  init(_ roofline: PhaseRoofline, machine: RooflineModel.Machine) {
    let judge = Judge(roofline: roofline, machine: machine)
    if let (bound, evidence) = judge.withoutCeilings {
      self.init(bound: bound, evidence: evidence)
    } else if let ceilings = roofline.model.ceilings {
      let (bound, evidence) = judge.verdict(ceilings)
      self.init(bound: bound, evidence: evidence + judge.remarks(ceilings))
    } else {
      self.init(bound: .unclear, evidence: "\(judge.speed). \(judge.notMeasured)")
    }
  }
}

/// Weighs one phase.
private struct Judge {
  let roofline: PhaseRoofline
  let machine: RooflineModel.Machine

  private var shares: PhaseRoofline.Shares { roofline.shares }
  private var whole: Performance { roofline.whole }

  /// What shows without knowing the machine; nil where nothing does.
  var withoutCeilings: (Bound, String)? {
    if let reason = insufficient { return (.unclear, reason) }
    return outside >= Judgement.outside ? (.overhead, overhead) : nil
  }

  /// Share of the wall time that is not work.
  private var outside: Double { 1 - shares.operators + shares.shortOperators }

  func verdict(_ ceilings: RunCeilings) -> (Bound, String) {
    guard let memory = whole.memoryShare else {
      return (.unclear, speed + ". The speed of reading from the cache was not measured.")
    }
    let compute = whole.computeShare ?? 0
    if memory > Judgement.pastCeiling {
      return (.unclear, reading(ceilings, memory) + ": more than memory gives, so it comes from caches.")
    }
    if memory >= Judgement.atCeiling, memory >= compute {
      return (.memory, reading(ceilings, memory) + arithmetic + ".")
    }
    if compute >= Judgement.atCeiling { return (.compute, calculating(ceilings, compute, memory)) }
    if memory < Judgement.farFromMemory {
      if outside <= Judgement.fewOutside { return (.compute, elimination(ceilings, memory)) }
      return (
        .unclear,
        reading(ceilings, memory) + arithmetic + ", but \(percent(outside)) of the time is around"
          + " operators or in very short ones."
      )
    }
    if let busy = roofline.instructionsPerCycle {
      if busy >= Judgement.busyCycle {
        return (.compute, reading(ceilings, memory) + ", and its cores do not wait: \(cycle(busy)).")
      }
      if busy <= Judgement.waitingCycle {
        return (.memory, reading(ceilings, memory) + ", and its cores wait: \(cycle(busy)).")
      }
      return (
        .unclear,
        reading(ceilings, memory) + arithmetic + "; \(cycle(busy)) is neither waiting nor busy."
      )
    }
    return (
      .unclear,
      reading(ceilings, memory) + arithmetic
        + ": neither is near. Instructions or latency: `--pmc cycles,instructions` would tell."
    )
  }

  /// Why nothing can be said at all.
  private var insufficient: String? {
    if shares.elsewhere >= Judgement.elsewhere {
      return
        "\(formatShare(shares.elsewhere)) of the time is in graphs of other backends than the CPU's, whose operators"
        + " are not seen."
    }
    if roofline.operators.isEmpty { return "Operators were not recorded." }
    if shares.known < Judgement.known {
      return shares.known == 0
        ? "The structure of the graphs was not recorded, so what operators move and compute is not known."
        : "What operators move and compute is known for \(formatShare(shares.known)) of their time only."
    }
    if let coverage = shares.coverage, coverage < Judgement.coverage {
      return "Only \(formatShare(coverage)) of the operators were seen."
    }
    return nil
  }

  var notMeasured: String {
    machine.calibration == nil
      ? "What this machine can do at most was not measured: pi-record calibrate, or --ceilings FILE."
      : "What was measured of this machine says nothing of the CPUs that the target used."
  }

  private var unit: (name: String, count: Int) {
    if roofline.phase == .decode, let tokens = roofline.tokens, tokens > 0 { return ("token", tokens) }
    return ("step", max(roofline.steps, 1))
  }

  private func each(_ bytes: Int64) -> String {
    "\(formatRate(Double(bytes) / Double(unit.count), "B")) a \(unit.name)"
  }

  var speed: String {
    guard let bytes = whole.bytes, let rate = whole.bytesPerSecond, let flops = whole.flopsPerSecond else {
      return "What it moves is not known"
    }
    return "It moves \(each(bytes)) at \(formatRate(rate, "B/s")) and computes \(formatRate(flops, "FLOP/s"))"
  }

  private func reading(_ ceilings: RunCeilings, _ share: Double) -> String {
    let rate = formatRate(roofline.model.memoryCeiling ?? 0, "B/s")
    let from = roofline.model.isCached ? "reads from its last-level cache" : "reads"
    return
      "It moves \(each(whole.bytes ?? 0)) at \(formatRate(whole.bytesPerSecond ?? 0, "B/s")), \(percent(share))"
      + " of the \(rate) that this machine \(from) with \(formatCount(ceilings.threads, "thread"))"
  }

  private var arithmetic: String {
    whole.computeShare.map { "; its arithmetic is \(percent($0)) of the peak" }
      ?? "; what such arithmetic can reach was not measured"
  }

  private func calculating(_ ceilings: RunCeilings, _ compute: Double, _ memory: Double) -> String {
    "It computes \(formatRate(whole.flopsPerSecond ?? 0, "FLOP/s")), \(percent(compute)) of what this machine does at"
      + " most with \(formatCount(ceilings.threads, "thread")); memory is used at \(percent(memory))."
  }

  private func elimination(_ ceilings: RunCeilings, _ memory: Double) -> String {
    let speed = roofline.model.isCached ? "the last-level cache's speed" : "the memory's speed"
    let peak = whole.computeShare.map {
      "they reach \(percent($0)) of their peak, the rest goes into other instructions"
    }
    return "It needs \(percent(memory)) of \(speed) with \(formatCount(ceilings.threads, "thread")), and"
      + " \(percent(shares.operators)) of the time is in operators, so what is left is the cores' own work: at"
      + " \(formatRate(whole.flopsPerSecond ?? 0, "FLOP/s")) \(peak ?? "of a peak that was not measured")."
  }

  private var overhead: String {
    var parts = [
      "\(percent(shares.barriers)) in waits at barriers", "\(percent(shares.rest)) around the graphs",
    ]
    if shares.shortOperators >= 0.01 {
      parts.append(
        "\(percent(shares.shortOperators)) in operators of less than \(formatDuration(Int64(Judgement.short))), about"
          + " what starting one takes")
    }
    return "\(percent(1 - shares.operators + shares.shortOperators)) of the wall time is no work: "
      + parts.joined(separator: ", ") + "."
  }

  private func cycle(_ value: Double) -> String { "\(formatDecimal(value, digits: 2)) instructions a cycle" }

  private func percent(_ share: Double) -> String {
    share < 0.0995 ? formatShare(share) : formatDecimal(share * 100, digits: 0) + " %"
  }

  /// What makes the verdict weaker, or what else was counted.
  func remarks(_ ceilings: RunCeilings) -> String {
    var text = ""
    if let counted = roofline.countedBytes, let traffic = machine.traffic, let bytes = whole.bytes, bytes > 0
    {
      text +=
        " \(traffic.column.name) counted \(each(counted)), \(percent(Double(counted) / Double(bytes))) of that."
    }
    if let remark = ceilings.remark { text += " The ceilings are \(remark)." }
    if ceilings.isDisturbed {
      text += " Other programs ran while they were measured: the machine may do better."
    } else if ceilings.spread > 0.15 {
      text += " Measured several times they differed by \(percent(ceilings.spread))."
    }
    if let set = roofline.model.workingSet, let cache = ceilings.cacheBytes, !roofline.model.isCached,
      set < 2 * cache
    {
      text +=
        " Of the \(formatBytes(set)) that it reads again and again, up to \(formatBytes(cache)) may be in the"
        + " last-level cache."
    }
    return text
  }
}
