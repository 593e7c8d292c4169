import TraceModel

/// How graphs were computed, by phase: with how many threads, and by which backends.
///
/// Memory: one small entry for each open token step.
public struct GraphUse: RunVisitor, Sendable {
  struct Use: Sendable, Equatable {
    /// Wall time of CPU graphs by their number of threads, nanoseconds.
    var time: [Int: Int64] = [:]
    /// Wall time of graphs that other backends computed.
    var elsewhere: Int64 = 0

    mutating func add(_ run: GraphRun) {
      let duration = max(run.range.duration, 0)
      if run.isCPUGraph {
        // A trace may tell any number; nobody has more.
        if (1...4096).contains(run.threadCount) { time[run.threadCount, default: 0] &+= duration }
      } else if run.backend != "CPU" {
        elsewhere &+= duration
      }
    }

    mutating func merge(_ other: Use) {
      time.merge(other.time, uniquingKeysWith: &+)
      elsewhere &+= other.elsewhere
    }
  }

  private var phases = [Use](repeating: Use(), count: Phase.allCases.count)
  private var open: [Int: Use] = [:]
  private static let openLimit = 256

  public init() {}

  public mutating func graphRun(_ run: GraphRun) {
    guard let step = run.step else { return }
    if open[step] == nil, open.count >= Self.openLimit { open.removeAll() }
    open[step, default: Use()].add(run)
  }

  public mutating func tokenStep(_ step: TokenStep) {
    guard let use = open.removeValue(forKey: step.index),
      let phase = Phase.allCases.firstIndex(of: step.phase)
    else { return }
    phases[phase].merge(use)
  }

  func use(of selection: Set<Phase>) -> Use {
    var result = Use()
    for (index, phase) in Phase.allCases.enumerated() where selection.contains(phase) {
      result.merge(phases[index])
    }
    return result
  }

  /// Threads of the graphs that took most time; nil without CPU graphs.
  public func threads(of selection: Set<Phase>) -> Int? {
    use(of: selection).time.max { ($0.value, $1.key) < ($1.value, $0.key) }?.key
  }
}
