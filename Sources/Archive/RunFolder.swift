import Foundation

/// A folder with the results of one trace.
///
/// It is filled beside its place under another name and moved there when it is whole, so that whoever looks at the
/// place sees all of it or nothing, whenever the writer is killed.
public struct RunFolder: Sendable {
  public enum File: String, CaseIterable, Sendable {
    case summary = "summary.json"
    case tokens = "tokens.csv"
    case operators = "ops.csv"
    case nodes = "nodes.csv"
    case threads = "threads.csv"
    case experts = "experts.csv"
    case expertUse = "expert-use.csv"
    case report = "report.html"
  }

  public let path: String
  private let temporary: String

  /// Makes the folder that is filled.
  public init(creating path: String) throws(ArchiveError) {
    self.path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    guard Self.isReplaceable(self.path) else { throw .inTheWay(self.path) }
    temporary = Self.hidden(self.path, "new")
    try makeFolders(upTo: temporary)
  }

  /// Where a file is written.
  public func path(of file: File) -> String { "\(temporary)/\(file.rawValue)" }

  /// Moves the folder to its place. Older results there are replaced.
  public func commit() throws(ArchiveError) {
    for _ in 0..<8 {
      if rename(temporary, path) == 0 { return }
      guard errno == ENOTEMPTY || errno == EEXIST else { throw .writing(path) }
      guard Self.isReplaceable(path) else { throw .inTheWay(path) }
      let old = Self.hidden(path, "old")
      _ = rename(path, old)
      Self.remove(old)
    }
    throw .inTheWay(path)
  }

  /// Removes what was written.
  public func abandon() { Self.remove(temporary) }

  /// `DIR/.NAME.WHAT-PID`, in the same folder, so that moving it is one step.
  private static func hidden(_ path: String, _ what: String) -> String {
    let name = path.split(separator: "/").last.map(String.init) ?? path
    return path.dropLast(name.count) + ".\(name).\(what)-\(getpid())"
  }

  /// Nothing there, or results and nothing else.
  private static func isReplaceable(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return errno == ENOENT }
    guard status.st_mode & S_IFMT == S_IFDIR else { return false }
    guard let names = try? FileManager.default.contentsOfDirectory(atPath: path) else { return false }
    return names.allSatisfy { File(rawValue: $0) != nil }
  }

  /// Removes results, and no other file.
  static func remove(_ path: String) {
    for file in File.allCases { unlink("\(path)/\(file.rawValue)") }
    rmdir(path)
  }
}

/// As `mkdir -p`.
func makeFolders(upTo path: String) throws(ArchiveError) {
  do {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  } catch {
    var status = stat()
    let code = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFDIR ? ENOTDIR : errno
    throw .cannotWrite(
      path, cause: code == 0 ? "\(error.localizedDescription)" : String(cString: strerror(code)))
  }
}
