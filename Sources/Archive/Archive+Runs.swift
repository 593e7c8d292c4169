import Foundation
import GRDB

/// What an archive knows of a trace's content.
public enum Standing: Sendable, Equatable {
  case unknown
  /// Read by the same analyzer, with these losses.
  case read(losses: [String])
  /// Found to be no trace by the same analyzer.
  case bad(reason: String)
}

/// What is looked at to tell that a file is the same as before, without reading it.
struct FileStamp: Equatable, Sendable {
  var bytes: Int64
  var modified: Int64
  /// Changes with the content even where somebody sets the time of modification back.
  var changed: Int64
  var device: Int64
  var inode: Int64

  init(_ status: stat) {
    bytes = Int64(status.st_size)
    modified = Self.nanoseconds(status.st_mtim)
    changed = Self.nanoseconds(status.st_ctim)
    device = Int64(bitPattern: UInt64(status.st_dev))
    inode = Int64(bitPattern: UInt64(status.st_ino))
  }

  private static func nanoseconds(_ time: timespec) -> Int64 {
    Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
  }
}

extension Archive {
  /// The content of a file that is as it was when it was seen last.
  func content(of path: FilePath, _ stamp: FileStamp) throws(ArchiveError) -> ContentID? {
    try read { db in
      let row = try Row.fetchOne(
        db,
        sql: """
          SELECT id FROM files WHERE path = ? AND bytes = ? AND modified_ns = ? AND changed_ns = ? AND device = ?
            AND inode = ?
          """,
        arguments: [path.value, stamp.bytes, stamp.modified, stamp.changed, stamp.device, stamp.inode])
      return try row.flatMap { ContentID(try $0.decode(forColumn: "id")) }
    }
  }

  /// - Parameter withReport: whether the results must have a page.
  func standing(_ id: ContentID, analyzer: String, withReport: Bool) throws(ArchiveError) -> Standing {
    let standing = try read { db -> Standing in
      let arguments: StatementArguments = [id.description, analyzer]
      if let run = try Row.fetchOne(
        db, sql: "SELECT run, report FROM runs WHERE id = ? AND analyzer = ?", arguments: arguments)
      {
        let hasReport: Bool = try run.decode(forColumn: "report")
        guard !withReport || hasReport else { return .unknown }
        let losses = try String.fetchAll(
          db, sql: "SELECT loss FROM losses WHERE run = ? ORDER BY place",
          arguments: [try run.decode(Int64.self, forColumn: "run")])
        return .read(losses: losses)
      }
      let reason = try String.fetchOne(
        db, sql: "SELECT reason FROM failures WHERE id = ? AND analyzer = ? AND permanent",
        arguments: arguments)
      return reason.map { .bad(reason: $0) } ?? .unknown
    }
    if case .read = standing {
      var status = stat()
      // Somebody removed the results.
      if stat("\(runFolder(id))/\(RunFolder.File.summary.rawValue)", &status) != 0 { return .unknown }
    }
    return standing
  }

  /// Notes where content was seen.
  func note(_ path: FilePath, _ stamp: FileStamp, _ id: ContentID) throws(ArchiveError) {
    try write { db in try Self.note(db, path, stamp, id) }
  }

  private static func note(_ db: Database, _ path: FilePath, _ stamp: FileStamp, _ id: ContentID) throws {
    try db.execute(sql: "DELETE FROM failures WHERE path = ?", arguments: [path.value])
    let before = try String.fetchOne(db, sql: "SELECT id FROM files WHERE path = ?", arguments: [path.value])
    try db.execute(
      sql: "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?)",
      arguments: [
        path.value, id.description, stamp.bytes, stamp.modified, stamp.changed, stamp.device, stamp.inode,
      ])
    guard let before, before != id.description else { return }
    // The same recording, seen before it was complete: what was made of a part of it says nothing any more.
    try db.execute(
      sql: """
        DELETE FROM runs WHERE id = ?1 AND recording = (SELECT recording FROM runs WHERE id = ?2)
          AND NOT EXISTS (SELECT 1 FROM files WHERE files.id = ?1)
        """, arguments: [before, id.description])
  }

  /// Adds what a run's folder holds, in place of what was known of the same content.
  ///
  /// - Throws: `ArchiveError.notAccepted` when the run itself is at fault.
  func add(_ summary: RunSummary, from path: FilePath, _ stamp: FileStamp) throws(ArchiveError) {
    let folder = runFolder(summary.id)
    try write { db in
      try db.execute(sql: "DELETE FROM runs WHERE id = ?", arguments: [summary.id.description])
      var status = stat()
      let hasReport = stat("\(folder)/\(RunFolder.File.report.rawValue)", &status) == 0
      let run = try summary.insert(db, hasReport: hasReport)
      for table in IndexTable.all {
        let data = try Data(
          contentsOf: URL(fileURLWithPath: "\(folder)/\(table.file.rawValue)"), options: .alwaysMapped)
        try data.withUnsafeBytes { try table.fill(db, run: run, from: $0) }
      }
      try summary.insertShares(db, run: run)
      try Self.note(db, path, stamp, summary.id)
    }
  }

  /// - Parameters:
  ///   - id: where the content is known.
  ///   - isPermanent: whether the content itself is at fault, so that reading it again is of no use.
  func fail(_ path: FilePath, _ id: ContentID?, analyzer: String, isPermanent: Bool, reason: String)
    throws(ArchiveError)
  {
    try write { db in
      try db.execute(
        sql: "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)",
        arguments: [path.value, id?.description, analyzer, isPermanent, reason])
    }
  }

  /// Removes folders that the index does not know: of a batch that was killed, and of results that were replaced.
  func removeLeftovers() throws(ArchiveError) {
    let known = Set(try read { try String.fetchAll($0, sql: "SELECT id FROM runs") })
    let names = (try? FileManager.default.contentsOfDirectory(atPath: "\(folder)/runs")) ?? []
    for name in names where !known.contains(name) { RunFolder.remove("\(folder)/runs/\(name)") }
  }
}
