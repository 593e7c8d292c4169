import Foundation
import GRDB

/// A folder with the results of many traces, and an index of them in SQLite.
///
/// `DIR/archive.sqlite` is the index, `DIR/runs/ID/` holds the results of one trace. The index says what is valid: it
/// is told of a run once its folder is complete.
public final class Archive: Sendable {
  /// Of the tables and views, see formats/ARCHIVE.md.
  public static let schemaVersion = 2
  static let applicationID = 1_346_982_994

  public let folder: String
  public var indexFile: String { "\(folder)/\(Self.indexName)" }
  let database: DatabaseQueue
  private static let indexName = "archive.sqlite"

  /// Opens an archive for reading.
  public convenience init(reading folder: String) throws(ArchiveError) {
    var status = stat()
    guard stat("\(folder)/\(Self.indexName)", &status) == 0 else { throw .notAnArchive(folder) }
    var configuration = Configuration()
    configuration.readonly = true
    try self.init(folder, configuration)
    try check()
  }

  /// Opens an archive for writing, or makes it; brings one of an older schema version up to date.
  ///
  /// - Parameter patience: seconds to wait for another program that keeps writers out.
  public convenience init(writing folder: String, patience: Double = 10) throws(ArchiveError) {
    try makeFolders(upTo: "\(folder)/runs")
    var configuration = Configuration()
    configuration.prepareDatabase { db in
      // A killed writer leaves a whole index; a reader is not in the way while a batch runs.
      try db.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL")
    }
    configuration.busyMode = .timeout(patience)
    try self.init(folder, configuration)
    try write { db in
      let isNew = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_schema") == 0
      if isNew {
        try db.execute(sql: String(decoding: PackageResources.schema_sql, as: UTF8.self))
      } else if try Self.version(db) == (Self.applicationID, 1) {
        // What version 2 added; the runs have it once they are read again.
        try db.execute(
          sql: """
            ALTER TABLE runs ADD COLUMN engine_version TEXT;
            ALTER TABLE runs ADD COLUMN engine_commit TEXT;
            PRAGMA user_version = 2;
            """)
      } else {
        return
      }
      try db.execute(sql: String(decoding: PackageResources.views_sql, as: UTF8.self))
    }
    try check()
  }

  private init(_ folder: String, _ configuration: Configuration) throws(ArchiveError) {
    self.folder = folder
    let file = "\(folder)/\(Self.indexName)"
    do {
      database = try DatabaseQueue(path: file, configuration: configuration)
    } catch {
      throw .index(file, error, isWriting: !configuration.readonly)
    }
  }

  private func check() throws(ArchiveError) {
    let (application, version) = try read(Self.version)
    guard application == Self.applicationID, version == Self.schemaVersion else {
      throw .otherSchema(file: indexFile, version: version)
    }
  }

  private static func version(_ db: Database) throws -> (application: Int, schema: Int) {
    (
      try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0,
      try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
    )
  }

  /// Makes the index one file again, which can be copied and read where nothing may be written.
  public func close() throws(ArchiveError) {
    do {
      try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA journal_mode = DELETE") }
      try database.close()
    } catch {
      // Someone reads it just now: then it stays as it is, and whole.
      if (error as? DatabaseError)?.resultCode != .SQLITE_BUSY,
        (error as? DatabaseError)?.resultCode != .SQLITE_LOCKED
      {
        throw .cannotWrite(indexFile, cause: Self.text(error))
      }
    }
  }

  func read<T>(_ body: (Database) throws -> T) throws(ArchiveError) -> T {
    do {
      return try database.read(body)
    } catch {
      throw .index(indexFile, error, isWriting: false)
    }
  }

  func write<T>(_ body: (Database) throws -> T) throws(ArchiveError) -> T {
    do {
      return try database.write(body)
    } catch {
      throw .index(indexFile, error, isWriting: true)
    }
  }

  static func text(_ error: any Error) -> String {
    guard let error = error as? DatabaseError else { return "\(error)" }
    return error.message ?? error.resultCode.description
  }

  /// Where the results of a trace are.
  public func runFolder(_ id: ContentID) -> String { "\(folder)/runs/\(id)" }
}
