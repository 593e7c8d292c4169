import CProbeObject
import CRecorderShim
import CTraceRecords
import ProbeSites
import TraceContainer

/// How a recording ends, and what the user is told of it.
extension Recording {
  /// Stops the probes, then writes what they left and the end; in this order nothing is lost.
  func finish(_ reason: pi_end_reason) {
    object.state.pointee.stopped = 1
    links.detach()
    object.resumeAll()
    if watchdog >= 0 { shim_close(watchdog) }
    watchdog = -1
    while drain.drain() > 0 {}
    journal.recordNewThreads()
    if target.hasEnded {
      target.wait()
      journal.recordExit(of: target)
    }
    journal.recordSites(
      probes.attached.map { $0.site.role }, silent: silentRoles, givenUp: probes.givenUp)
    journal.recordState()
    journal.recordDevice(device)
    journal.recordCounters(counters)
    output.flush()
    journal.recordEnd(reason)
    output.flush(kind: .end)
  }

  func exitStatus() throws(RecorderError) -> Int32 {
    if let failure = output.failure { throw failure }
    guard target.isChild else { return 0 }
    if !target.hasEnded, shim_signals_caught() == 0 {
      console.note("recording ended; waiting for the command (process \(target.pid)) to end")
    }
    waitForTarget()
    if !target.hasEnded { return 128 + shim_last_signal() }
    let status = target.exitStatus ?? 0
    if status == 0, probes.attached.isEmpty, reason == PI_END_TARGET_EXITED { throw notAnEngine() }
    return status
  }

  /// Waits for the command to end. A signal is passed on to it, and the next one ends the wait.
  func waitForTarget() {
    var passedOn: Int32 = 0
    while !target.hasEnded {
      let caught = shim_signals_caught()
      if caught > passedOn {
        if passedOn > 0 { return }
        passedOn = caught
        if !shim_last_signal_reached_all() { target.signal(shim_last_signal()) }
      }
      target.wait()
    }
  }

  func notAnEngine() -> RecorderError {
    RecorderError(
      "no llama.cpp found in process \(target.pid): none of its executable files has the functions to probe",
      hints: [
        "is it the process that computes? A server may compute in a child process",
        "a static executable must keep its symbols: do not strip it",
      ])
  }

  /// Roles whose probes are in place and never fired although tokens passed. Those of the other token interface,
  /// of samplers and of devices that were not used are silent in every run.
  var silentRoles: [SiteRole] {
    guard drain.tokenSteps > 0 || SiteRole.ubatch.hits(in: drain) > 0 else { return [] }
    let expected: [SiteRole] = [.ubatch, .backendGraph, .graph, .opBegin, .barrierLoop, .barrierFinal]
    return expected.filter { probes.has($0) && $0.hits(in: drain) == 0 }
  }

  func reportSilentSites() {
    for role in silentRoles {
      if role == .backendGraph, SiteRole.graph.hits(in: drain) > 0 {
        console.note(
          "graphs of other backends than the CPU are not in the trace: this build inlines what is probed")
        continue
      }
      console.note("\(role.rawValue) was probed but never ran: this layer is missing from the trace")
    }
    let notFollowed = object.state.pointee.not_followed
    if notFollowed > 0 {
      console.note(
        "\(notFollowed) processes of the command found no room to be followed: nothing of them is recorded")
    }
    if drain.tokenSteps > 0, !isComplete {
      console.note(
        "not every layer of --level \(options.level.name) could be probed; prof-analyze info says which")
    }
  }

  func summary(since start: UInt64) -> String {
    let milliseconds = (shim_clock_monotonic() - start) / 1_000_000
    return "\(drain.tokenSteps) token steps, \(drain.records) events, \(journal.lost) lost, "
      + "\(output.writtenBytes) bytes in \(milliseconds / 1000).\(milliseconds / 100 % 10) s -> \(output.path)"
  }
}
