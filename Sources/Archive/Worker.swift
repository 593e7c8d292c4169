import Foundation
import Synchronization

/// A process that reads one trace and writes its results.
///
/// A process of its own for each trace, so that one which is too much for the analyzer takes no other with it, and
/// memory does not add up.
struct Worker {
  enum Ending: Sendable, Equatable {
    case status(Int32)
    case signal(Int32)
    case tooLong
    case notStarted(Int32)
  }

  /// What a worker says at most; the rest is thrown away.
  private static let messageLimit = 1 << 16

  let program: String
  /// The trace is its standard input: whatever the file is called, it is the one that was opened.
  let arguments: [String]
  let secondsAllowed: Int

  /// - Returns: how it ended, and what it wrote to its standard error.
  func run(on trace: Int32) -> (Ending, messages: String) {
    let process: Process
    switch start(on: trace) {
    case .success(let started): process = started
    case .failure(let error): return (.notStarted(error.code), "")
    }
    let pid = process.pid
    defer { close(process.messages) }
    let (messages, isInTime) = listen(process.messages)
    if !isInTime { kill(pid, SIGKILL) }
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    if !isInTime { return (.tooLong, messages) }
    let signal = status & 0x7f
    return (signal == 0 ? .status(status >> 8 & 0xff) : .signal(signal), messages)
  }

  private struct Process {
    var pid: pid_t
    /// Where what it says can be read.
    var messages: Int32
  }

  private struct StartError: Error { var code: Int32 }

  /// Only one slot makes a process at a time: another one's would inherit the pipe before it is marked, and its end
  /// would not come.
  private static let starting = Mutex(())

  private func start(on trace: Int32) -> Result<Process, StartError> {
    Self.starting.withLock { _ in
      var ends: [Int32] = [-1, -1]
      guard pipe(&ends) == 0 else { return .failure(StartError(code: errno)) }
      for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
      defer { close(ends[1]) }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      posix_spawn_file_actions_adddup2(&actions, trace, 0)
      posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
      posix_spawn_file_actions_adddup2(&actions, ends[1], 2)
      var pid: pid_t = 0
      var words = ([program] + arguments).map { strdup($0) } + [nil]
      defer { for word in words { free(word) } }
      let code = posix_spawn(&pid, program, &actions, nil, &words, environ)
      guard code == 0 else {
        close(ends[0])
        return .failure(StartError(code: code))
      }
      return .success(Process(pid: pid, messages: ends[0]))
    }
  }

  /// Reads up to the end of the stream, or until time is up.
  private func listen(_ descriptor: Int32) -> (String, isInTime: Bool) {
    let end = ContinuousClock.now + .seconds(secondsAllowed)
    var text: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 14)
    while true {
      let left = end - ContinuousClock.now
      guard left > .zero else { return (String(decoding: text, as: UTF8.self), false) }
      var request = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      let milliseconds = min(left.components.seconds * 1000 + 1, 60_000)
      guard poll(&request, 1, Int32(milliseconds)) > 0 else { continue }
      let count = read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return (String(decoding: text, as: UTF8.self), true) }
      text += buffer.prefix(min(count, Self.messageLimit - text.count))
    }
  }
}
