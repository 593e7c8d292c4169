import TraceModel

extension BackendStatistics {
  public struct Row: Sendable, Equatable {
    public var name: String
    /// Graphs, or nodes enqueued.
    public var count: Int
    /// Nanoseconds on the calling threads.
    public var total: Int64
  }

  /// The graphs (splits) at one place of the token steps of a phase.
  public struct Split: Sendable, Equatable {
    public var phase: Phase
    /// 0, 1, 2 … in order of start within the step.
    public var place: Int
    public var backend: String
    public var count = 0
    /// Nanoseconds, as all here.
    public var total: Int64 = 0
    /// Fewest and most nodes of the graph.
    public var nodes: ClosedRange<Int>
    /// From the end of the graph before to its start: copying inputs, waiting for the backend before. nil at the first
    /// place.
    public var before: Int64?
  }

  /// Changes from one backend to another inside of token steps.
  public struct Transfer: Sendable, Equatable {
    public var phase: Phase
    public var from: String
    public var to: String
    public var count = 0
    /// Between the two graphs: copying, waiting for the first backend, and whatever else the engine does there. Which part is
    /// which is not recorded.
    public var time: Int64 = 0
  }

  /// CPU graphs between graphs of another backend: what that one could not, or was not to, compute.
  public struct Island: Sendable, Equatable {
    /// The backends before and behind.
    public var before: String
    public var behind: String
    /// Operators with the names of their nodes, `*` for the layer's number; nil where the structure is not known.
    public var operators: String?
    /// Executed nodes of one such graph; nil where the structure is not known.
    public var operatorCount: Int?
    public var phase: Phase
    public var count = 0
    /// In the graphs.
    public var total: Int64 = 0
    /// Between them and the graphs before and behind: see `Transfer.time`.
    public var around: Int64 = 0
  }

  /// How many graphs the token steps of a phase are split into.
  public struct SplitCount: Sendable, Equatable {
    public var phase: Phase
    public var steps = 0
    public var graphs = 0
    public var least = Int.max
    public var most = 0
    public var mean: Double { steps > 0 ? Double(graphs) / Double(steps) : 0 }
  }
}
