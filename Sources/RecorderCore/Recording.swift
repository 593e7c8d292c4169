import CProbeObject
import CRecorderShim
import CTraceRecords
import ProbeSites
import TraceContainer

/// One recording from start to end: prepare, run, finish.
public final class Recording {
  private let options: RecordOptions
  private let arguments: [String]
  private let target: TargetProcess
  private let object: ProbeObject
  private let output: TraceOutput
  private let drain: Drain
  private let probes: EngineProbes
  private var journal: Journal
  private let console: Console
  private var reason = PI_END_TARGET_EXITED
  /// The command halts whenever it has mapped code, until the engine is found.
  private var isHalting = false

  /// Checks the machine, makes the output, forks the command and loads the BPF programs; nothing of
  /// the target has run when it returns.
  public init(options: RecordOptions, arguments: [String]) throws(RecorderError) {
    self.options = options
    self.arguments = arguments
    console = Console(verbosity: options.verbosity)
    try Preflight.check()
    switch options.target {
    case .command(let command):
      target = try TargetProcess(starting: command, outputToStandardError: options.output == "-")
    case .process(let pid): target = try TargetProcess(attachingTo: pid)
    }
    output = try TraceOutput(
      path: options.output ?? Recording.defaultOutput(for: options.target),
      compressionLevel: options.compressionLevel)
    shim_catch_signals()
    var settings = Layout.current.settings
    settings.root_tgid = UInt32(bitPattern: target.pid)
    settings.record_structure = options.structure ? 1 : 0
    settings.record_experts = options.experts && options.structure ? 1 : 0
    settings.token_limit = UInt32(options.tokens ?? 0)
    let roles = options.level.roles
    object = try ProbeObject(
      settings: settings, roles: roles, canHalt: target.isChild,
      bufferBytes: UInt32(options.bufferMebibytes) << 20, showLog: options.verbosity > 0)
    drain = try Drain(events: object.events, output: output)
    probes = EngineProbes(object: object, roles: roles)
    journal = Journal(output: output, object: object, drain: drain)
    writeHead()
  }

  /// Records until the target ends, a limit is reached or a signal comes; then waits for a command.
  ///
  /// - Returns: the exit status for `pi-record`.
  public func run() throws(RecorderError) -> Int32 {
    let start = shim_clock_monotonic()
    if case .command(let command) = options.target {
      isHalting = object.haltOnMapping()
      do throws(RecorderError) { try target.release(command[0]) } catch {
        output.discard()
        throw error
      }
    } else if try !examine() {
      output.discard()
      throw notAnEngine()
    }
    do throws(RecorderError) { try loop(since: start) } catch {
      finish(PI_END_ERROR)
      target.wait()
      throw error
    }
    finish(reason)
    console.finish(summary(since: start))
    try reportSilentSites()
    return try exitStatus()
  }

  private func loop(since start: UInt64) throws(RecorderError) {
    let tick: UInt64 = 1_000_000
    var nextExamination: UInt64 = 0
    var nextFlush = start + 1_000_000_000
    while true {
      let now = shim_clock_monotonic()
      target.poll()
      if now >= nextExamination, !target.hasEnded {
        _ = try examine()
        nextExamination = now + examinationInterval(elapsed: now - start)
      }
      if isHalting {
        if isComplete {
          isHalting = false
          object.stopHalting()
        }
        try continueHalted()
      }
      drain.drain()
      journal.recordNewThreads()
      if now >= nextFlush {
        journal.recordState()
        output.flush()
        console.progress(
          steps: drain.tokenSteps, events: drain.records, lost: journal.lost, bytes: output.writtenBytes)
        nextFlush = now + 1_000_000_000
      }
      if let failure = output.failure { throw failure }
      if let end = endReason(now: now, start: start) {
        reason = end
        return
      }
      // Waking costs the target 4 us a time, so the buffer is emptied on a timer: 4 MiB hold
      // 130,000 records, 10 ms of the fastest engine seen fill a tenth of that.
      shim_sleep_ns(isHalting ? tick / 10 : isComplete ? 10 * tick : tick)
    }
  }

  /// Puts probes into what halted processes have mapped, and lets them go on.
  private func continueHalted() throws(RecorderError) {
    for pid in object.takeHalted() {
      defer { _ = shim_kill(pid, shim_sigcont) }
      repeat {
        if let metadata = try probes.examine(pid, isHalted: true, stop: false) {
          output.writeMetadata(metadata)
        }
        // Another of its threads may have mapped something meanwhile; SIGCONT would undo that halt, too.
      } while object.takeHalted(pid)
    }
  }

  /// Often while the engine is still being loaded, so that its first token is not missed; seldom
  /// afterwards, for backends loaded later and new processes.
  private func examinationInterval(elapsed: UInt64) -> UInt64 {
    if isComplete { return 100_000_000 }
    return elapsed < 10_000_000_000 ? 1_000_000 : 10_000_000
  }

  /// Every layer that the level asks for has a probe.
  private var isComplete: Bool {
    guard probes.has(.tokenDecode) || probes.has(.tokenProcess) else { return false }
    if options.level.rawValue >= Level.graph.rawValue, !probes.has(.graph) { return false }
    return options.level != .op || probes.has(.opBegin)
  }

  /// - Returns: whether something new was found.
  private func examine() throws(RecorderError) -> Bool {
    for (pid, parent) in target.newDescendants() {
      object.follow(pid)
      journal.recordProcess(pid, parent: parent)
    }
    var found = false
    for pid in target.family {
      let stop = target.isChild && !isHalting
      guard let metadata = try probes.examine(pid, isHalted: false, stop: stop) else { continue }
      output.writeMetadata(metadata)
      found = true
    }
    return found
  }

