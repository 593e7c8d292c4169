import ArgumentParser
import Foundation
import OperatorGraph
import Statistics
import TraceModel

struct DagCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dag", abstract: "Draws the operator graph of a token step, or one layer for all of them.",
    discussion: """
      Without --token or --phase the graph is that of the first decode step recorded in full (or of the \
      best step that there is). A step computed as several graphs shows the largest, or number --graph by \
      size. Times are the main thread's, from an operator's start to its arrival at the barrier. The \
      critical path is the longest chain of operators that wait for each other, by those times: what is \
      beside it could run at the same time.

      --fold-layers draws one layer with the median and the 95th percentile of each operator over all \
      layers, what is outside of layers, and what differs between layers: operators that only some have, \
      types of weights, shapes, and layers that take longer or shorter than others of the same form (by a \
      fifth, a microsecond, and five times the usual distance from the median). It measures all steps of \
      the phase, model context and number of tokens of the step above whose graph has the same operators; \
      with --token only that step.

      --by bandwidth and --by flops divide what the work model says (every source read once, the result \
      written) by the time. --by COUNTER takes any counter of the recording (pi-record --pmc): the mean \
      count of a call on all threads. Operators without a value are white with a dashed border.

      JSON: {"nodes": […], "edges": […], "critical_path": {…}, …}. A node has index, kind (executed, \
      weight, cache, input, missing; with --raw not executed), name, op, type, shape, layer, part, order, \
      critical, and where recorded duration_ns, p95_ns, bytes, flops, bytes_per_s, flops_per_s, counters \
      of a call; an edge from, to (indexes), kind (data; view: through views; memory: written into shared \
      memory). With --fold-layers a node has layers, variants (layers with other types or shapes) and \
      outliers instead of layer, an edge layers and distance (1: to the next layer), and there are \
      differences, each with kind, nodes, layers and text. null: not recorded.
      """)

  enum Format: String, ExpressibleByArgument, CaseIterable { case dot, svg, json }

  @OptionGroup var input: TraceArgument

  @Option(name: .shortAndLong, help: ArgumentHelp("File to write; - for standard output.", valueName: "file"))
  var output: String

  @Option(help: "dot: Graphviz's language; svg: laid out by Graphviz; json: nodes and edges for programs.")
  var format = Format.dot

  @Option(help: ArgumentHelp("The token step, by the numbers of `tokens`.", valueName: "step"))
  var token: Int?

  @Option(help: ArgumentHelp("The first whole step of this phase instead of decode.", valueName: "phase"))
  var phase: Phase?

  @Option(
    help: ArgumentHelp(
      "Of a step computed as several graphs, which one by size; 1 is the largest.",
      valueName: "number"))
  var graph = 1

  @Option(
    help: ArgumentHelp(
      "What colours show: time, bandwidth, flops, or a counter of the recording.",
      valueName: "time|bandwidth|flops|counter"))
  var by = "time"

  @Flag(help: "Draw one layer for all, with statistics over them and what differs between them.")
  var foldLayers = false

  @Flag(help: "Every tensor, views too, with the edges of the engine; otherwise only what is executed.")
  var raw = false

  @Flag(help: "Draw weights, inputs and caches too (DOT and SVG; JSON always has them).")
  var constants = false

  /// A graph of a thousand operators takes a second or two.
  private static let layoutSeconds = 60

  func validate() throws {
    if let token, token < 0 { throw ValidationError("--token counts from 0.") }
    if graph < 1 { throw ValidationError("--graph counts from 1.") }
    if token != nil && phase != nil { throw ValidationError("--token and --phase exclude each other.") }
    if raw && foldLayers { throw ValidationError("--raw and --fold-layers exclude each other.") }
  }

  func run() throws {
    let trace = try input.open()
    let measure = try measure(trace)
    var collector = GraphCollector(
      step: token, phase: phase, graphIndex: graph - 1, measuresAllSteps: foldLayers,
      workModel: OpenTrace.workModel)
    let statistics = try trace.read(into: &collector)
    guard let measurement = collector.measurement else { throw nothing(in: trace) }
    let graph = OperatorGraph(
      measurement.structure, form: raw ? .raw : .collapsed, fused: measurement.fused)
    let options = DOTOptions(measure: measure, showsConstants: constants, title: measurement.title)
    var text: String
    var report: [String] = []
    if foldLayers {
      guard let folded = FoldedGraph(graph, measurement) else {
        complain(
          "\(trace.file.name): no operator of this graph is in a layer, as far as tensor names tell;"
            + " draw it without --fold-layers")
        throw ExitCode(ExitStatus.usage)
      }
      text = format == .json ? folded.json(counters: trace.counters) : folded.dot(options)
      report = folded.report
    } else {
      text =
        format == .json ? graph.json(measurement, counters: trace.counters) : graph.dot(measurement, options)
      report = raw ? [] : graph.report(measurement)
    }
    try write(text)
    // Beside the graph itself where that goes to standard output.
    let sink = output == "-" ? nil : Output.standard()
    for line in [measurement.title] + report {
      if let sink { try sink.write(escapeForTerminal(line) + "\n") } else { complain(line) }
    }
    try sink?.close()
    complainAbout(measurement, measure, trace)
    try trace.finish(statistics)
  }

  private func write(_ text: String) throws {
    var picture: [UInt8]?
    if format == .svg {
      do {
        picture = try Graphviz.svg(text, secondsAllowed: Self.layoutSeconds)
      } catch {
        complain(error.description)
        throw ExitCode(ExitStatus.cannotWrite)
      }
    }
    let sink = try Output.file(output, reading: input.trace)
    if let picture { picture.withUnsafeBytes { sink.write($0) } } else { try sink.write(text) }
    try sink.close()
  }

  /// What `--by` asks for.
  private func measure(_ trace: OpenTrace) throws -> GraphMeasure {
    switch by {
    case "time": return .time
    case "bandwidth": return .bandwidth
    case "flops": return .flops
    default:
      if let counter = trace.counters.first(where: { $0.name == by }) { return .counter(counter) }
      let names = trace.counters.map(\.name)
      complain(
        "\(trace.file.name): --by \(by) is neither time, bandwidth nor flops, nor a counter of this recording,"
          + (names.isEmpty
            ? " which has none (pi-record --pmc records them)"
            : " which has: \(names.joined(separator: ", "))"))
      throw ExitCode(ExitStatus.usage)
    }
  }

  private func nothing(in trace: OpenTrace) -> ExitCode {
    if token != nil || phase != nil || graph > 1 {
      let step = token.map { "token step \($0)" } ?? phase.map { "a \($0.rawValue) step" } ?? "a decode step"
      complain(
        "\(trace.file.name): no \(graph > 1 ? "graph number \(graph)" : "graph") of \(step);"
          + " `prof-analyze tokens` lists the steps and their graphs")
      return ExitCode(ExitStatus.usage)
    }
    complain(
      "\(trace.file.name): holds no structure of a graph: recorded with --no-structure or below --level"
        + " graph, or the target computed nothing")
    return ExitCode(ExitStatus.partial)
  }

  private func complainAbout(_ measurement: GraphMeasurement, _ measure: GraphMeasure, _ trace: OpenTrace) {
    let name = trace.file.name
    if measurement.graphs.count > 1 {
      let graphs = measurement.graphs.map { "\($0.nodeCount) nodes on \($0.backend)" }
      complain(
        "\(name): the step was computed as \(graphs.count) graphs (\(graphs.joined(separator: ", ")));"
          + " this is number \(measurement.graphIndex + 1), --graph draws the others")
    }
    if !measurement.structure.isComplete {
      complain("\(name): records of this graph's structure are missing, and edges with them")
    }
    let known = measurement.operators.compactMap { $0 }
    if known.isEmpty {
      complain("\(name): no operator of this graph was recorded, so that nothing is known of their times")
    } else if !known.contains(where: { measure.value($0) != nil }) {
      complain("\(name): \(by) was not recorded of any operator of this graph")
    }
    if case .counter(let column) = measure, known.contains(where: { $0.counters.mayIncludeOtherTasks }) {
      complain(
        "\(name): \(column.name) may include other tasks on the same CPU;"
          + " --sched when recording tells them apart"
      )
    }
  }
}

