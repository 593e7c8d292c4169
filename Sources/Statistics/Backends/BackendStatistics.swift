import TraceModel

/// Graphs by backend, how token steps are split into them, and what was enqueued for devices.
///
/// All times are those of the calling thread. A backend that computes later (Vulkan, CUDA) only takes a graph over:
/// where the target then waits for the device shows in the time before the next graph, and after the step.
public struct BackendStatistics: RunVisitor, Sendable {
  private var graphs: [Row] = []
  private var devices: [Row] = []
  /// In order of phase and place.
  public var splits: [Split] {
    splitRows.sorted { a, b in
      (Self.rank(a.phase), a.place, b.count, a.backend) < (Self.rank(b.phase), b.place, a.count, b.backend)
    }
  }
  /// Most time first.
  public var transfers: [Transfer] {
    transferRows.sorted { a, b in
      (b.time, Self.rank(a.phase), a.from, a.to) < (a.time, Self.rank(b.phase), b.from, b.to)
    }
  }
  /// Most time first, that around them included.
  public var islands: [Island] {
    islandRows.sorted { a, b in
      (b.total &+ b.around, a.operators ?? "", Self.rank(a.phase)) < (
        a.total &+ a.around, b.operators ?? "", Self.rank(b.phase)
      )
    }
  }
  /// Phases that occurred, in their order.
  public var splitCounts: [SplitCount] { countRows.sorted { Self.rank($0.phase) < Self.rank($1.phase) } }
  /// Graphs that are in no split, transfer or island because there are too many different ones.
  public private(set) var leftOut = 0

  private var splitRows: [Split] = []
  private var splitIndex: [SplitKey: Int] = [:]
  private var transferRows: [Transfer] = []
  private var islandRows: [Island] = []
  private var islandIndex: [IslandKey: Int] = [:]
  private var countRows: [SplitCount] = []
  private var open: [OpenStep] = []
  private var contents: [UInt32: GraphContents] = [:]

  private struct OpenStep: Sendable {
    var step: Int
    var runs: [Run] = []
  }

  private struct Run: Sendable {
    var backend: String
    var range: TimeRange
    var structure: UInt32?
    var nodeCount: Int
    var isCPU: Bool
  }

  private struct SplitKey: Hashable {
    var phase: Phase
    var place: Int
    var backend: String
  }

  private struct IslandKey: Hashable {
    var phase: Phase
    var before: String
    var behind: String
    var contents: GraphContents?
  }

  /// A target has a handful of backends; a hostile trace may name any number.
  private static let limit = 64
  private static let rowLimit = 4096
  private static let runLimit = 4096
  private static let openLimit = 64
  private static let structureLimit = 1 << 16

  public init() {}

  /// Most time first.
  public var backends: [Row] { Self.sorted(graphs) }
  /// What was encoded for, or handed to, each device; the time is not the device's.
  public var enqueued: [Row] { Self.sorted(devices) }

  /// True when graphs of more than one backend were recorded.
  public var isMixed: Bool { graphs.count > 1 }

  public mutating func structure(_ structure: GraphStructure) {
    guard contents.count < Self.structureLimit else { return }
    contents[structure.number] = GraphContents(structure)
  }

  public mutating func graphRun(_ run: GraphRun) {
    Self.add(run.backend, run.range, to: &graphs)
    guard let step = run.step else { return }
    let index = openIndex(step)
    guard open[index].runs.count < Self.runLimit else {
      leftOut &+= 1
      return
    }
    open[index].runs.append(
      Run(
        backend: run.backend, range: run.range, structure: run.structure, nodeCount: run.nodeCount,
        isCPU: run.isCPUGraph || run.backend == "CPU"))
  }

