import Statistics
import TraceModel

/// A table that the page's script sorts.
struct DataTable {
  struct Column {
    var heading: String
    var isText = false
    /// Explains the column.
    var hint = ""
  }

  struct Field {
    var content: HTML
    /// What it is sorted by; nil sorts as text, an unknown value comes last.
    var key: Double?
    /// 0…1, drawn as a bar behind the value.
    var bar: Double?

    init(_ content: HTML, key: Double? = nil, bar: Double? = nil) {
      self.content = content
      self.key = key
      self.bar = bar
    }

    static func text(_ text: String?) -> Field { Field(text.map { "\($0)" } ?? missing) }
    static func name(_ text: String) -> Field { Field("<code>\(text)</code>") }
    static func count(_ value: some BinaryInteger) -> Field {
      Field("\(grouped(Int64(clamping: value)))", key: Double(value))
    }
    static func count(_ value: Int?) -> Field { value.map { count($0) } ?? Field(missing) }
    static func duration(_ value: Int64?) -> Field {
      value.map { Field("\(formatDuration($0))", key: Double($0)) } ?? Field(missing)
    }
    static func bytes(_ value: Int64?) -> Field {
      value.map { Field("\(formatBytes($0))", key: Double($0)) } ?? Field(missing)
    }
    static func share(_ value: Double?, bar: Bool = false) -> Field {
      value.map { Field("\(formatShare($0))", key: $0, bar: bar ? $0 : nil) } ?? Field(missing)
    }
    static func decimal(_ value: Double?, digits: Int, unit: String = "") -> Field {
      value.map { Field("\($0, digits: digits)\(unit)", key: $0) } ?? Field(missing)
    }

    private static let missing: HTML = "<span class=\"missing\" title=\"not recorded\">–</span>"
  }

  var caption: String
  var columns: [Column]
  var rows: [[Field]]
  /// Below the table, such as what it leaves out.
  var note = ""

  var html: HTML {
    let heads = columns.map { column -> HTML in
      let hint: HTML = column.hint.isEmpty ? "" : " data-tip=\"\(column.hint)\""
      return """
        <th scope="col"\(column.isText ? " class=\"text\"" as HTML : "")>\
        <button type="button"\(hint)>\(column.heading)</button></th>
        """
    }
    let body = rows.map { fields -> HTML in
      let cells = zip(columns, fields).enumerated().map { index, pair -> HTML in
        cell(pair.1, pair.0, isFirst: index == 0)
      }
      return "<tr>\(cells)</tr>\n"
    }
    let below: HTML = note.isEmpty ? "" : "<p class=\"note\">\(note)</p>"
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="\(caption)"><table class="data sortable">\
      <caption>\(caption)</caption><thead><tr>\(heads)</tr></thead><tbody>
      \(body)</tbody></table></div>\(below)

      """
  }

  private func cell(_ field: Field, _ column: Column, isFirst: Bool) -> HTML {
    let key: HTML =
      field.key.map { " data-key=\"\(formatDecimal($0, digits: $0.magnitude < 1 ? 9 : 2))\"" } ?? ""
    let kind: HTML = column.isText ? " class=\"text\"" : ""
    let bar: HTML =
      field.bar.map { "<i class=\"cell-bar\" style=\"width:\(min(max($0, 0), 1) * 100, digits: 1)%\"></i>" }
      ?? ""
    return isFirst
      ? "<th scope=\"row\"\(kind)\(key)>\(field.content)</th>"
      : "<td\(kind)\(key)>\(bar)\(field.content)</td>"
  }
}

/// With narrow spaces between the thousands.
func grouped(_ value: Int64) -> String {
  let digits = String(value.magnitude)
  guard digits.count > 4 else { return String(value) }
  var text = ""
  for (index, digit) in digits.enumerated() {
    if index > 0, (digits.count - index) % 3 == 0 { text += "\u{202f}" }
    text.append(digit)
  }
  return (value < 0 ? "-" : "") + text
}

extension DataTable {
  /// A table that commands print, with the columns that people are shown.
  ///
  /// - Parameter limit: of rows.
  init<Table: StatisticsTable>(caption: String, _ table: Table, limit: Int) {
    let all = Table.columns + table.extraColumns
    let shown = all.indices.filter { all[$0].isShown }
    self.init(
      caption: caption,
      columns: shown.map { Column(heading: all[$0].heading, isText: all[$0].isText) },
      rows: table.rows.prefix(limit).map { row in
        let cells = Table.cells(row) + table.extraCells(row)
        return shown.map { Field(cells[$0], all[$0].unit) }
      },
      note: table.rows.count > limit ? "\(table.rows.count - limit) more rows are left out." : "")
  }
}

extension DataTable.Field {
  init(_ cell: Cell, _ unit: Statistics.Column.Unit) {
    self =
      switch (cell, unit) {
      case (.missing, _): .text(nil)
      case (.text(let value), _): .text(value)
      case (.integer(let value), .nanoseconds): .duration(value)
      case (.integer(let value), .bytes): .bytes(value)
      case (.integer(let value), _): .count(value)
      case (.decimal(let value), .share): .share(value)
      case (.decimal(let value), _): .decimal(value, digits: 2)
      }
  }
}
