import TraceModel

/// Where the main threads' time went, in the format that flame-graph tools read: one line per stack, frames from the
/// outermost divided by `;`, a space, and nanoseconds.
///
/// Frames: phase; layer, or the part of the model outside of layers; operator; node; `[barrier]` for the wait behind it.
/// What is no operator has a frame in brackets under the phase. Counted as in `ops` and `tokens`.
public struct FoldedStacks: RunVisitor {
  private var operators = OperatorStatistics()
  private var steps = StepStatistics()

  public init() {}

  public mutating func structure(_ structure: GraphStructure) { operators.structure(structure) }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    operators.operatorSpan(span)
    steps.operatorSpan(span)
  }

  public mutating func operatorSpans(_ spans: Span<OperatorSpan>) {
    operators.operatorSpans(spans)
    steps.operatorSpans(spans)
  }

  public mutating func graphRun(_ run: GraphRun) {
    operators.graphRun(run)
    steps.graphRun(run)
  }

  public mutating func gap(_ gap: GapSpan) { steps.gap(gap) }

  public mutating func enqueueSpan(_ span: EnqueueSpan) { operators.enqueueSpan(span) }

  public mutating func experts(_ activation: ExpertActivation) { operators.experts(activation) }

  public mutating func tokenStep(_ step: TokenStep) {
    operators.tokenStep(step)
    steps.tokenStep(step)
  }

  /// One stack: frames from the outermost, and its own time.
  public struct Line: Sendable, Equatable {
    public var frames: [String]
    public var nanoseconds: Int64
  }

  /// By phase, then as met; without stacks that took no time.
  public var lines: [Line] {
    Phase.allCases.flatMap { phase in operatorLines(phase) + otherLines(phase) }.filter { $0.nanoseconds > 0 }
  }

  /// The lines as text.
  public var text: String {
    lines.map { line in line.frames.map(Self.frame).joined(separator: ";") + " \(line.nanoseconds)\n" }
      .joined()
  }

  private func operatorLines(_ phase: Phase) -> [Line] {
    NodeTable(operators, phases: [phase]).rows.flatMap { row -> [Line] in
      let place = row.layer.map { "layer \($0)" } ?? row.part.rawValue
      let frames = [phase.rawValue, place, row.op] + (row.name.isEmpty ? [] : [row.name])
      return [
        Line(frames: frames, nanoseconds: row.totals.total),
        Line(frames: frames + ["[barrier]"], nanoseconds: row.totals.barrier),
      ]
    }
  }

  private func otherLines(_ phase: Phase) -> [Line] {
    var sum = StepTime()
    var wall: Int64 = 0
    for step in steps.steps where step.phase == phase {
      sum.add(steps.time(ofStep: step.index))
      wall &+= max(step.range.duration, 0)
    }
    let hasOperators = sum.operators > 0 || sum.barrier > 0
    let parts: [(String, Int64)] = [
      ("[setup]", sum.setup), ("[between graphs]", sum.betweenGraphs), ("[finish]", sum.finish),
      ("[graphs]", hasOperators ? 0 : sum.graphs),
      ("[graph overhead]", hasOperators ? sum.graphOverhead : 0),
      ("[not probed]", hasOperators ? sum.notProbed : 0),
      ("[other backends]", hasOperators ? sum.backendGraphs : 0),
      ("[without a name]", max(wall &- sum.accounted, 0)), ("[sampling]", sum.sampling),
    ]
    return parts.map { Line(frames: [phase.rawValue, $0.0], nanoseconds: $0.1) }
  }

  /// A frame must hold neither the separator nor the end of the line; names come from the target.
  private static func frame(_ name: String) -> String {
    String(
      String.UnicodeScalarView(
        name.unicodeScalars.map { scalar in
          scalar == ";" ? "," : scalar.value < 0x20 || 0x7f..<0xa0 ~= scalar.value ? "?" : scalar
        }))
  }
}
