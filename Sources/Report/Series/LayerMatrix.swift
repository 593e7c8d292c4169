import Statistics
import TraceModel

/// Mean time of each kind of node in each layer, a step.
struct LayerMatrix: Sendable {
  struct Column: Sendable, Hashable {
    /// Name of the nodes without their layer, such as `ffn_up`; of nodes that the engine did not name their operator.
    var name: String
    var op: String
  }

  struct Cell: Sendable, Equatable {
    /// Main-thread time, nanoseconds.
    var total: Int64 = 0
    var count: UInt64 = 0
  }

  /// In the order in which a layer computes them; what is too little to be shown is in `others`.
  let columns: [Column]
  /// Layers that have nodes, in order.
  let layers: [Int]
  /// By layer, then column.
  let cells: [[Cell]]
  /// By layer: nodes that have no column.
  let others: [Cell]

  static let columnLimit = 16
  static let layerLimit = 512

  /// - Parameters:
  ///   - nodes: of the phases shown.
  ///   - order: see `ColumnOrder`.
  init(_ nodes: [NodeTable.Row], order: ColumnOrder) {
    var sums: [Column: Int64] = [:]
    for row in nodes where row.layer != nil {
      sums[Column(row), default: 0] &+= row.totals.total
    }
    let largest = sums.sorted { ($1.value, $0.key.name, $0.key.op) < ($0.value, $1.key.name, $1.key.op) }
      .prefix(Self.columnLimit)
    columns = largest.map(\.key).sorted {
      (order.place(of: $0), $0.name, $0.op) < (order.place(of: $1), $1.name, $1.op)
    }
    layers = Array(Set(nodes.compactMap(\.layer)).sorted().prefix(Self.layerLimit))
    let indexOfColumn = Dictionary(uniqueKeysWithValues: columns.enumerated().map { ($1, $0) })
    let indexOfLayer = Dictionary(uniqueKeysWithValues: layers.enumerated().map { ($1, $0) })
    var cells = [[Cell]](repeating: Array(repeating: Cell(), count: columns.count), count: layers.count)
    var others = [Cell](repeating: Cell(), count: layers.count)
    for row in nodes {
      guard let layer = row.layer.flatMap({ indexOfLayer[$0] }) else { continue }
      if let column = indexOfColumn[Column(row)] {
        cells[layer][column].add(row.totals)
      } else {
        others[layer].add(row.totals)
      }
    }
    self.cells = cells
    self.others = others
  }

  /// Where in a layer each kind of node comes first.
  struct ColumnOrder: Sendable {
    private var places: [Column: Int] = [:]
    private static let limit = 4096

    mutating func add(_ structure: GraphStructure) {
      for node in structure.nodes where node.isExecuted && node.layer != nil {
        let column = Column(node: node.name, op: node.op)
        if places[column] == nil, places.count < Self.limit { places[column] = places.count }
      }
    }

    func place(of column: Column) -> Int {
      // A fused operator is where its last node would be: it has that one's name.
      places[column] ?? places.filter { $0.key.name == column.name }.values.min() ?? Int.max
    }
  }
}

extension LayerMatrix.Column {
  fileprivate init(_ row: NodeTable.Row) { self.init(node: row.name, op: row.op) }

  /// - Parameter node: the node's own name.
  init(node: String, op: String) {
    let stem = Self.stem(node)
    self.init(name: stem.isEmpty ? op : stem, op: op)
  }

  /// The name without the number that tells nodes of different layers apart: `Qcur-3` gives `Qcur`, and `node_57`,
  /// which is the engine's name for a node without one, nothing.
  private static func stem(_ name: String) -> String {
    var stem = Substring(name)
    // `Kcur-3 (view)`: what follows in brackets is the engine's remark.
    if let bracket = stem.firstIndex(of: "("), bracket > stem.startIndex {
      stem = stem[..<bracket]
      while stem.last == " " { stem.removeLast() }
    }
    guard let last = stem.last, last.isASCII, last.isNumber else { return String(stem) }
    let digits = stem.reversed().prefix { $0.isASCII && $0.isNumber }.count
    let rest = stem.dropLast(digits)
    if rest == "node_" || rest == "leaf_" { return "" }
    return rest.last == "-" ? String(rest.dropLast()) : String(stem)
  }
}

extension LayerMatrix.Cell {
  fileprivate mutating func add(_ totals: OperatorTotals) {
    total &+= totals.total
    count &+= totals.count
  }
}
