import TraceModel

/// One row per operator and thread, handed on as they are read: memory does not grow with the length of the trace.
///
/// The phase of a token step is known at its end, so it is in the rows of steps (`StepRows`), by the step's number.
public struct OperatorRows: RunVisitor {
  private let row: ([Cell]) -> Void
  private let counters: [CounterColumn]
  private var catalog = NodeCatalog(workModel: nil)
  /// By slot: cells that all executions of a node share.
  private var nodes: [[Cell]] = []
  /// The row of which the counters have not come yet.
  private var pending: [Cell] = []

  /// - Parameters:
  ///   - counters: of the recording.
  ///   - row: takes the cells of one row, in the order of `columns`.
  public init(counters: [CounterColumn], row: @escaping ([Cell]) -> Void) {
    self.counters = counters
    self.row = row
  }

  /// Counters are those of the row's thread, in the operator and in the wait behind it.
  public static func columns(_ counters: [CounterColumn]) -> [Column] {
    let columns = [
      Column("step"), Column("graph"), Column("tid"), Column("main", isText: true),
      Column("node", isText: true),
      Column("op", isText: true), Column("type", isText: true), Column("layer"), Column("part", isText: true),
      Column("start_ns", nil, .nanoseconds), Column("duration_ns", nil, .nanoseconds),
      Column("barrier_ns", nil, .nanoseconds), Column("repaired", isText: true),
    ]
    return columns + Column.counters(counters, behind: columns)
  }

  public mutating func structure(_ structure: GraphStructure) { catalog.add(structure) }

  public mutating func operatorSpan(_ span: OperatorSpan) {
    flush()
    let slot = Int(catalog.slot(structure: span.structure, node: span.node, lastNode: span.lastNode))
    var cells: [Cell] = []
    cells.reserveCapacity(13 + counters.count)
    cells.append(span.step >= 0 ? .integer(Int64(span.step)) : .missing)
    cells.append(span.graph >= 0 ? .integer(Int64(span.graph)) : .missing)
    cells.append(.integer(Int64(span.thread.rawValue)))
    cells.append(span.isMainThread ? Self.yes : Self.no)
    cells.append(contentsOf: cellsOfNode(slot))
    cells.append(Cell(span.range.start.nanoseconds))
    cells.append(.integer(span.range.duration))
    // Equal ends: no wait was recorded, which is not a wait of 0.
    cells.append(span.barrier.duration > 0 ? .integer(span.barrier.duration) : .missing)
    cells.append(span.isRepaired ? Self.yes : Self.no)
    if counters.isEmpty { row(cells) } else { pending = cells }
  }

  public mutating func operatorCounters(
    _ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan
  ) {
    guard !pending.isEmpty else { return }
    pending.append(contentsOf: self.counters.map { Cell(counter: counters[$0.index]) })
    row(pending)
    pending.removeAll(keepingCapacity: true)
  }

  /// Hands on what is left. To be called at the end.
  public mutating func flush() {
    guard !pending.isEmpty else { return }
    pending.append(contentsOf: counters.map { _ in .missing })
    row(pending)
    pending.removeAll(keepingCapacity: true)
  }

  private static let yes = Cell.text("yes")
  private static let no = Cell.text("no")

  private mutating func cellsOfNode(_ slot: Int) -> [Cell] {
    while nodes.count <= slot {
      let entry = catalog.entries[nodes.count]
      let isKnown = UInt32(nodes.count) != NodeCatalog.unknown
      nodes.append([
        isKnown ? .text(entry.name) : .missing, isKnown ? .text(entry.op) : .missing,
        isKnown ? .text(entry.type) : .missing, Cell(entry.layer),
        isKnown ? .text(entry.part.rawValue) : .missing,
      ])
    }
    return nodes[slot]
  }
}
