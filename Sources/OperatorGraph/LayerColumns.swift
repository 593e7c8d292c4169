/// How the layers of a graph are spread over columns: below each other, a graph of a thousand operators is a
/// strip thirty times as high as it is wide, of which no screen shows anything.
struct LayerColumns {
  /// The first operator in a layer of each column; empty for one column.
  let tops: [Int]
  private let columnOfLayer: [Int: Int]
  private let lastColumn: Int

  /// Rows of operators up to which one column is drawn.
  private static let shortGraph = 45
  /// Rows times this is the width of a column of the same length, roughly: boxes are lower than they are
  /// wide, and an attention block has three or four beside each other.
  private static let rowsPerColumnWidth = 9.0
  /// Width over height that is aimed at.
  private static let aspect = 1.5

  /// - Parameter layers: by index in the graph's vertices.
  init(_ graph: OperatorGraph, _ layers: [Int?]) {
    let rows = Self.rows(graph, layers)
    let order = rows.keys.sorted()
    let total = rows.values.reduce(0, +)
    let count = Int((Self.aspect * Double(total) / Self.rowsPerColumnWidth).squareRoot().rounded())
    guard total > Self.shortGraph, count > 1, order.count > 1 else {
      (tops, columnOfLayer, lastColumn) = ([], [:], 0)
      return
    }
    var columns: [Int: Int] = [:]
    var done = 0
    for layer in order {
      // By its middle, so that a long layer does not open a column for itself alone.
      columns[layer] = min(count - 1, (2 * done + (rows[layer] ?? 0)) * count / (2 * total))
      done += rows[layer] ?? 0
    }
    var first: [Int: Int] = [:]
    for vertex in graph.vertices.indices where !graph.vertices[vertex].members.isEmpty {
      if let column = layers[vertex].flatMap({ columns[$0] }), first[column] == nil { first[column] = vertex }
    }
    let used = first.keys.sorted()
    tops = used.compactMap { first[$0] }
    columnOfLayer = columns
    lastColumn = used.last ?? 0
  }

  /// The column of a layer; 0 of one without operators.
  func column(of layer: Int) -> Int { columnOfLayer[layer] ?? 0 }

  /// What heading and legend of a large picture are enlarged by.
  var textScale: Int { tops.isEmpty ? 1 : 2 }

  /// True when an edge leads from one column to another.
  ///
  /// What is outside of layers stands in the first column when it is a source, and in the last when it is a
  /// reader.
  func separates(_ from: Int?, _ to: Int?) -> Bool {
    guard !tops.isEmpty else { return false }
    let start = from.map { columnOfLayer[$0] ?? 0 } ?? (to == nil ? lastColumn : 0)
    let end = to.map { columnOfLayer[$0] ?? 0 } ?? lastColumn
    return start != end
  }

  /// The length of the longest chain in each layer.
  private static func rows(_ graph: OperatorGraph, _ layers: [Int?]) -> [Int: Int] {
    let incoming = Adjacency(graph.edges, count: graph.vertices.count, by: \.to)
    var depth = [Int](repeating: 0, count: graph.vertices.count)
    var rows: [Int: Int] = [:]
    for vertex in graph.topologicalOrder().order where !graph.vertices[vertex].members.isEmpty {
      guard let layer = layers[vertex] else { continue }
      for edge in incoming[vertex] where layers[graph.edges[edge].from] == layer {
        depth[vertex] = max(depth[vertex], depth[graph.edges[edge].from])
      }
      depth[vertex] += 1
      rows[layer] = max(rows[layer] ?? 0, depth[vertex])
    }
    return rows
  }
}
