import Foundation

/// Reads many traces into an archive, several at a time.
public struct Batch: Sendable {
  public struct Options: Sendable {
    /// Traces that are read at the same time.
    public var jobs = 1
    /// Writes the page of each run too.
    public var withReports = false
    /// Reads traces again that are known.
    public var readsAgain = false
    /// For one trace; then it counts as failed.
    public var secondsAllowed = 600
    /// The program that reads a trace: it is called as `prof-analyze tables`.
    public var program = "/proc/self/exe"
    /// Its name and version.
    public var analyzer: String

    public init(analyzer: String) { self.analyzer = analyzer }
  }

  public struct Progress: Sendable {
    public var traces: Int
    public var done = 0
    public var bad = 0
    /// Bytes of the traces that were read, and of those that are left.
    public var readBytes: Int64 = 0
    public var leftBytes: Int64
  }

  /// What became of a trace.
  public enum Result: Sendable, Equatable {
    case read(losses: [String])
    case known(losses: [String])
    case bad(reason: String)
  }

  public struct Outcome: Sendable {
    /// In order of their paths.
    public var results: [(path: FilePath, result: Result)] = []

    public var isPartial: Bool {
      results.contains {
        switch $0.result {
        case .read(let losses), .known(let losses): !losses.isEmpty
        case .bad: true
        }
      }
    }
  }

  let archive: Archive
  let options: Options

  public init(_ archive: Archive, _ options: Options) {
    self.archive = archive
    self.options = options
  }

  /// Reads what is not known yet.
  ///
  /// - Parameter report: is called after each trace, by one thread at a time.
  /// - Throws: `ArchiveError` when results cannot be written; those written before stay.
  public func run(_ found: TraceFinder, report: @escaping @Sendable (Progress) -> Void) throws(ArchiveError)
    -> Outcome
  {
    let lock = try BatchLock(archive.folder)
    defer { lock.release() }
    try archive.removeLeftovers()
    // Who ignores the ends of children would not be told how workers ended.
    signal(SIGCHLD, SIG_DFL)
    let state = BatchState(found.traces, report)
    let group = DispatchGroup()
    for _ in 0..<max(min(options.jobs, found.traces.count), 1) {
      group.enter()
      Thread.detachNewThread {
        while let index = state.next() { read(index, state) }
        group.leave()
      }
    }
    group.wait()
    // Equal contents that came up while the first of them was being read.
    for index in state.deferred { read(index, state) }
    // Of workers that were ended from outside.
    try archive.removeLeftovers()
    if let failure = state.failure { throw failure }
    var outcome = Outcome(results: state.results)
    for (path, reason) in found.unreadable {
      outcome.results.append((path, .bad(reason: "cannot be read: \(reason)")))
    }
    outcome.results.sort { $0.path < $1.path }
    return outcome
  }

  private func read(_ index: Int, _ state: BatchState) {
    do throws(ArchiveError) {
      guard let result = try result(of: index, state) else { return }
      state.finish(index, result)
    } catch {
      state.fail(error)
    }
  }

  /// nil when another slot is at the same content.
  private func result(of index: Int, _ state: BatchState) throws(ArchiveError) -> Result? {
    let path = state.traces[index].path
    var status = stat()
    guard path.withCString({ stat($0, &status) }) == 0 else {
      return try failed(path, nil, Self.cause(errno))
    }
    guard status.st_mode & S_IFMT == S_IFREG else { return try failed(path, nil, "this is no file") }
    let stamp = FileStamp(status)
    if !options.readsAgain, let id = try archive.content(of: path, stamp),
      let known = try known(id, path, nil)
    {
      return known
    }
    let trace = path.withCString { open($0, O_RDONLY | O_CLOEXEC | O_NONBLOCK) }
    guard trace >= 0 else { return try failed(path, nil, Self.cause(errno)) }
    defer { close(trace) }
    guard fstat(trace, &status) == 0, let id = ContentID(reading: trace) else {
      return try failed(path, nil, "cannot be read: \(String(cString: strerror(errno)))")
    }
    guard state.claim(id) else {
      state.putOff(index)
      return nil
    }
    defer { state.release(id) }
    if !options.readsAgain, let known = try known(id, path, FileStamp(status)) { return known }
    return try read(trace, id, path, FileStamp(status))
  }