extension GraphMeasurement {
  /// What the graph is of.
  fileprivate var title: String {
    guard let step else { return "structure \(structure.number), of no token step" }
    let tokens = step.tokenCount.map { ", \(formatCount($0, "token"))" } ?? ""
    guard stepCount > 1 || otherStepCount > 0 else {
      return
        "token step \(step.index), \(step.phase.rawValue)\(tokens), \(formatDuration(step.range.duration))"
    }
    let others =
      otherStepCount > 0 ? " (\(otherStepCount) more with other graphs or not recorded in full)" : ""
    let steps = formatCount(stepCount, "\(step.phase.rawValue) step")
    return "\(steps), from step \(step.index) on\(tokens) each\(others)"
  }
}

extension OperatorGraph {
  fileprivate func report(_ measurement: GraphMeasurement) -> [String] {
    let times = vertices.map { measurement.figures(of: $0)?.times.quantile(0.5) }
    let path = criticalPath(times)
    return path.map { [$0.text(graphTime: measurement.graphTimes.quantile(0.5))] } ?? []
  }
}

extension FoldedGraph {
  fileprivate var report: [String] {
    var lines = criticalPath.map { [$0.text(graphTime: graphTime)] } ?? []
    lines.append(
      layers.count == 1
        ? "\(layersText(layers)), the only one"
        : "\(formatCount(layers.count, "layer")), "
          + (differences.isEmpty ? "all alike" : formatCount(differences.count, "difference")))
    lines += differences.prefix(20).map { "  \($0.text)" }
    if differences.count > 20 { lines.append("  \(differences.count - 20) more with --format json") }
    return lines
  }
}
