import Foundation
import GRDB

/// A run as the index has it.
public struct ArchivedRun: Sendable, Equatable, FetchableRecord {
  public var run: Int64
  public var id: String
  public var analyzer: String
  /// CLOCK_REALTIME when the recording began, nanoseconds.
  public var recorded: Int64?
  public var host: String?
  public var cpuModel: String?
  public var kernel: String?
  /// As its tensors show it.
  public var model: String?
  public var modelFile: String?
  public var threads: Int?
  public var level: String?
  public var engineVersion: String?
  public var engineBuild: String?
  public var decodeTokensPerSecond: Double?
  public var decodeMedian: Int64?
  public var prefillTokensPerSecond: Double?
  public var timeToFirstToken: Int64?
  public var verdict: String?
  public var coverage: Double?
  public var lostRecords: Int64
  public var isComplete: Bool
  public var path: String?

  public init(row: Row) throws {
    run = try row.decode(forColumn: "run")
    id = try row.decode(forColumn: "id")
    analyzer = try row.decode(forColumn: "analyzer")
    recorded = try row.decode(forColumn: "recorded_ns")
    host = try row.decode(forColumn: "host")
    cpuModel = try row.decode(forColumn: "cpu_model")
    kernel = try row.decode(forColumn: "kernel")
    model = try row.decode(forColumn: "model")
    modelFile = try row.decode(forColumn: "model_file")
    threads = try row.decode(forColumn: "threads")
    level = try row.decode(forColumn: "level")
    engineVersion = try row.decode(forColumn: "engine_version")
    engineBuild = try row.decode(forColumn: "engine_build")
    decodeTokensPerSecond = try row.decode(forColumn: "decode_tokens_per_s")
    decodeMedian = try row.decode(forColumn: "decode_p50_ns")
    prefillTokensPerSecond = try row.decode(forColumn: "prefill_tokens_per_s")
    timeToFirstToken = try row.decode(forColumn: "time_to_first_token_ns")
    verdict = try row.decode(forColumn: "verdict")
    coverage = try row.decode(forColumn: "coverage")
    lostRecords = try row.decode(forColumn: "lost_records")
    isComplete = try row.decode(forColumn: "complete")
    let path: DatabaseValue = try row.decode(forColumn: "path")
    self.path =
      String.fromDatabaseValue(path)
      ?? Data.fromDatabaseValue(path).map { String(decoding: $0, as: UTF8.self) }
  }

  /// What people call the model: the name of its file, else what was recognised.
  public var name: String? {
    guard let modelFile else { return model }
    return modelFile.hasSuffix(".gguf") ? String(modelFile.dropLast(5)) : modelFile
  }
}

/// Which runs of an archive are asked for; nil and empty: any.
public struct RunFilter: Sendable {
  /// A part of the model's description or of its file's name, large and small letters alike.
  public var model: String?
  /// A part of the host's name or of the processor's.
  public var device: String?
  /// What the build id of the engine begins with.
  public var build: String?
  public var level: String?
  public var threads: Int?
  /// Recorded then or later, and before; nanoseconds since 1970.
  public var since: Int64?
  public var until: Int64?

  public init() {}

  fileprivate var condition: (sql: String, arguments: StatementArguments) {
    var parts: [String] = []
    var arguments: [(any DatabaseValueConvertible)?] = []
    func add(_ sql: String, _ values: (any DatabaseValueConvertible)?...) {
      parts.append(sql)
      arguments += values
    }
    func contains(_ column: String) -> String { "instr(lower(coalesce(\(column), '')), lower(?)) > 0" }
    if let model { add("(\(contains("model")) OR \(contains("model_file")))", model, model) }
    if let device { add("(\(contains("host")) OR \(contains("cpu_model")))", device, device) }
    if let build { add("substr(engine_build, 1, length(?)) = lower(?)", build, build) }
    if let level { add("level = ?", level) }
    if let threads { add("threads = ?", threads) }
    if let since { add("recorded_ns >= ?", since) }
    if let until { add("recorded_ns < ?", until) }
    return (parts.isEmpty ? "" : "WHERE " + parts.joined(separator: " AND "), StatementArguments(arguments))
  }
}

extension Archive {
  /// The oldest first.
  public func runs(_ filter: RunFilter = RunFilter()) throws(ArchiveError) -> [ArchivedRun] {
    let (condition, arguments) = filter.condition
    return try read { db in
      try ArchivedRun.fetchAll(
        db,
        sql: """
          SELECT *, (SELECT min(path) FROM files WHERE files.id = runs.id) AS path FROM runs \(condition)
          ORDER BY recorded_ns, id
          """, arguments: arguments)
    }
  }

  /// Traces that gave no results, by path.
  public func failures() throws(ArchiveError) -> [(path: String, reason: String)] {
    try read { db in
      try Row.fetchAll(db, sql: "SELECT path, reason FROM failures ORDER BY path").map { row in
        let path: DatabaseValue = try row.decode(forColumn: "path")
        let bytes = Data.fromDatabaseValue(path)
        return (
          String.fromDatabaseValue(path) ?? String(decoding: bytes ?? Data(), as: UTF8.self),
          try row.decode(forColumn: "reason")
        )
      }
    }
  }

  /// Nanoseconds that a decoded token of each run takes, by part: operator types, and what is around them.
  func decodeParts() throws(ArchiveError) -> [Int64: [String: Double]] {
    try read { db in
      var parts: [Int64: [String: Double]] = [:]
      func add(_ time: Double?, _ name: String, _ row: Row) throws {
        // Sums of times that a trace invented may be anything.
        guard let time, time > 0, time < 1e18 else { return }
        parts[try row.decode(forColumn: "run"), default: [:]][name, default: 0] += time
      }
      for row in try Row.fetchAll(db, sql: "SELECT run, op, type, ns_per_token FROM decode_operators") {
        let name: [String?] = [try row.decode(forColumn: "op"), try row.decode(forColumn: "type")]
        try add(row.decode(forColumn: "ns_per_token"), name.compactMap(\.self).joined(separator: " "), row)
      }
      let others = [
        ("barrier waits", "barrier_ns"), ("graph start and end", "graph_overhead_ns"),
        ("graphs of other backends", "backend_graphs_ns"), ("setup before the graph", "setup_ns"),
        ("between graphs", "between_graphs_ns"), ("finish after the graph", "finish_ns"),
      ]
      for row in try Row.fetchAll(db, sql: "SELECT * FROM phases WHERE phase = 'decode' AND tokens > 0") {
        let tokens: Double = try row.decode(forColumn: "tokens")
        for (name, column) in others {
          let time: Double? = try row.decode(forColumn: column)
          try add(time.map { $0 / tokens }, name, row)
        }
      }
      return parts
    }
  }
}
