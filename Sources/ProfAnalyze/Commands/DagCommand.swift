import ArgumentParser
import OperatorGraph
import Statistics
import TraceModel

struct DagCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dag", abstract: "Draws the operator graph of a token step, with the time of each operator.",
    discussion: """
      Without --token it is the first whole decode step (or the first step that there is). Draw DOT with
      `dot -Tsvg FILE > FILE.svg`. A step computed as several graphs shows the largest.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case dot, json }

  @OptionGroup var input: TraceArgument

  @Option(name: .shortAndLong, help: ArgumentHelp("File to write; - for standard output.", valueName: "file"))
  var output: String

  @Option(help: "dot: Graphviz; json: nodes and edges for programs.")
  var format = Format.dot

  @Option(help: ArgumentHelp("The token step, by the numbers of `tokens`.", valueName: "step"))
  var token: Int?

  @Flag(help: "Every tensor, views too, with the edges of the engine; otherwise only what is executed.")
  var raw = false

  @Flag(help: "Draw weights, inputs and caches too (DOT; JSON always has them).")
  var constants = false

  func validate() throws {
    if let token, token < 0 { throw ValidationError("--token counts from 0.") }
  }

  func run() throws {
    let trace = try input.open()
    var collector = GraphCollector(wanted: token)
    let statistics = try trace.read(into: &collector)
    guard let choice = collector.choice else {
      if let token {
        complain("\(trace.file.name): no graph of token step \(token); `prof-analyze tokens` lists the steps")
        throw ExitCode(ExitStatus.usage)
      }
      complain(
        "\(trace.file.name): holds no structure of a graph: recorded with --no-structure or below --level"
          + " graph, or the target computed nothing")
      throw ExitCode(ExitStatus.partial)
    }
    let graph = OperatorGraph(choice.structure, form: raw ? .raw : .collapsed, fused: choice.fused)
    let sink = try Output.file(output, reading: input.trace)
    switch format {
    case .dot:
      try sink.write(
        graph.dot(DOTOptions(durations: choice.durations, showsConstants: constants, title: choice.title)))
    case .json: try sink.write(graph.json(durations: choice.durations))
    }
    try sink.close()
    if choice.graphCount > 1 {
      complain(
        "\(trace.file.name): the step was computed as \(choice.graphCount) graphs; this is the largest")
    }
    if !choice.structure.isComplete {
      complain("\(trace.file.name): records of this graph's structure are missing, and edges with them")
    }
    try trace.finish(statistics)
  }
}

/// Keeps the graph of one token step with the main thread's time per node.
private struct GraphCollector: RunVisitor {
  struct Choice {
    var structure: GraphStructure
    /// Nanoseconds by node, summed over the graphs of the step that have this structure.
    var durations: [Int: Int64]
    var fused: Set<FusedOperator>
    var title: String
    var graphCount: Int
  }

  private struct OpenStep {
    var durations: [UInt32: [Int: Int64]] = [:]
    var fused: [UInt32: Set<FusedOperator>] = [:]
    var structures: [UInt32: Int] = [:]
  }

  private let wanted: Int?
  private var structures: [UInt32: GraphStructure] = [:]
  private var open: [Int: OpenStep] = [:]
  private var chosen: Choice?
  /// Of the step chosen: decode is better than prefill, and warm-up is the last resort.
  private var rank = 0

  init(wanted: Int?) { self.wanted = wanted }

  /// Without any token step, the largest graph of the trace.
  var choice: Choice? {
    if chosen != nil || wanted != nil { return chosen }
    guard
      let largest = structures.values.max(by: { ($0.nodes.count, $1.number) < ($1.nodes.count, $0.number) })
    else { return nil }
    return Choice(
      structure: largest, durations: [:], fused: [], title: "structure \(largest.number)", graphCount: 1)
  }

  private static let best = 3
  private var isDone: Bool { rank == Self.best }

  mutating func structure(_ structure: GraphStructure) {
    if !isDone { structures[structure.number] = structure }
  }

  mutating func operatorSpan(_ span: OperatorSpan) {
    guard !isDone, span.isMainThread, span.node >= 0, isWanted(Int(span.step)) else { return }
    let (node, last) = (Int(span.node), Int(span.lastNode))
    open[Int(span.step), default: OpenStep()].durations[span.structure, default: [:]][node, default: 0] &+=
      max(span.range.duration, 0)
    if last > node {
      open[Int(span.step), default: OpenStep()].fused[span.structure, default: []]
        .insert(FusedOperator(node: node, lastNode: last))
    }
  }

  mutating func graphRun(_ run: GraphRun) {
    guard !isDone, let step = run.step, isWanted(step), let structure = run.structure else { return }
    open[step, default: OpenStep()].structures[structure, default: 0] += 1
  }

  mutating func tokenStep(_ step: TokenStep) {
    guard let finished = open.removeValue(forKey: step.index) else { return }
    let stepRank =
      if wanted != nil || step.phase == .decode && step.isComplete { Self.best } else if step.phase != .warmup
      {
        2
      } else {
        1
      }
    guard stepRank > rank else { return }
    let candidates = finished.structures.keys.compactMap { structures[$0] }
    guard let largest = candidates.max(by: { ($0.nodes.count, $1.number) < ($1.nodes.count, $0.number) })
    else { return }
    rank = stepRank
    chosen = Choice(
      structure: largest, durations: finished.durations[largest.number] ?? [:],
      fused: finished.fused[largest.number] ?? [],
      title: "token step \(step.index), \(step.phase.rawValue), \(formatDuration(step.range.duration))",
      graphCount: finished.structures.values.reduce(0, +))
  }

  private func isWanted(_ step: Int) -> Bool { step >= 0 && (wanted.map { $0 == step } ?? true) }
}
