import CRecorderShim

/// The process that is recorded: started by us, or found running.
final class TargetProcess {
  let pid: Int32
  let isChild: Bool
  private var child = shim_child()
  private let pidDescriptor: Int32
  /// The wait status of a child that ended and was reaped.
  private(set) var waitStatus: Int32?
  private(set) var hasEnded = false
  /// The process and its descendants as far as they were seen.
  private(set) var family: [Int32]

  /// Forks; the command starts at `release`, when the probes are ready.
  ///
  /// - Parameters:
  ///   - index: of the command among this process's own arguments, whose bytes are passed on as they are: what is
  ///     no UTF-8 does not survive a String.
  ///   - outputToStandardError: for a trace that goes to standard output, which both would share.
  init(starting command: [String], behind index: Int, outputToStandardError: Bool) throws(RecorderError) {
    var arguments: [UnsafeMutablePointer<CChar>?] = command.indices.map { offset in
      UnsafeMutablePointer(mutating: shim_argument(Int32(1 + index + offset)))
    }
    arguments.append(nil)
    guard shim_prepare(&arguments, outputToStandardError, &child) == 0 else {
      throw RecorderError(
        "cannot fork: \(System.lastErrorText)", hints: ["is the limit on processes reached (ulimit -u)?"])
    }
    pid = child.pid
    isChild = true
    pidDescriptor = -1
    family = [pid]
  }

  init(attachingTo pid: Int32) throws(RecorderError) {
    guard shim_kill(pid, 0) == 0 || System.lastError == 1 else {
      throw RecorderError(
        "no process \(pid): \(System.lastErrorText)", hints: ["pgrep -a llama lists candidates"])
    }
    self.pid = pid
    isChild = false
    // Linux 5.3. A pid could be used again by another process, a pidfd cannot.
    pidDescriptor = shim_pidfd(pid)
    guard pidDescriptor >= 0 else {
      let process = ProcessMaps.process(of: UInt32(bitPattern: pid)).map { Int32(bitPattern: $0) } ?? pid
      throw RecorderError(
        "cannot watch process \(pid): \(System.lastErrorText)",
        hints: process == pid ? [] : ["\(pid) is a thread: its process is --pid \(process)"])
    }
    family = [pid]
  }

  deinit { if pidDescriptor >= 0 { shim_close(pidDescriptor) } }

  /// Lets the command run.
  func release(_ name: String) throws(RecorderError) {
    let error = shim_release(&child)
    guard error != 0 else { return }
    hasEnded = true
    let notFound: Int32 = 2
    if error == notFound {
      throw RecorderError(
        "cannot run \(name): command not found", hints: ["give its path, such as ./\(name)"],
        exitStatus: RecorderError.notFoundStatus)
    }
    throw RecorderError(
      "cannot run \(name): \(System.text(of: error))", exitStatus: RecorderError.notExecutableStatus)
  }

  /// Looks whether it has ended. A child is left unreaped, so that its main thread can still be named.
  func poll() {
    if hasEnded { return }
    hasEnded = isChild ? shim_child_ended(pid) : shim_pidfd_ended(pidDescriptor)
  }

  /// Waits for a child to end and reaps it: its name is gone then, its status is here. Returns early on a signal.
  func wait() {
    guard isChild, waitStatus == nil else { return }
    var status: Int32 = 0
    if shim_wait(pid, &status) == 1 {
      waitStatus = status
      hasEnded = true
    }
  }

  func signal(_ number: Int32) { if !hasEnded { _ = shim_kill(pid, number) } }

  /// The command's own exit status as a shell gives it: 128 + signal when it died of one.
  var exitStatus: Int32? {
    guard let waitStatus else { return nil }
    let signal = waitStatus & 0x7f
    return signal == 0 ? (waitStatus >> 8) & 0xff : 128 + signal
  }

  /// Takes descendants that have ended out of the family: a shell script makes many, most of which are gone soon.
  func buryDead() -> [Int32] {
    let dead = family.filter { $0 != pid && ProcessMaps.mappedPages(of: $0) ?? 0 == 0 }
    if !dead.isEmpty { family.removeAll { dead.contains($0) } }
    return dead
  }

  /// Descendants that were not seen before, with their parents.
  func newDescendants() -> [(pid: Int32, parent: Int32)] {
    var found: [(pid: Int32, parent: Int32)] = []
    var index = 0
    while index < family.count {
      let parent = family[index]
      for process in ProcessMaps.children(of: parent) where !family.contains(process) {
        family.append(process)
        found.append((process, parent))
      }
      index += 1
    }
    return found
  }
}
