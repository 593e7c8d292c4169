import TraceModel

/// What the time of a token step is spent on besides operators, on the thread that calls the engine.
public enum TimePart: String, Sendable, Hashable, CaseIterable {
  case barrier
  case setup
  case betweenGraphs = "between graphs"
  case graphOverhead = "graph overhead"
  /// Graphs whose operators are not in the recording: of other backends, or at a level without operators.
  case graphs = "graphs without operators"
  case notProbed = "operators not probed"
  case finish
  case sampling
  case outside = "outside the engine"
  /// Operators of nodes beyond the number that is told apart.
  case otherNodes = "other operators"
  /// What the recording gives no name to; negative where times overlap.
  case unnamed

  init(_ kind: GapKind) {
    self =
      switch kind {
      case .setup: .setup
      case .betweenGraphs: .betweenGraphs
      case .finish: .finish
      case .graphOverhead: .graphOverhead
      case .notProbed: .notProbed
      case .sampling: .sampling
      case .outsideEngine: .outside
      }
  }

  var slot: Int { Self.slots[self, default: 0] }

  private static let slots = Dictionary(uniqueKeysWithValues: zip(allCases, 0...))
}

/// A node as two recordings name it alike, wherever in the graph it stands.
public struct NodeKey: Sendable, Hashable {
  /// Empty where ggml only numbered it: the number is a position, and moves when a node is added before it.
  public var name: String
  /// Operators of a fused one joined by `+`.
  public var op: String
  public var layer: Int?

  public init(name: String, op: String, layer: Int?) {
    self.name = name
    self.op = op
    self.layer = layer
  }

  /// The name without the layer: `ffn_out` of `ffn_out-3`.
  public var stem: String {
    guard let layer, name.hasSuffix("-\(layer)") else { return name }
    return String(name.dropLast("-\(layer)".count))
  }
}
