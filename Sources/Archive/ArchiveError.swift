import Foundation
import GRDB

/// Why an archive cannot be used.
public enum ArchiveError: Error, Sendable, CustomStringConvertible {
  /// The folder has no index.
  case notAnArchive(String)
  /// The index is of another version of this program, or another program's database.
  case otherSchema(file: String, version: Int)
  /// The index cannot be understood by SQLite.
  case damaged(String, cause: String)
  /// Another program has the index open and keeps writers out.
  case locked(String)
  /// Another `batch` writes into it.
  case inUse(String)
  /// Something is where results are to go, and it is not results.
  case inTheWay(String)
  case cannotRead(String, cause: String)
  case cannotWrite(String, cause: String)
  /// The index does not take the results of one run.
  case notAccepted(String)
  /// A worker could not write; it says why.
  case workerCannotWrite(String)

  /// Whether results could not be written; otherwise what was there could not be used.
  public var isAboutWriting: Bool {
    switch self {
    case .notAnArchive, .otherSchema, .damaged, .cannotRead, .notAccepted: false
    case .locked, .inUse, .inTheWay, .cannotWrite, .workerCannotWrite: true
    }
  }

  public var description: String {
    switch self {
    case .notAnArchive(let folder):
      "\(folder): there is no archive.sqlite in it; `prof-analyze batch PATH... -o DIR` makes an archive"
    case .otherSchema(let file, let version):
      "\(file): has schema version \(version), this prof-analyze knows \(Archive.schemaVersion) only; "
        + (version < Archive.schemaVersion
          ? "`prof-analyze batch PATH... -o DIR` brings it up to date"
          : "make a new archive with -o, or use the version that wrote it")
    case .damaged(let file, let cause):
      "\(file): is damaged or no index: \(cause); move it away, and `prof-analyze batch` makes it again from the traces"
    case .locked(let file):
      "\(file): another program is in the middle of a query; end it, and run `prof-analyze batch` again"
    case .inUse(let folder): "\(folder): another `prof-analyze batch` writes into it; wait for its end"
    case .inTheWay(let path):
      "\(path): is there already and holds other things than results; name a new folder with -o"
    case .cannotRead(let path, let cause): "\(path): cannot be read: \(cause); check the file system"
    case .cannotWrite(let path, let cause):
      "\(path): cannot be written: \(cause); check that there is room, and that you may write there"
    case .notAccepted(let cause): "the index does not take its results: \(cause)"
    case .workerCannotWrite(let message): message
    }
  }

  /// What SQLite says of a file.
  static func index(_ file: String, _ error: any Error, isWriting: Bool) -> ArchiveError {
    let cause = Archive.text(error)
    switch (error as? DatabaseError)?.resultCode {
    case .SQLITE_NOTADB?, .SQLITE_CORRUPT?: return .damaged(file, cause: cause)
    case .SQLITE_CONSTRAINT?, .SQLITE_MISMATCH?, .SQLITE_TOOBIG?, .SQLITE_RANGE?: return .notAccepted(cause)
    case .SQLITE_BUSY?, .SQLITE_LOCKED?: return .locked(file)
    default: return isWriting ? .cannotWrite(file, cause: cause) : .cannotRead(file, cause: cause)
    }
  }

  /// With what the system says of the last call.
  static func writing(_ path: String, _ code: Int32 = errno) -> ArchiveError {
    .cannotWrite(path, cause: String(cString: strerror(code)))
  }
}
