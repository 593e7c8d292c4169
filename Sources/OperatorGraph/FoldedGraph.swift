import Statistics
import TraceModel

/// All layers of a graph drawn on top of each other: one layer with statistics over all of them, what is
/// outside of layers, and what differs between layers.
///
/// The operators of the layers are matched by operator, name without the layer's number, and order of
/// execution. What only some layers have is in it, too.
public struct FoldedGraph: Sendable {
  /// The layers, ascending.
  public internal(set) var layers: [Int] = []
  /// Operators before the layers, of a layer, and after (or between) them, each in order of execution; then
  /// constants and missing sources.
  public internal(set) var vertices: [FoldedVertex] = []
  public internal(set) var edges: [FoldedEdge] = []
  public internal(set) var differences: [LayerDifference] = []
  /// Of the graph that was folded, over the median time of each operator; nil where none was recorded.
  public internal(set) var criticalPath: CriticalPath?
  /// Token steps measured.
  public internal(set) var stepCount = 0
  /// Median wall time of the graph, nanoseconds.
  public internal(set) var graphTime: Int64?
}

/// An operator or a constant of all layers, or one outside of layers.
public struct FoldedVertex: Sendable {
  public var kind: Vertex.Kind
  /// Of a fused operator all of them, joined by `+`.
  public var op: String
  /// With `N` for the layer's number (`Qcur-N`); empty where the engine gave no name.
  public var name: String
  /// Names of the weights that it reads, likewise.
  public var weights: [String]
  /// The first weight or, without any, the first tensor that it reads, by name or else operator; empty where
  /// there is none.
  public var firstSource: String
  public var part: ModelPart
  /// From 1: in a layer the place in the order of execution of a layer, outside that of the whole graph. nil
  /// of what is not executed.
  public var order: Int?
  /// The layers that have it, ascending; empty outside of layers.
  public var layers: [Int]
  /// Vertices of the graph that was folded, beside `layers`; one outside of layers.
  public var members: [Int]
  /// Of all layers and steps together; nil where nothing was recorded.
  public var figures: OperatorFigures?
  /// What one computation of the graph spends in it in all layers together, nanoseconds: the sum of the
  /// layers' means. nil where nothing was recorded.
  public var timePerGraph: Int64?
  /// Most frequent first; one where all layers are alike.
  public var variants: [LayerVariant]
  public var outliers: [LayerOutlier] = []
  /// Members that lie on the critical path.
  public var criticalMembers: [Int] = []

  /// Layers in which it lies on the critical path.
  public var criticalLayers: [Int] {
    let critical = Set(criticalMembers)
    return zip(members, layers).filter { critical.contains($0.0) }.map(\.1)
  }

  /// The name, or what can stand for it.
  public var title: String {
    if !name.isEmpty { return name }
    return firstSource.isEmpty ? op : "\(op) of \(firstSource)"
  }
}

/// A tensor as an operator sees it.
public struct TensorForm: Sendable, Hashable {
  public var type: String
  /// Innermost dimension first.
  public var shape: [Int64]
  public var isWeight: Bool
}

/// Layers in which an operator has the same types and shapes.
public struct LayerVariant: Sendable {
  /// Ascending; empty outside of layers.
  public var layers: [Int]
  public var result: TensorForm
  /// In their order, without those that the trace does not hold.
  public var sources: [TensorForm]
  public var figures: OperatorFigures?

  /// Types of the weights read, each once.
  public var weightTypes: [String] {
    sources.reduce(into: []) { types, source in
      if source.isWeight, !types.contains(source.type) { types.append(source.type) }
    }
  }
}

/// A layer that takes clearly longer or shorter than others do with the same types and shapes.
public struct LayerOutlier: Sendable, Hashable {
  public var layer: Int
  /// Median over the steps, nanoseconds.
  public var time: Int64
  /// Median over the layers of such medians.
  public var typical: Int64
}

public struct FoldedEdge: Sendable {
  /// Indexes in the folded graph's vertices.
  public var from: Int
  public var to: Int
  public var kind: Edge.Kind
  /// 0 inside of a layer and to or from what is outside; 1 when `to` is in the layer after that of `from`.
  public var distance: Int
  /// Layers of `to`, or of `from` where `to` is outside; empty where both are.
  public var layers: [Int]
  /// True when the critical path runs along it in some layer.
  public var isCritical: Bool
}

/// A difference between layers.
public struct LayerDifference: Sendable {
  public enum Kind: String, Sendable, CaseIterable {
    /// Only these layers have the operators.
    case presence
    /// Weights of another type.
    case weights
    /// Another type or shape of the result or of a source.
    case shape
    /// Another time with the same types and shapes.
    case time
  }

  public var kind: Kind
  /// Indexes in the folded graph's vertices.
  public var vertices: [Int]
  /// Ascending.
  public var layers: [Int]
  /// In words, with the names that the trace has: `q6_K instead of q4_K weights in layers 0, 3, 9–11: Vcur-N
  /// (MUL_MAT)`.
  public var text: String
}
