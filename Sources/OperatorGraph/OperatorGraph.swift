import TraceModel

/// Which tensors an `OperatorGraph` shows.
public enum GraphForm: String, Sendable, CaseIterable {
  /// Every tensor, views too; the edges are the target's own `src` lists, exactly.
  case raw
  /// The operators that are executed; edges run through views, permutes and reshapes, and
  /// a fused pair is one operator.
  case collapsed
}

/// A fused operator as a run shows it: indexes in the structure's nodes.
public struct FusedOperator: Sendable, Hashable {
  public var node: Int
  public var lastNode: Int

  public init(node: Int, lastNode: Int) {
    self.node = node
    self.lastNode = lastNode
  }
}

/// What a graph needs from outside: no node of it computes these.
public enum ConstantKind: String, Sendable, CaseIterable {
  case weight
  /// Memory that operators of the graph write into, or that is named like a cache: it outlives the graph.
  case cache
  /// Everything else: tokens, positions, masks.
  case input
}

public struct Vertex: Sendable {
  public enum Kind: Sendable, Hashable {
    case executed
    /// A view or another node that is never executed. In the raw form only.
    case notExecuted
    case constant(ConstantKind)
    /// A source of which the trace holds nothing but the address.
    case missing
  }

  public var kind: Kind
  /// The tensor; of a fused operator the last one, which has the result.
  public var node: Node
  /// Indexes in the structure's nodes, in execution order: one, or several of a fused
  /// operator, or none where no node computes it.
  public var members: [Int]
  /// The operator's name; of a fused operator all of them, joined by `+`.
  public var op: String
}

/// A dependency: `to` cannot begin before `from` has ended.
public struct Edge: Sendable, Hashable {
  public enum Kind: String, Sendable, CaseIterable {
    /// `to` has `from` as a source.
    case data
    /// `to` has a view of `from` as a source, or a view of a view.
    case view
    /// `from` writes into memory that `to` reads through another tensor, such as a KV cache.
    case memory
  }

  /// Indexes in the graph's vertices.
  public var from: Int
  public var to: Int
  public var kind: Kind
  /// The source slot of `to` that the edge stands for; nil for memory.
  public var slot: Int?
}

/// The directed graph of one structure: what depends on what.
///
/// Built from a trace that may be damaged or hostile: any input gives a graph, and what
/// was wrong with the input can be asked for (`isComplete`, `missing` vertices,
/// `ignoredFusions`, `omittedEdgeCount`, `topologicalOrder`).
public struct OperatorGraph: Sendable {
  public let form: GraphForm
  public let structure: GraphStructure
  /// In execution order; then constants and missing sources. In the raw form the first ones
  /// are the structure's nodes and then its constants, with the same indexes.
  public let vertices: [Vertex]
  public let edges: [Edge]
  /// Fusions that name no executed nodes, or nodes of another fused operator, or 64 nodes and more.
  public let ignoredFusions: [FusedOperator]
  /// Edges left out since there were too many of them to be an engine's graph; 0 for every real one.
  public let omittedEdgeCount: Int

  /// - Parameter fused: the fused operators of the run; only the collapsed form uses them.
  public init(_ structure: GraphStructure, form: GraphForm, fused: some Sequence<FusedOperator> = []) {
    var builder = GraphBuilder(structure)
    switch form {
    case .raw: builder.buildRaw()
    case .collapsed: builder.buildCollapsed(fused: fused)
    }
    self.form = form
    self.structure = structure
    vertices = builder.vertices
    edges = builder.edges
    ignoredFusions = builder.ignoredFusions
    omittedEdgeCount = builder.omittedEdgeCount
  }

  /// Orders the vertices so that each comes after those it depends on.
  ///
  /// - Returns: the order, and what could not be ordered since it is on a cycle or depends
  ///   on one. Only a damaged or hostile trace has cycles.
  public func topologicalOrder() -> (order: [Int], unordered: [Int]) {
    var waiting = [Int](repeating: 0, count: vertices.count)
    for edge in edges { waiting[edge.to] += 1 }
    let outgoing = Adjacency(edges, count: vertices.count, by: \.from)
    var order = vertices.indices.filter { waiting[$0] == 0 }
    var done = 0
    while done < order.count {
      for edge in outgoing[order[done]] {
        let next = edges[edge].to
        waiting[next] -= 1
        if waiting[next] == 0 { order.append(next) }
      }
      done += 1
    }
    return (order, vertices.indices.filter { waiting[$0] > 0 })
  }

  /// The sources of a vertex; of a fused operator those of all its members, without what
  /// one member hands to the next.
  func sources(of vertex: Vertex) -> [UInt64?] {
    guard vertex.members.count > 1 else { return vertex.node.sources }
    let members = vertex.members.map { structure.nodes[$0] }
    let own = Set(members.dropLast().map(\.address))
    return members.flatMap(\.sources).filter { source in source.map { !own.contains($0) } ?? false }
  }

  /// The place of each operator in the order of execution, from 1; nil of what is not executed.
  public func executionOrder() -> [Int?] {
    var count = 0
    return vertices.map { vertex in
      guard vertex.kind == .executed else { return nil }
      count += 1
      return count
    }
  }
}

/// The edges of each vertex, in one array: a graph has thousands of vertices, each with few edges.
struct Adjacency {
  private var first: [Int]
  private var edges: [Int]

  init(_ all: [Edge], count: Int, by end: KeyPath<Edge, Int>) {
    first = Array(repeating: 0, count: count + 1)
    for edge in all { first[edge[keyPath: end] + 1] += 1 }
    for index in 0..<count { first[index + 1] += first[index] }
    var next = first
    edges = Array(repeating: 0, count: all.count)
    for (index, edge) in all.enumerated() {
      let vertex = edge[keyPath: end]
      edges[next[vertex]] = index
      next[vertex] += 1
    }
  }

  /// Indexes of the vertex's edges.
  subscript(vertex: Int) -> ArraySlice<Int> { edges[first[vertex]..<first[vertex + 1]] }
}
