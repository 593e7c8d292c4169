import Foundation
import GRDB
import GRDBSQLite

/// A table of the index that is filled from a CSV file of a run's folder.
///
/// SQLite turns the text of a field into the number that its column wants, so that nothing is interpreted here.
struct IndexTable {
  let name: String
  let file: RunFolder.File
  /// As in the file and in the schema, behind `run` and `place`.
  let columns: [String]
  /// Empty text where the others have NULL.
  let required: Set<String>
  /// What is stored of a column instead of its text.
  var expressions: [String: String] = [:]

  static let all = [
    IndexTable(
      name: "steps", file: .tokens,
      columns: [
        "step", "phase", "start_ns", "duration_ns", "n_tokens", "n_graphs", "n_ops", "coverage", "position",
        "operators_ns", "barrier_ns", "setup_ns", "finish_ns", "sampling_ns", "outside_ns", "accounted",
        "context", "tid", "complete",
      ], required: ["phase", "complete"]),
    IndexTable(
      name: "operators", file: .operators,
      columns: [
        "op", "type", "count", "total_ns", "mean_ns", "p50_ns", "p95_ns", "share", "barrier_ns", "min_ns",
        "max_ns", "all_threads_ns", "bytes", "flops", "repaired", "kind",
      ], required: ["op"],
      // The column is there where something was enqueued, or where a counter is called so.
      expressions: ["kind": "iif(? = 'enqueue', 'enqueue', 'cpu')"]),
    IndexTable(
      name: "nodes", file: .nodes,
      columns: [
        "name", "op", "ne0", "ne1", "ne2", "ne3", "count", "total_ns", "mean_ns", "bytes", "flops", "type",
        "layer", "part", "barrier_ns", "min_ns", "max_ns", "all_threads_ns",
      ], required: ["name", "op", "part"]),
    IndexTable(
      name: "threads", file: .threads,
      columns: [
        "tid", "comm", "op_ns", "barrier_ns", "running_ns", "runnable_ns", "blocked_ns", "migrations",
        "barrier_share", "n_ops", "main", "preemptions", "last_arrivals", "late_ns", "held_up_ns",
      ], required: ["main"]),
    IndexTable(
      name: "experts", file: .expertUse,
      columns: [
        "layer", "expert", "tokens", "share", "prefill_tokens", "generated_tokens", "uses", "first_step",
        "last_step", "mean_reuse_steps", "mean_reuse_experts", "model",
      ], required: []),
  ]

  /// Adds the rows of a file.
  ///
  /// A counter may be called as anything, and its column comes behind those of the table: the first of a name counts.
  func fill(_ db: Database, run: Int64, from bytes: UnsafeRawBufferPointer) throws {
    var rows = CSVRows(bytes)
    var columnOfField: [Int32] = []
    var found: Set<String> = []
    for name in rows.header() {
      let isNew = found.insert(name).inserted
      let index = isNew ? columns.firstIndex(of: name) : nil
      columnOfField.append(index.map { Int32($0) + 3 } ?? 0)
    }
    let values = columns.map { expressions[$0] ?? "?" }.joined(separator: ",")
    let statement = try db.cachedStatement(
      sql: "INSERT INTO \(name) (run, place, \(columns.joined(separator: ","))) VALUES (?,?,\(values))")
    let raw = statement.sqliteStatement
    let isRequired = columns.map(required.contains)
    var place: Int64 = 0
    while true {
      // Bound by hand: this is most of what adding a run takes.
      sqlite3_reset(raw)
      sqlite3_clear_bindings(raw)
      var field = 0
      let isRow = rows.row { text in
        defer { field += 1 }
        guard field < columnOfField.count, columnOfField[field] > 0 else { return }
        let column = columnOfField[field]
        guard !text.isEmpty || isRequired[Int(column) - 3] else { return }
        let start = text.baseAddress?.assumingMemoryBound(to: CChar.self)
        sqlite3_bind_text(raw, column, start ?? Self.nothing, Int32(clamping: text.count), Self.copied)
      }
      guard isRow else { break }
      sqlite3_bind_int64(raw, 1, run)
      sqlite3_bind_int64(raw, 2, place)
      place += 1
      let code = sqlite3_step(raw)
      guard code == SQLITE_DONE else {
        let message = String(cString: sqlite3_errmsg(db.sqliteConnection))
        sqlite3_reset(raw)
        throw DatabaseError(
          resultCode: ResultCode(rawValue: code), message: "\(name), row \(place): \(message)")
      }
    }
    sqlite3_reset(raw)
    sqlite3_clear_bindings(raw)
  }

  private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  nonisolated(unsafe) private static let nothing = UnsafePointer(strdup("")!)
}
