import Foundation

/// The traces under some paths: a file that is named is one whatever its name, in folders `.pitrace` files are.
public struct TraceFinder: Sendable {
  public struct Found: Sendable {
    public var path: FilePath
    /// nil where even that cannot be told.
    public var bytes: Int64?
  }

  /// By path, each once.
  public private(set) var traces: [Found] = []
  /// Folders that cannot be read, with the reason.
  public private(set) var unreadable: [(path: FilePath, reason: String)] = []

  private static let ending = Array(".pitrace".utf8)

  public init(_ paths: [String]) {
    for path in paths { add(FilePath(path), isNamed: true) }
    var seen: Set<FilePath> = []
    traces = traces.filter { seen.insert($0.path).inserted }.sorted { $0.path < $1.path }
  }

  private mutating func add(_ path: FilePath, isNamed: Bool) {
    var status = stat()
    let code = path.withCString { isNamed ? stat($0, &status) : lstat($0, &status) }
    guard code == 0 else {
      // What is wrong with it is said when it is opened.
      if isNamed || path.bytes.hasSuffix(Self.ending) { traces.append(Found(path: path, bytes: nil)) }
      return
    }
    switch status.st_mode & S_IFMT {
    case S_IFDIR: addFolder(path)
    case S_IFLNK:
      guard path.bytes.hasSuffix(Self.ending) else { return }
      let isThere = path.withCString { stat($0, &status) } == 0
      // A link to a folder may lead back.
      if isThere, status.st_mode & S_IFMT == S_IFDIR { return }
      traces.append(Found(path: path, bytes: isThere ? Int64(status.st_size) : nil))
    default:
      if isNamed || path.bytes.hasSuffix(Self.ending) {
        traces.append(Found(path: path, bytes: Int64(status.st_size)))
      }
    }
  }

  private mutating func addFolder(_ path: FilePath) {
    guard let folder = path.withCString({ opendir($0) }) else {
      unreadable.append((path, String(cString: strerror(errno))))
      return
    }
    var names: [[UInt8]] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
      if name != [0x2e] && name != [0x2e, 0x2e] { names.append(name) }
    }
    closedir(folder)
    for name in names { add(path.appending(name), isNamed: false) }
  }
}

extension [UInt8] {
  fileprivate func hasSuffix(_ end: [UInt8]) -> Bool {
    count >= end.count && suffix(end.count).elementsEqual(end)
  }
}