  private func endReason(now: UInt64, start: UInt64) -> pi_end_reason? {
    if shim_signals_caught() > 0 { return PI_END_INTERRUPTED }
    if target.hasEnded { return PI_END_TARGET_EXITED }
    if object.state.pointee.stopped != 0 { return PI_END_TOKENS }
    if let duration = options.durationNanoseconds, now - start >= duration { return PI_END_DURATION }
    return nil
  }

  /// Stops the probes, then writes what they left and the end; in this order nothing is lost.
  private func finish(_ reason: pi_end_reason) {
    object.state.pointee.stopped = 1
    object.detach()
    for pid in object.takeHalted() { _ = shim_kill(pid, shim_sigcont) }
    drain.drain()
    journal.recordNewThreads()
    if target.hasEnded { journal.recordExit(of: target) }
    journal.recordSites(probes.attached.map { $0.site.role })
    journal.recordState()
    output.flush()
    journal.recordEnd(reason)
    output.flush(kind: .end)
  }

  private func exitStatus() throws(RecorderError) -> Int32 {
    if let failure = output.failure { throw failure }
    guard target.isChild else { return 0 }
    if shim_signals_caught() > 0 { target.signal(shim_last_signal()) }
    if !target.hasEnded, shim_signals_caught() == 0 {
      console.note("recording ended; waiting for the command (process \(target.pid)) to end")
    }
    let before = shim_signals_caught()
    while !target.hasEnded, shim_signals_caught() == before { target.wait() }
    if !target.hasEnded { return 128 + shim_last_signal() }
    let status = target.exitStatus ?? 0
    if status == 0, probes.attached.isEmpty, reason == PI_END_TARGET_EXITED { throw notAnEngine() }
    return status
  }

  private func notAnEngine() -> RecorderError {
    RecorderError(
      "no llama.cpp found in process \(target.pid): none of its executable files has the functions to probe",
      hints: [
        "is it the process that computes? A server may compute in a child process",
        "a static executable must keep its symbols: do not strip it",
      ])
  }

  /// A probe that is in place and never fires while tokens pass means that the trace lacks a layer.
  private func reportSilentSites() throws(RecorderError) {
    guard drain.tokenSteps > 0 || SiteRole.ubatch.hits(in: drain) > 0 else { return }
    for role in [SiteRole.graph, .opBegin, .barrierLoop] where probes.has(role) && role.hits(in: drain) == 0 {
      console.note("\(role.rawValue) was probed but never ran: this layer is missing from the trace")
    }
    if !isComplete {
      console.note(
        "not every layer of --level \(options.level.name) could be probed; prof-analyze info says which")
    }
  }

  private func summary(since start: UInt64) -> String {
    let milliseconds = (shim_clock_monotonic() - start) / 1_000_000
    return "\(drain.tokenSteps) token steps, \(drain.records) events, \(journal.lost) lost, "
      + "\(output.writtenBytes) bytes in \(milliseconds / 1000).\(milliseconds / 100 % 10) s -> \(output.path)"
  }

  private func writeHead() {
    var identifier = [UInt8](repeating: 0, count: 16)
    _ = identifier.withUnsafeMutableBytes { shim_random($0.baseAddress, 16) }
    var features: UInt64 = 0
    if options.structure, options.level != .token { features |= UInt64(PI_FEATURE_OPT_STRUCTURE) }
    if options.structure, options.experts, options.level == .op { features |= UInt64(PI_FEATURE_OPT_EXPERTS) }
    output.writeHeader(
      FileHeader(
        optionalFeatures: features, traceID: identifier, createdRealtime: UInt64(shim_clock_realtime()),
        machine: Recording.elfMachine))
    var json = JSONWriter()
    json.object { json in
      json.object("recorder") { json in
        json.string("name", "pi-record")
        json.string("version", piRecordVersion)
        json.array("arguments") { json in for argument in arguments { json.string(nil, argument) } }
        json.object("options") { json in
          json.string("level", options.level.name)
          json.bool("structure", options.structure)
          json.bool("experts", options.experts)
          json.number("buffer_bytes", options.bufferMebibytes << 20)
          json.number("compress", options.compressionLevel)
        }
      }
      MachineFacts.write(to: &json)
      json.object("target") { json in
        json.number("pid", target.pid)
        json.array("command") { json in for word in commandLine { json.string(nil, word) } }
        if let executable = System.link(at: "/proc/\(target.pid)/exe"), !target.isChild {
          json.string("executable", executable)
        }
        json.bool("started_by_recorder", target.isChild)
      }
      Layout.current.write(to: &json)
    }
    output.writeMetadata(json)
  }

  private var commandLine: [String] {
    switch options.target {
    case .command(let command): return command
    case .process(let pid):
      guard let bytes = System.contents(of: "/proc/\(pid)/cmdline") else { return [] }
      return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }
  }

  private static func defaultOutput(for target: Target) -> String {
    let name: String
    switch target {
    case .command(let command):
      name =
        command[0].utf8.split(separator: UInt8(ascii: "/")).last.map {
          String(decoding: Array($0), as: UTF8.self)
        } ?? "trace"
    case .process(let pid): name = System.line(of: "/proc/\(pid)/comm") ?? "trace"
    }
    var stamp = [CChar](repeating: 0, count: 17)
    stamp.withUnsafeMutableBufferPointer { shim_utc_stamp(shim_clock_realtime(), $0.baseAddress) }
    return name + "-" + String(decoding: stamp.prefix(16).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      + ".pitrace"
  }

  #if arch(x86_64)
    private static let elfMachine: UInt32 = 62
  #else
    private static let elfMachine: UInt32 = 183
  #endif
}

public let piRecordVersion = "0.1.0"