  public mutating func enqueueSpan(_ span: EnqueueSpan) { Self.add(span.device, span.range, to: &devices) }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let index = open.lastIndex(where: { $0.step == step.index }) else { return }
    let runs = open.remove(at: index).runs.sorted { $0.range.start < $1.range.start }
    let row = countRows.firstIndex { $0.phase == step.phase } ?? countRows.count
    if row == countRows.count { countRows.append(SplitCount(phase: step.phase)) }
    countRows[row].steps &+= 1
    countRows[row].graphs &+= runs.count
    countRows[row].least = min(countRows[row].least, runs.count)
    countRows[row].most = max(countRows[row].most, runs.count)
    for (place, run) in runs.enumerated() {
      let before = place > 0 ? Self.time(from: runs[place - 1], to: run) : nil
      addSplit(run, step.phase, place, before)
      guard place > 0, let before, runs[place - 1].backend != run.backend else { continue }
      addTransfer(from: runs[place - 1], to: run, step.phase, before)
      let next = place + 1
      if run.isCPU, next < runs.count, !runs[place - 1].isCPU, !runs[next].isCPU {
        addIsland(
          run, before: runs[place - 1], behind: runs[next], step.phase,
          around: before &+ Self.time(from: run, to: runs[next]))
      }
    }
  }

  private mutating func openIndex(_ step: Int) -> Int {
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    if open.count >= Self.openLimit { leftOut &+= open.removeFirst().runs.count }
    open.append(OpenStep(step: step))
    return open.count - 1
  }

  private mutating func addSplit(_ run: Run, _ phase: Phase, _ place: Int, _ before: Int64?) {
    let key = SplitKey(phase: phase, place: place, backend: run.backend)
    let index = splitIndex[key] ?? splitRows.count
    if index == splitRows.count {
      guard index < Self.rowLimit else {
        leftOut &+= 1
        return
      }
      splitIndex[key] = index
      splitRows.append(
        Split(phase: phase, place: place, backend: run.backend, nodes: run.nodeCount...run.nodeCount))
    }
    splitRows[index].count &+= 1
    splitRows[index].total &+= max(run.range.duration, 0)
    let nodes = splitRows[index].nodes
    splitRows[index].nodes = min(nodes.lowerBound, run.nodeCount)...max(nodes.upperBound, run.nodeCount)
    if let before { splitRows[index].before = (splitRows[index].before ?? 0) &+ before }
  }

  private mutating func addTransfer(from: Run, to: Run, _ phase: Phase, _ time: Int64) {
    let index =
      transferRows.firstIndex { $0.phase == phase && $0.from == from.backend && $0.to == to.backend }
      ?? transferRows.count
    if index == transferRows.count {
      // Far more than pairs of the backends that a machine has.
      guard index < Self.limit * 4 else { return }
      transferRows.append(Transfer(phase: phase, from: from.backend, to: to.backend))
    }
    transferRows[index].count &+= 1
    transferRows[index].time &+= time
  }

  private mutating func addIsland(_ run: Run, before: Run, behind: Run, _ phase: Phase, around: Int64) {
    let inside = run.structure.flatMap { contents[$0] }
    let key = IslandKey(phase: phase, before: before.backend, behind: behind.backend, contents: inside)
    let index = islandIndex[key] ?? islandRows.count
    if index == islandRows.count {
      guard index < Self.rowLimit else {
        leftOut &+= 1
        return
      }
      islandIndex[key] = index
      islandRows.append(
        Island(
          before: before.backend, behind: behind.backend, operators: inside?.operators,
          operatorCount: inside?.count, phase: phase))
    }
    islandRows[index].count &+= 1
    islandRows[index].total &+= max(run.range.duration, 0)
    islandRows[index].around &+= around
  }

  private static func time(from first: Run, to second: Run) -> Int64 {
    max(second.range.start - first.range.end, 0)
  }

  private static func rank(_ phase: Phase) -> Int { Phase.allCases.firstIndex(of: phase) ?? 0 }

  private static func add(_ name: String, _ range: TimeRange, to rows: inout [Row]) {
    // There are few, and a list of few is faster than a table.
    var index = rows.firstIndex { $0.name == name } ?? rows.count
    if index == rows.count {
      if index > limit {
        index = limit
      } else {
        rows.append(Row(name: index < limit ? name : others, count: 0, total: 0))
      }
    }
    rows[index].count &+= 1
    rows[index].total &+= max(range.duration, 0)
  }

  private static let others = "(others)"

  private static func sorted(_ rows: [Row]) -> [Row] {
    rows.sorted { ($1.total, $0.name) < ($0.total, $1.name) }
  }
}
