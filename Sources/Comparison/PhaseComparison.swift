import TraceModel

/// How the time of one phase's token steps changed, and what of it each part made. Nanoseconds of a mean step.
public struct PhaseComparison: Sendable {
  /// One line of a comparison.
  public struct Row: Sendable {
    public enum Scope: String, Sendable, CaseIterable {
      /// The whole step.
      case total = "step"
      /// A `TimePart`. Parts and operators together add up to the step.
      case part
      /// All nodes of an operator. Nodes and layers add up to the operators.
      case op = "operator"
      case node, layer
    }
    public enum Presence: String, Sendable { case both, added, removed }

    public var scope: Scope
    public var name: String
    /// nil for what is no operator.
    public var op: String?
    public var layer: Int?
    public var presence: Presence
    public var first: Int64
    public var second: Int64
    /// Of the change; nil where there are too few steps to tell.
    public var interval: Interval?
    public var change: Int64 { second &- first }
  }

  public var phase: Phase
  /// Steps compared, and runs, of each side.
  public var steps: (first: Int, second: Int)
  public var runs: (first: Int, second: Int)
  /// Steps of each side without a counterpart.
  public var leftOut: (first: Int, second: Int)
  public var positions: ClosedRange<Int>?
  public var rows: [Row]
  /// Of the relative change of the step; nil where there are too few steps.
  public var relativeInterval: Interval?
  /// Largest explanations first.
  public var culprits: [Culprit] = []

  public var total: Row { rows[0] }
  /// 0.05: 5 % more time a step; nil without time.
  public var relativeChange: Double? {
    total.first > 0 ? Double(total.change) / Double(total.first) : nil
  }
  /// Whether the phase takes clearly longer, by more than `ratio`: all of the interval lies above.
  public func isSlower(byMoreThan ratio: Double) -> Bool { (relativeInterval?.low ?? -.infinity) > ratio }

  /// Below so many steps a side an interval says nothing.
  static let leastSteps = 8
}

/// Builds the rows of a phase from aligned steps.
struct PhaseComparer {
  let phase: Phase
  let options: ComparisonOptions
  /// The columns behind those of `TimePart`, and whether each side has them.
  let nodes: [NodeKey]

  private var width: Int { TimePart.allCases.count + nodes.count }

  func compare(_ alignment: Alignment) -> PhaseComparison {
    let a = SideMean(alignment.first, weights: alignment.weights, width: width, leftOut: options.leftOut)
    let b = SideMean(alignment.second, weights: alignment.weights, width: width, leftOut: options.leftOut)
    let means = (a.mean(), b.mean())
    let steps = (
      alignment.first.reduce(0) { $0 + $1.count }, alignment.second.reduce(0) { $0 + $1.count }
    )
    var replicates: [[Double]] = []
    var relative: [Double] = []
    if min(steps.0, steps.1) >= PhaseComparison.leastSteps {
      var generator = SeededGenerator(seed: options.seed)
      for _ in 0..<options.replicates {
        let (one, two) = (a.resampled(&generator), b.resampled(&generator))
        let (before, after) = (one.reduce(0, +), two.reduce(0, +))
        if before > 0 { relative.append(after / before - 1) }
        replicates.append(zip(one, two).map { $1 - $0 })
      }
    }
    let widening = Interval.widening(runs: (alignment.first.count, alignment.second.count))
    let presence = (Self.present(alignment.first, width), Self.present(alignment.second, width))
    var result = PhaseComparison(
      phase: phase, steps: steps, runs: (alignment.first.count, alignment.second.count),
      leftOut: alignment.leftOut, positions: alignment.positions,
      rows: rows(means, replicates, widening, presence))
    if relative.count == options.replicates, !relative.isEmpty, let change = result.relativeChange {
      result.relativeInterval = Interval(relative, around: change, widening: widening)
    }
    result.culprits = Culprit.find(result)
    return result
  }

  private static func present(_ runs: [[AlignedStep]], _ width: Int) -> [Bool] {
    var result = [Bool](repeating: false, count: width)
    for run in runs {
      for step in run { for column in 0..<width where step.times[column] != 0 { result[column] = true } }
    }
    return result
  }

  private func rows(
    _ means: ([Double], [Double]), _ replicates: [[Double]], _ widening: Double,
    _ present: ([Bool], [Bool])
  ) -> [PhaseComparison.Row] {
    // Rounded once and then summed, so that what adds up does so to the nanosecond.
    let first = means.0.map { Int64($0.rounded()) }
    let second = means.1.map { Int64($0.rounded()) }
    func row(
      _ scope: PhaseComparison.Row.Scope, _ name: String, op: String? = nil, layer: Int? = nil,
      _ columns: [Int]
    ) -> PhaseComparison.Row? {
      let (inFirst, inSecond) = (columns.contains { present.0[$0] }, columns.contains { present.1[$0] })
      guard inFirst || inSecond || scope == .total else { return nil }
      let sums = replicates.map { replicate in columns.reduce(0) { $0 + replicate[$1] } }
      let change = columns.reduce(0) { $0 + means.1[$1] - means.0[$1] }
      return .init(
        scope: scope, name: name, op: op, layer: layer,
        presence: inFirst == inSecond ? .both : inFirst ? .removed : .added,
        first: columns.reduce(0) { $0 &+ first[$1] }, second: columns.reduce(0) { $0 &+ second[$1] },
        interval: sums.isEmpty ? nil : Interval(sums, around: change, widening: widening))
    }
    let base = TimePart.allCases.count
    var ofOperator: [String: [Int]] = [:]
    var ofLayer: [Int: [Int]] = [:]
    for (index, node) in nodes.enumerated() {
      ofOperator[node.op, default: []].append(base + index)
      ofLayer[node.layer ?? -1, default: []].append(base + index)
    }
    let parts = TimePart.allCases.compactMap { row(.part, $0.rawValue, [$0.slot]) }
    let operators = ofOperator.sorted { $0.key < $1.key }.compactMap {
      row(.op, $0.key, op: $0.key, $0.value)
    }
    let nodeRows = nodes.enumerated().compactMap { index, node in
      row(.node, node.name, op: node.op, layer: node.layer, [base + index])
    }
    let layers = ofLayer.sorted { $0.key < $1.key }.compactMap { number, columns in
      row(
        .layer, number < 0 ? "outside of layers" : "layer \(number)", layer: number < 0 ? nil : number,
        columns)
    }
    let whole = [row(.total, "step", Array(0..<width))].compactMap { $0 }
    return whole + Self.largestFirst(parts) + Self.largestFirst(operators) + Self.largestFirst(nodeRows)
      + layers
  }

  private static func largestFirst(_ rows: [PhaseComparison.Row]) -> [PhaseComparison.Row] {
    rows.sorted { ($1.change.magnitude, $0.name, $0.op ?? "") < ($0.change.magnitude, $1.name, $1.op ?? "") }
  }
}
