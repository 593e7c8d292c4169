import TraceModel

/// CPU graphs between graphs of another backend in one token step: operators that the backend does not have.
public struct BackendFallback: RunVisitor, Sendable {
  /// Token steps with such, all of them that had graphs of another backend, and the CPU graphs.
  public private(set) var steps = 0
  public private(set) var deviceSteps = 0
  public private(set) var graphs = 0
  /// Wall time of these CPU graphs. Nanoseconds.
  public private(set) var time: Int64 = 0
  /// The backend before the first of them.
  public private(set) var backend: String?
  /// Operators in them, as far as their structures are small enough to be islands.
  public private(set) var operators: [String] = []

  private struct OpenStep {
    var step: Int
    var device: String?
    /// CPU graphs since the last graph of a device.
    var pending = 0
    var pendingTime: Int64 = 0
    var pendingStructures: [UInt32] = []
    var graphs = 0
    var time: Int64 = 0
  }
  private var open: [OpenStep] = []
  /// Operators of small structures by number.
  private var small: [UInt32: [String]] = [:]

  private static let openLimit = 64
  /// Executed nodes of an island that is named by its operators.
  private static let smallLimit = 48
  private static let structureLimit = 4096
  private static let operatorLimit = 8

  public init() {}

  public mutating func structure(_ structure: GraphStructure) {
    guard small.count < Self.structureLimit else { return }
    let executed = structure.nodes.lazy.filter(\.isExecuted).prefix(Self.smallLimit + 1)
    guard executed.count <= Self.smallLimit else { return }
    small[structure.number] = Array(Set(executed.map(\.op))).sorted()
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard let step = run.step else { return }
    let index = openIndex(step)
    if run.isCPUGraph {
      guard open[index].device != nil else { return }
      open[index].pending &+= 1
      open[index].pendingTime &+= max(run.range.duration, 0)
      if let structure = run.structure, open[index].pendingStructures.count < Self.operatorLimit {
        open[index].pendingStructures.append(structure)
      }
      return
    }
    if open[index].device != nil, open[index].pending > 0 {
      open[index].graphs &+= open[index].pending
      open[index].time &+= open[index].pendingTime
      backend = backend ?? open[index].device
      for structure in open[index].pendingStructures {
        for op in small[structure] ?? [] where operators.count < Self.operatorLimit && !operators.contains(op) {
          operators.append(op)
        }
      }
    }
    open[index].device = run.backend
    open[index].pending = 0
    open[index].pendingTime = 0
    open[index].pendingStructures = []
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let index = open.firstIndex(where: { $0.step == step.index }) else { return }
    let finished = open.remove(at: index)
    guard step.phase != .warmup, finished.device != nil else { return }
    deviceSteps &+= 1
    guard finished.graphs > 0 else { return }
    steps &+= 1
    graphs &+= finished.graphs
    time &+= finished.time
  }

  private mutating func openIndex(_ step: Int) -> Int {
    if let index = open.lastIndex(where: { $0.step == step }) { return index }
    if open.count >= Self.openLimit { open.removeFirst() }
    open.append(OpenStep(step: step))
    return open.count - 1
  }
}
