import Statistics
import TraceModel

public struct ComparisonOptions: Sendable {
  /// Share of the steps, the slowest by their whole time, that do not count: what other programs on the machine cost
  /// hits some steps, what a build costs hits all.
  public var leftOut = 0.5
  public var replicates = 500
  public var seed: UInt64 = 1

  public init() {}
}

/// A recording as a comparison takes it.
public struct ComparedRun: Sendable {
  public var facts: RunFacts
  public var samples: StepSamples

  public init(facts: RunFacts, samples: StepSamples) {
    self.facts = facts
    self.samples = samples
  }
}

/// Two sides, each one run or a group of repeated runs, phase by phase.
public struct RunComparison: Sendable {
  public var phases: [PhaseComparison] = []
  public var differences: [Difference]
  public var files: (first: [String], second: [String])
  /// Phases that only one side has, or without comparable steps, with the reason.
  public var notCompared: [(phase: Phase, reason: String)] = []
  /// Steps without an end or partly without operator probes.
  public var skippedSteps: (first: Int, second: Int)

  /// False where the sides did not compute the same model.
  public var isComparable: Bool { !differences.contains(where: \.preventsComparison) }

  /// Steps of all runs of a side that are compared at most.
  private static let mostSteps = 4000

  public init(
    _ first: [ComparedRun], _ second: [ComparedRun], options: ComparisonOptions = ComparisonOptions()
  ) {
    differences = RunFacts.differences(first.map(\.facts), second.map(\.facts))
    files = (first.map(\.facts.file), second.map(\.facts.file))
    skippedSteps = (
      first.reduce(0) { $0 + $1.samples.skippedSteps }, second.reduce(0) { $0 + $1.samples.skippedSteps }
    )
    for phase in Phase.allCases where phase != .warmup { compare(phase, first, second, options) }
    var fusions: [Fusion] = []
    for fusion in phases.flatMap({ Fusion.find($0) }) where !fusions.contains(fusion) {
      fusions.append(fusion)
      differences.append(
        Difference(
          kind: .fusion, first: fusion.first, second: fusion.second,
          meaning: "the same work runs as other operators"))
    }
  }

  private mutating func compare(
    _ phase: Phase, _ first: [ComparedRun], _ second: [ComparedRun], _ options: ComparisonOptions
  ) {
    let sides = [first, second].map { runs in
      runs.filter { !($0.samples.phases[phase]?.steps.isEmpty ?? true) }
    }
    guard sides.contains(where: { !$0.isEmpty }) else { return }
    guard sides.allSatisfy({ !$0.isEmpty }) else {
      notCompared.append((phase, "only in \(sides[1].isEmpty ? "A" : "B")"))
      return
    }
    var nodes: [NodeKey] = []
    var columnOfNode: [NodeKey: Int] = [:]
    let base = TimePart.allCases.count
    let runs = sides.map { side in
      side.map { run -> (steps: [SampledStep], columns: [Int]) in
        var columns = Array(0..<base)
        for node in run.samples.slots.nodes {
          let column = columnOfNode[node] ?? base + nodes.count
          if column == base + nodes.count {
            nodes.append(node)
            columnOfNode[node] = column
          }
          columns.append(column)
        }
        let steps = run.samples.phases[phase]?.steps ?? []
        let stride = max(1, (steps.count * side.count + Self.mostSteps - 1) / Self.mostSteps)
        return (Swift.stride(from: 0, to: steps.count, by: stride).map { steps[$0] }, columns)
      }
    }
    guard let alignment = Alignment(runs[0], runs[1], width: base + nodes.count) else {
      notCompared.append((phase, "no steps of the same number of tokens and positions on both sides"))
      return
    }
    phases.append(PhaseComparer(phase: phase, options: options, nodes: nodes).compare(alignment))
  }

  /// The phase that the first sentence is about: one with a clear change, what generates before prefill.
  public var mainPhase: PhaseComparison? {
    let order: [Phase] = [.decode, .verify, .draft, .prefill, .unknown]
    let ordered = order.compactMap { phase in phases.first { $0.phase == phase } }
    return ordered.first { $0.relativeInterval?.isClear ?? false } ?? ordered.first
  }

  /// The phases as a person reads them: first the one of the first sentence.
  public var phasesForReading: [PhaseComparison] {
    let main = mainPhase?.phase
    return phases.filter { $0.phase == main } + phases.filter { $0.phase != main }
  }
}
