import TraceModel

/// How much slower token steps become with the context, which operators carry that, and in what stairs.
///
/// Of the token steps of one model context and phase, without what the scheduler and the disk took from them.
public struct ContextDrift: Sendable {
  /// Operators of one kind, or another part of the step, that grow with the context.
  public struct Carrier: Sendable, Equatable {
    public var name: String
    /// Nanoseconds a step that it takes longer at the last position than at the first.
    public var growth: Int64
    public var fit: ContextFit
  }

  /// Steps that read the same length of the cache.
  public struct Level: Sendable, Equatable {
    public var cells: Int
    public var positions: ClosedRange<Int>
    public var steps: Int
    /// Nanoseconds.
    public var median: Int64
  }

  public var context: UInt64
  public var phase: Phase
  public var tokenCount: Int?
  public var steps: Int
  public var positions: ClosedRange<Int>
  /// Of the whole step.
  public var fit: ContextFit
  /// What the fit expects at the first and at the last position, and on average over the steps. Nanoseconds.
  public var first: Int64
  public var last: Int64
  public var mean: Int64
  /// Most growth first; growth and shrinking under a hundredth of the whole left out.
  public var carriers: [Carrier]
  /// In order of length; empty where the structure of the graph does not tell, or only one was seen.
  public var levels: [Level]

  /// Relative to the first position.
  public var growth: Double? { first > 0 ? Double(last) / Double(first) - 1 : nil }
  /// Nanoseconds that the cache's padding costs at the begin of a level: between two lengths, without the
  /// positions.
  public var stair: Int64? {
    guard levels.count > 1, let low = levels.first, let high = levels.last else { return nil }
    return Int64(fit.perCell * Double(high.cells &- low.cells) / Double(levels.count - 1))
  }

  /// Steps of one kind, and positions between the first and the last, from which growth can be told.
  static let leastSteps = 24
  static let leastPositions = 32
  /// Levels that are told apart; more are one for each step.
  static let levelLimit = 64
}

extension Explainer {
  /// Of each context and phase that generates; those with the most steps first. Empty where positions were
  /// not recorded, or steps are too few.
  public var drifts: [ContextDrift] {
    expectations.groups.compactMap(drift).sorted { ($1.steps, $0.context) < ($0.steps, $1.context) }
  }

  private func drift(_ group: Expectations.Group) -> ContextDrift? {
    let places = group.members.map { accounts.steps[$0].place }
    let known = places.compactMap(\.position)
    guard group.phase.generates, !group.fits.isEmpty, known.count == places.count,
      known.count >= ContextDrift.leastSteps, let first = known.min(), let last = known.max(),
      last - first >= ContextDrift.leastPositions
    else { return nil }
    let times = group.members.map(undisturbed)
    let fit = ContextBins(places).fit { times[$0] }
    let ends = (
      ContextPlace(position: first, cells: places.compactMap { $0.position == first ? $0.cells : nil }.min()),
      ContextPlace(position: last, cells: places.compactMap { $0.position == last ? $0.cells : nil }.max())
    )
    func growth(_ fit: ContextFit) -> Int64 { fit.value(at: ends.1) &- fit.value(at: ends.0) }
    let whole = growth(fit)
    var carriers: [ContextDrift.Carrier] = []
    for (column, fit) in group.fits.enumerated() {
      if let use = TimeUse(rawValue: column), use.isBehind || use.isDisturbance { continue }
      let carrier = ContextDrift.Carrier(name: name(ofColumn: column), growth: growth(fit), fit: fit)
      if carrier.growth.magnitude > whole.magnitude / 100 { carriers.append(carrier) }
    }
    carriers.sort { ($1.growth, $0.name) < ($0.growth, $1.name) }
    return ContextDrift(
      context: group.context, phase: group.phase, tokenCount: group.tokenCount, steps: group.members.count,
      positions: first...last, fit: fit, first: fit.value(at: ends.0), last: fit.value(at: ends.1),
      mean: places.reduce(0) { $0 &+ fit.value(at: $1) } / Int64(places.count), carriers: carriers,
      levels: levels(places, times))
  }

  /// Nanoseconds of a step without what was taken from it.
  private func undisturbed(_ place: Int) -> Int64 {
    TimeUse.allCases.reduce(max(accounts.steps[place].range.duration, 0)) { time, use in
      use.isDisturbance && !use.isBehind ? time &- accounts.time(of: place, use) : time
    }
  }

  private func levels(_ places: [ContextPlace], _ times: [Int64]) -> [ContextDrift.Level] {
    var members: [Int: [Int]] = [:]
    for (index, place) in places.enumerated() {
      guard let cells = place.cells else { return [] }
      members[cells, default: []].append(index)
      guard members.count <= ContextDrift.levelLimit else { return [] }
    }
    guard members.count > 1 else { return [] }
    return members.keys.sorted().compactMap { cells in
      let level = members[cells] ?? []
      let positions = level.compactMap { places[$0].position }
      guard let first = positions.min(), let last = positions.max() else { return nil }
      var values = level.map { Double(times[$0]) }
      return ContextDrift.Level(
        cells: cells, positions: first...last, steps: level.count, median: Int64(median(&values)))
    }
  }

  private func name(ofColumn column: Int) -> String {
    guard let use = TimeUse(rawValue: column) else {
      return accounts.kinds.kinds[column - TimeUse.allCases.count].title
    }
    return switch use {
    case .barrier: "barrier waits"
    case .setup: "setup before the graph"
    case .betweenGraphs: "between graphs"
    case .finish: "finish after the graph"
    case .graphOverhead: "graph start and end"
    case .notProbed: "operators not probed"
    case .graphs: "graphs"
    default: "time without a name"
    }
  }
}