  /// - Parameter stamp: of the file, where it is not noted yet.
  private func known(_ id: ContentID, _ path: FilePath, _ stamp: FileStamp?) throws(ArchiveError) -> Result? {
    switch try archive.standing(id, analyzer: options.analyzer, withReport: options.withReports) {
    case .unknown: return nil
    case .read(let losses):
      if let stamp { try archive.note(path, stamp, id) }
      return .known(losses: losses)
    case .bad(let reason): return try failed(path, id, reason, isPermanent: true)
    }
  }

  private func read(_ trace: Int32, _ id: ContentID, _ path: FilePath, _ stamp: FileStamp)
    throws(ArchiveError) -> Result
  {
    let folder = archive.runFolder(id)
    var arguments = ["tables", "-", "-o", folder, "--name=\(path)"]
    if options.withReports { arguments.append("--report") }
    let worker = Worker(
      program: options.program, arguments: arguments, secondsAllowed: options.secondsAllowed)
    let (ending, messages) = worker.run(on: trace)
    let reason = Self.reason(messages)
    switch ending {
    case .status(0), .status(4): return try add(folder, id, path, stamp)
    case .status(3): return try failed(path, id, reason ?? "this is no trace", isPermanent: true)
    case .status(5): throw .workerCannotWrite(reason ?? "\(folder): cannot be written")
    case .status(let status):
      return try failed(path, id, reason ?? "the analyzer ended with status \(status)")
    case .signal(let signal):
      let name = strsignal(signal).map { String(cString: $0) } ?? ""
      return try failed(path, id, "the analyzer was ended by signal \(signal) (\(name))")
    case .tooLong:
      return try failed(path, id, "not read within \(options.secondsAllowed) s; --timeout allows it more")
    case .notStarted(let code):
      throw .cannotWrite(folder, cause: "the analyzer cannot be started: \(String(cString: strerror(code)))")
    }
  }

  private func add(_ folder: String, _ id: ContentID, _ path: FilePath, _ stamp: FileStamp)
    throws(ArchiveError) -> Result
  {
    let file = "\(folder)/\(RunFolder.File.summary.rawValue)"
    guard let data = FileManager.default.contents(atPath: file), let summary = try? RunSummary(json: data)
    else {
      return try failed(path, id, "\(file) is not there or no summary")
    }
    guard summary.id == id else {
      RunFolder.remove(folder)
      return try failed(path, nil, "it changed while it was read; run batch again when it is complete")
    }
    do {
      try archive.add(summary, from: path, stamp)
    } catch .notAccepted(let cause) {
      RunFolder.remove(folder)
      return try failed(path, id, ArchiveError.notAccepted(cause).description)
    }
    return .read(losses: summary.quality.losses)
  }

  private func failed(_ path: FilePath, _ id: ContentID?, _ reason: String, isPermanent: Bool = false)
    throws(ArchiveError) -> Result
  {
    try archive.fail(path, id, analyzer: options.analyzer, isPermanent: isPermanent, reason: reason)
    return .bad(reason: reason)
  }

  private static func cause(_ code: Int32) -> String {
    "cannot be opened: \(String(cString: strerror(code)))"
  }

  /// What a worker said, without the program's and the file's name.
  private static func reason(_ messages: String) -> String? {
    let lines = messages.split(separator: "\n").map { line in
      var line = line[...]
      for start in ["prof-analyze: ", "standard input: "] where line.hasPrefix(start) {
        line = line.dropFirst(start.count)
      }
      return String(line)
    }
    return lines.isEmpty ? nil : lines.prefix(3).joined(separator: "; ")
  }
}
