import TraceModel

/// What the model and the way it is run cost.
extension Finding {
  /// Time of the generation spent in samplers, or outside of the engine.
  static let betweenStepsLimit = 0.1
  /// Time of decode steps in the head.
  static let headLimit = 0.15
  /// Bits a weight of the usual small types: 4 and a scale for 32 of them.
  private static let smallBits = 4.5
  /// Share of the generation that the context costs, from which it is worth a finding.
  static let contextLimit = 0.1
  /// Likewise, that CPU graphs between graphs of another backend, or page faults, cost.
  static let fallbackLimit = 0.02
  static let faultLimit = 0.02

  static func sampling(_ summary: Summary) -> Finding? {
    let generation = summary.generation
    guard generation.time > 0 else { return nil }
    let share = Double(generation.sampling) / Double(generation.time)
    guard share > betweenStepsLimit else { return nil }
    return Finding(
      name: "sampling",
      evidence: "sampling takes \(formatShare(share)) of the generation"
        + " (\(formatDuration(generation.sampling / Int64(max(generation.steps, 1)))) a token).",
      advice: "Fewer samplers in the chain, or a smaller top-k before the costly ones, make tokens faster.",
      effect: generation.effect(generation.sampling))
  }

  static func outside(_ summary: Summary) -> Finding? {
    let generation = summary.generation
    guard generation.time > 0 else { return nil }
    let share = Double(generation.outside) / Double(generation.time)
    guard share > betweenStepsLimit else { return nil }
    return Finding(
      name: "outside-engine",
      evidence: "between token steps, \(formatShare(share)) of the generation is the caller's own code"
        + " (\(formatDuration(generation.outside / Int64(max(generation.steps, 1)))) a token): neither steps nor samplers.",
      advice:
        "Look at what the program does with each token: detokenising, callbacks, streaming, a slow reader.",
      effect: generation.effect(generation.outside))
  }

  static func contextGrowth(_ summary: Summary) -> Finding? {
    guard let drift = summary.drifts.first, let growth = drift.growth, drift.last > drift.first else {
      return nil
    }
    let cost = drift.mean &- drift.first
    guard Double(cost) > contextLimit * Double(drift.mean),
      drift.fit.spread < Double(drift.last &- drift.first)
    else { return nil }
    var evidence =
      "a \(drift.phase.rawValue) step takes \(formatDuration(drift.first)) at position \(drift.positions.lowerBound) and"
      + " \(formatDuration(drift.last)) at \(drift.positions.upperBound) (+\(formatShare(growth)))"
    if let carrier = drift.carriers.first {
      evidence +=
        "; \(carrier.name) carries"
        + " \(formatShare(Double(carrier.growth) / Double(drift.last &- drift.first))) of that"
    }
    let usesFlash = summary.models.contains { $0.hints.contains("flash attention") }
    return Finding(
      name: "context-growth", evidence: evidence + ".",
      advice: (usesFlash ? "" : "Flash attention (-fa on) reads the cache once. ")
        + "A smaller type of the key-value cache (-ctk, -ctv) or a shorter context makes attention cheaper.",
      effect: summary.generation.effect(cost &* Int64(drift.steps)))
  }

  static func head(_ summary: Summary) -> Finding? {
    guard let head = summary.parts.first(where: { $0.part == .head }), let share = head.decodeShare,
      share > headLimit
    else { return nil }
    let weights = summary.models.lazy.compactMap {
      $0.weights["output.weight"] ?? $0.weights["token_embd.weight"]
    }
    .first
    var evidence = "the head takes \(formatShare(share)) of the decode steps"
    if let weights {
      evidence += ": it reads \(formatBytes(weights.bytes)) of \(weights.type) for each token"
    }
    let vocabulary = summary.models.lazy.compactMap(\.vocabularySize).first
    if let vocabulary { evidence += ", for a vocabulary of \(vocabulary)" }
    let bits = weights.flatMap { Self.bits(ofType: $0.type) }
    let effect = bits.flatMap { summary.generation.effect(share: share * (1 - smallBits / $0)) }
    return Finding(
      name: "head", evidence: evidence + ".",
      advice: effect == nil
        ? "A model with a smaller vocabulary, or smaller weights in the head, has less to read."
        : "If its time follows its bytes, \(formatDecimal(smallBits, digits: 1)) bits a weight (q4_0, q4_K) take that"
          + " much less: quantise with --output-tensor-type (and --token-embedding-type where they are shared).",
      effect: effect)
  }

  /// Bits of one weight; nil for types that are not known to be larger than the usual small ones.
  private static func bits(ofType type: String) -> Double? {
    switch type {
    case "f32": 32
    case "f16", "bf16": 16
    case "q8_0", "q8_1": 8.5
    case "q6_K": 6.5625
    case "q5_0", "q5_K", "q5_1": 5.5
    default: nil
    }
  }

  static func fallback(_ summary: Summary) -> Finding? {
    let islands = summary.backends.islands.filter { $0.phase.generates }
    let cost = islands.reduce(Int64(0)) { $0 &+ $1.total &+ $1.around }
    guard let worst = islands.max(by: { $0.total &+ $0.around < $1.total &+ $1.around }),
      let effect = summary.generation.effect(cost), effect.share > fallbackLimit
    else { return nil }
    let each = Double(islands.reduce(0) { $0 &+ $1.count }) / Double(summary.generation.steps)
    return Finding(
      name: "cpu-fallback",
      evidence:
        "\(formatDecimal(each, digits: 1)) times a token step, the graph goes from \(worst.before) to the CPU and"
        + " back, for \(formatDuration(effect.time)) a step; most of all for"
        + " \(worst.operators.map { $0.isEmpty ? "nothing" : $0 } ?? "operators that were not recorded").",
      advice:
        "The backend lacks these operators, or their tensors are kept on the CPU: another quantisation or backend"
        + " version may have them. `prof-analyze backends --islands` lists all.", effect: effect)
  }

  static func experts(_ summary: Summary) -> Finding? {
    guard let costs = summary.faultCosts, let effect = summary.generation.effect(costs.experts),
      effect.share > faultLimit, costs.majorFaults ?? 0 > 0
    else { return nil }
    var evidence =
      "operators that read experts took \(formatDuration(costs.experts)) longer where they had page faults;"
      + " \(costs.majorFaults ?? 0) of \(formatCount(costs.faults, "fault")) read a disk"
    if costs.firstExpertUses > 0 {
      evidence += "; \(formatCount(costs.firstExpertUses, "routing")) was to an expert for the first time"
    }
    return Finding(
      name: "disk-bound-experts", evidence: evidence + ".",
      advice:
        "The experts do not stay in memory: free memory, quantise smaller, or lock the model in it (--mlock)"
        + " where it fits.", effect: effect)
  }

  static func pageFaults(_ summary: Summary) -> Finding? {
    guard let costs = summary.faultCosts, let effect = summary.generation.effect(costs.operators),
      effect.share > faultLimit
    else { return nil }
    let disk =
      costs.majorFaults.map { $0 > 0 ? "\($0) of them read a disk" : "none of them read a disk" }
      ?? "whether they read a disk was not counted"
    return Finding(
      name: "page-faults",
      evidence: "operators with page faults took \(formatDuration(costs.operators)) longer than without"
        + " (\(formatCount(costs.faults, "fault")) in \(formatCount(costs.steps, "step")); \(disk)).",
      advice:
        "Weights are touched for the first time, or do not stay in memory: warm up, or lock the model in memory"
        + " (--mlock) where it fits.", effect: effect)
  }
}
