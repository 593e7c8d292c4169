import CRecorderShim

/// The target's processes: found, halted while probes are put in, and continued.
extension Recording {
  /// What needs to know the kernel's tasks: scheduler events, and children from their first instruction on.
  func followTasks() throws(RecorderError) {
    guard options.scheduler || target.isChild else { return }
    let isCalibrated = KernelTask.calibrate(object, links) != nil
    if target.isChild, !isCalibrated || !links.followForks() {
      notes.append("children of the command are followed from when they are found, some milliseconds late")
    }
    guard options.scheduler else { return }
    guard isCalibrated, links.recordScheduler() else {
      throw RecorderError(
        "--sched does not work here: "
          + (isCalibrated
            ? "the kernel has no sched_switch tracepoint: \(System.lastErrorText)"
            : "the fields of the kernel's tasks could not be found"),
        hints: ["record without --sched, and report the kernel: \(String(cString: shim_kernel_release()))"])
    }
    recordsScheduler = true
  }

  /// Puts probes into what halted processes have mapped, and lets them go on.
  ///
  /// - Returns: whether there were any.
  func continueHalted(now: UInt64) throws(RecorderError) -> Bool {
    let processes = object.haltedProcesses()
    stopping.removeAll { !processes.contains($0.pid) }
    for pid in processes {
      guard standsStill(pid, now: now) else { continue }
      var halts = object.halts(of: pid)
      defer { object.resume(pid, after: halts) }
      while true {
        if let metadata = try probes.examine(pid, isHalted: true, stop: false) {
          output.writeMetadata(metadata)
        }
        // Another of its threads may have mapped something meanwhile; SIGCONT would undo that halt, too.
        let now = object.halts(of: pid)
        if now == halts { break }
        halts = now
      }
    }
    return !processes.isEmpty
  }

  /// Kernels since 6.14, and what was corrected before, send a tracepoint's signal from an interrupt, so the entry in
  /// the list can come first: a SIGCONT then would be too early, and the process would stay stopped for good. And
  /// the SIGCONT for an earlier halt may have taken this one's signal back: so one that runs is stopped from here.
  ///
  /// - Returns: whether the process has stopped, is gone, or has not stopped for so long that it will not.
  private func standsStill(_ pid: Int32, now: UInt64) -> Bool {
    let patience: UInt64 = 1_000_000_000
    let state = ProcessMaps.state(of: pid)
    let index = stopping.firstIndex { $0.pid == pid }
    if state == nil || state == UInt8(ascii: "T") || state == UInt8(ascii: "t")
      || index.map({ now - min(now, stopping[$0].since) > patience }) ?? false
    {
      if let index { stopping.remove(at: index) }
      return true
    }
    if index == nil {
      stopping.append((pid, now))
      _ = shim_kill(pid, shim_sigstop)
    }
    return false
  }

  /// Often while the engine is still being loaded, so that its first token is not missed; seldom
  /// afterwards, for backends loaded later and new processes.
  func examinationInterval(elapsed: UInt64) -> UInt64 {
    if isSettled { return 100_000_000 }
    // Halts tell of all but new processes.
    if isHalting { return 20_000_000 }
    return elapsed < 10_000_000_000 ? 1_000_000 : 10_000_000
  }

  /// - Returns: whether something new was found.
  func examine() throws(RecorderError) -> Bool {
    for pid in target.buryDead() {
      probes.forget(pid)
      object.unfollow(pid)
    }
    let descendants = target.newDescendants()
    for (pid, parent) in descendants {
      object.follow(pid)
      journal.recordProcess(pid, parent: parent)
    }
    for (pid, _) in descendants where probes.knowsLayout && probes.hasMappedEngine(pid) {
      // It has the engine without having loaded it: forked, and its probes come only now.
      let note =
        "process \(pid) was forked from one that had the engine loaded: its first token steps may be missing"
      console.note(note)
      var json = JSONWriter()
      json.object { json in json.array("notes") { json in json.string(nil, note) } }
      output.writeMetadata(json)
    }
    var found = false
    for pid in target.family {
      let stop = target.isChild && options.halts && !isHalting
      guard let metadata = try probes.examine(pid, isHalted: false, stop: stop) else { continue }
      output.writeMetadata(metadata)
      found = true
    }
    return found
  }
}
