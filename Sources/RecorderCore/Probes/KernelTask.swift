import CProbeObject
import CRecorderShim

/// Where the kernel keeps a task's numbers, name and state: offsets in its `task_struct`.
///
/// They differ with version and configuration. The recorder learns them from copies of its children's tasks: it knows
/// what must be in there.
struct KernelTask: Equatable {
  var pid: Int
  var tgid: Int
  var comm: Int
  /// nil where the tracepoint tells the state by itself (Linux 5.18).
  var state: Int?

  /// A copy of a running task of which the numbers and the name are known.
  struct Sample {
    var bytes: [UInt8]
    var pid: UInt32
    var comm: [UInt8]
  }

  /// - Parameters:
  ///   - running: copies of single-threaded tasks with different numbers.
  ///   - sleeping: a copy of a task that was just going to sleep.
  /// - Returns: nil where the copies do not tell.
  static func locate(running: [Sample], sleeping: [UInt8]?) -> KernelTask? {
    guard let first = running.first, running.count > 1 else { return nil }
    // `pid_t pid; pid_t tgid;` stand beside each other; of a single-threaded process they are the same.
    let numbers = stride(from: 0, to: first.bytes.count - 8, by: 4).filter { at in
      running.allSatisfy { $0.bytes.u32(at) == $0.pid && $0.bytes.u32(at + 4) == $0.pid }
    }
    let names = (0..<(first.bytes.count - 16)).filter { at in
      running.allSatisfy { sample in sample.bytes[at..<(at + 16)].elementsEqual(sample.comm) }
    }
    guard let pid = numbers.first, numbers.count == 1, let comm = names.first, names.count == 1 else {
      return nil
    }
    var task = KernelTask(pid: pid, tgid: pid + 4, comm: comm, state: nil)
    if let sleeping {
      // The first fields: thread_info, then the state, a long or since 5.14 an int. 0 while running.
      let interruptible: UInt32 = 1
      let states = stride(from: 0, to: 96, by: 4).filter { at in
        sleeping.u32(at) == interruptible && running.allSatisfy { $0.bytes.u32(at) == 0 }
      }
      guard let state = states.first, states.count == 1 else { return nil }
      task.state = state
    }
    return task
  }

  /// Takes the copies and writes what they tell into the programs' state.
  ///
  /// - Returns: nil where that did not work: then scheduler events cannot be recorded, nor children followed at once.
  static func calibrate(_ object: ProbeObject, _ links: ProbeLinks) -> KernelTask? {
    var samples: [Sample] = []
    for round in UInt32(0)..<2 {
      guard let child = shim_fork_sleeper("pi-calibrate-\(round)").nonNegative else { return nil }
      defer { shim_end_sleeper(child) }
      object.state.pointee.calibrated_process = UInt32(bitPattern: child)
      object.state.pointee.calibration_round = round
      var copy: [UInt8]?
      links.withCalibration(sleeping: false) { copy = wait(for: round, object) }
      guard let copy else { return nil }
      var name = Array("pi-calibrate-\(round)".utf8)
      name += [UInt8](repeating: 0, count: 16 - name.count)
      samples.append(Sample(bytes: copy, pid: UInt32(bitPattern: child), comm: name))
    }
    guard let task = complete(samples, object, links) else { return nil }
    object.state.pointee.task_pid = UInt32(task.pid)
    object.state.pointee.task_tgid = UInt32(task.tgid)
    object.state.pointee.task_comm = UInt32(task.comm)
    object.state.pointee.task_state = UInt32(task.state ?? 0)
    return task
  }

  /// Adds the state's place where it is needed, from copies of one more child, which differs from the others in nothing
  /// else. One copy does not always do: a task that loses its CPU on the way back to its program leaves it as one that
  /// sleeps does, and is still running.
  private static func complete(
    _ samples: [Sample], _ object: ProbeObject, _ links: ProbeLinks
  ) -> KernelTask? {
    guard KernelVersion.current < KernelVersion(5, 18) else {
      return locate(running: samples, sleeping: nil)
    }
    let round: UInt32 = 2
    let tries = 50
    guard let child = shim_fork_sleeper("pi-calibrate-\(round)").nonNegative else { return nil }
    defer { shim_end_sleeper(child) }
    object.state.pointee.calibrated_process = UInt32(bitPattern: child)
    object.state.pointee.calibration_round = round
    var task: KernelTask?
    links.withCalibration(sleeping: true) {
      for _ in 0..<tries where task == nil {
        guard let sleeping = wait(for: round, object) else { return }
        task = locate(running: samples, sleeping: sleeping)
        object.forgetCalibration(round: round)
      }
    }
    return task
  }

  /// The child makes a system call each millisecond, in which it sleeps.
  private static func wait(for round: UInt32, _ object: ProbeObject) -> [UInt8]? {
    for _ in 0..<500 {
      if let copy = object.calibration(round: round) { return copy }
      shim_sleep_ns(1_000_000)
    }
    return nil
  }
}

extension [UInt8] {
  fileprivate func u32(_ at: Int) -> UInt32 {
    UInt32(self[at]) | UInt32(self[at + 1]) << 8 | UInt32(self[at + 2]) << 16 | UInt32(self[at + 3]) << 24
  }
}

extension Int32 {
  fileprivate var nonNegative: Int32? { self >= 0 ? self : nil }
}
