import Statistics
import TraceModel

/// Layers by kind of node.
extension ReportPage {
  var layers: Section {
    let title = "Layers"
    guard summary.hasOperators else {
      return Section(
        id: "layers", title: title,
        body: Self.notRecorded("Layers are made of operators: record with --level op."))
    }
    guard let phase = mainPhase else {
      return Section(id: "layers", title: title, body: Self.notRecorded("The trace holds no token step."))
    }
    let matrix = LayerMatrix(nodeTable([phase]).rows, order: statistics.columns)
    guard !matrix.layers.isEmpty, !matrix.columns.isEmpty else {
      return Section(
        id: "layers", title: title,
        body: Self.notRecorded(
          "Layers are known from the names of tensors: record without --no-structure. A graph whose tensors have no"
            + " names, or one of another backend, shows none."))
    }
    let steps = summary.phaseTimes.first { $0.phase == phase }?.steps ?? 1
    return Section(
      id: "layers", title: title,
      lead: """
        Mean main-thread time a \(phase.rawValue) step of each kind of node in each layer, in microseconds, in the order \
        of execution. The darker, the longer; layers of one model should look alike.
        """, body: table(matrix, steps: max(steps, 1)))
  }

  private func table(_ matrix: LayerMatrix, steps: Int) -> HTML {
    func microseconds(_ cell: LayerMatrix.Cell) -> Double { Double(cell.total) / Double(steps) / 1000 }
    let hasOthers = matrix.others.contains { $0.count > 0 }
    let most = (matrix.cells.joined().map(microseconds).max() ?? 0)
    func field(_ cell: LayerMatrix.Cell, _ name: String, layer: Int) -> HTML {
      guard cell.count > 0 else { return "<td class=\"heat-none\"></td>" }
      let value = microseconds(cell)
      // The square root of the share of the longest: a few matrix products would leave all others white.
      let level = most > 0 ? min(Int((max(value, 0) / most).squareRoot() * 8), 7) : 0
      return """
        <td class="heat h\(level)" data-tip="layer \(layer), \(name)&#10;\(formatDuration(cell.total / Int64(steps))) a step">\
        \(value, digits: value >= 99.95 ? 0 : 1)</td>
        """
    }
    let heads = matrix.columns.map { column -> HTML in
      let op: HTML = column.name == column.op ? "" : " <small>\(column.op)</small>"
      return "<th scope=\"col\"><span>\(column.name)\(op)</span></th>"
    }
    let rest: HTML = hasOthers ? "<th scope=\"col\"><span>other nodes</span></th>" : ""
    let rows = zip(matrix.layers.indices, matrix.layers).map { index, layer -> HTML in
      var fields = zip(matrix.columns, matrix.cells[index]).map { field($1, $0.name, layer: layer) }
      if hasOthers { fields.append(field(matrix.others[index], "other nodes", layer: layer)) }
      let sum = (matrix.cells[index] + [matrix.others[index]]).reduce(Int64(0)) { $0 &+ $1.total }
      return """
        <tr><th scope="row">\(layer)</th>\(fields)<td class="sum">\
        \(Double(sum) / Double(steps) / 1000, digits: 0)</td></tr>

        """
    }
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="Layers by kind of node"><table class="heat-table">\
      <caption>Microseconds a step by layer and kind of node</caption>\
      <thead><tr><th scope="col">layer</th>\(heads)\(rest)<th scope="col"><span>together</span></th></tr></thead><tbody>
      \(rows)</tbody></table></div>

      """
  }
}
