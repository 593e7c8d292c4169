import CProbeObject
import CRecorderShim
import CTraceRecords
import ProbeSites

/// One recording from start to end: prepare, run, finish.
public final class Recording {
  let options: RecordOptions
  let arguments: [String]
  let target: TargetProcess
  let counters: Counters
  let device = DeviceState()
  let calibration: CalibrationFile?
  let output: TraceOutput
  let object: ProbeObject
  let links: ProbeLinks
  let drain: Drain
  let probes: EngineProbes
  var journal: Journal
  let console: Console
  var reason = PI_END_TARGET_EXITED
  /// The command halts whenever it has mapped code, until the engine is found.
  var isHalting = false
  /// Continues halted processes should the recorder die; negative: not needed.
  var watchdog: Int32 = -1
  /// Halted processes that were not seen to stand still yet, and when they were found.
  var stopping: [(pid: Int32, since: UInt64)] = []
  private var knownForks: UInt32 = 0
  var hasReplacedSites = false
  var recordsScheduler = false
  var speedGuard: SpeedGuard?
  /// Sentences for the metadata.
  var notes: [String] = []

  /// Checks the machine, makes the output, forks the command and loads the BPF programs; nothing of
  /// the target has run when it returns.
  public init(options: RecordOptions, arguments: [String]) throws(RecorderError) {
    self.options = options
    self.arguments = arguments
    console = Console(verbosity: options.verbosity)
    try Preflight.check()
    // Before the command is there, and while nothing else of the recorder's runs.
    var remarks: [String] = []
    calibration = try CalibrationFile.forRecording(options) { remarks.append($0) }
    switch options.target {
    case .command(let command):
      target = try TargetProcess(
        starting: command, behind: options.commandIndex, outputToStandardError: options.output == "-")
    case .process(let pid): target = try TargetProcess(attachingTo: pid)
    }
    for remark in remarks { console.note(remark) }
    notes = remarks
    output = try TraceOutput(
      path: options.output ?? Recording.defaultOutput(for: options.target),
      compressionLevel: options.compressionLevel)
    shim_catch_signals()
    // Behind the fork: the command keeps its own limit.
    let descriptors = shim_raise_descriptor_limit()
    guard descriptors >= 64 else {
      throw RecorderError(
        "this process may open only \(descriptors) files, and pi-record needs 64",
        hints: ["raise the limit: ulimit -Hn 1024, or LimitNOFILE= of the service"])
    }
    if options.compressionLevel > 4 {
      notes.append(
        "--compress \(options.compressionLevel): compressed as with 4, the highest that this recorder has")
      console.note(notes[notes.count - 1])
    }
    counters = try Counters(options.counters, units: options.counters.isEmpty ? [] : PMU.all())
    var settings = probe_settings()
    settings.root_tgid = UInt32(bitPattern: target.pid)
    settings.record_structure = options.structure ? 1 : 0
    settings.record_experts = options.experts && options.structure ? 1 : 0
    settings.token_limit = UInt32(options.tokens ?? 0)
    settings.counters = UInt32(counters.columnCount)
    settings.cpus = UInt32(PMU.cpuLimit)
    settings.switch_has_state = KernelVersion.current >= KernelVersion(5, 18) ? 1 : 0
    let roles = options.level.roles
    object = try ProbeObject(
      settings: settings,
      parts: ProbeObject.Parts(
        roles: roles, halting: target.isChild, scheduler: options.scheduler, counters: counters.columnCount,
        bufferBytes: UInt32(options.bufferMebibytes) << 20), showLog: options.verbosity > 0)
    links = ProbeLinks(object)
    drain = try Drain(
      events: object.events, bytes: UInt64(options.bufferMebibytes) << 20, output: output)
    probes = EngineProbes(object: object, links: links, roles: roles, calibration: calibration)
    journal = Journal(output: output, object: object, drain: drain)
    try counters.install(in: object.counterEvents)
    if let speed = options.minimumSpeed {
      speedGuard = SpeedGuard(limit: speed)
      drain.watchesSpeed = true
    }
    try followTasks()
    writeHead()
  }

  /// Records until the target ends, a limit is reached or a signal comes; then waits for a command.
  ///
  /// - Returns: the exit status for `pi-record`.
  public func run() throws(RecorderError) -> Int32 {
    let start = shim_clock_monotonic()
    if case .command(let command) = options.target {
      // Before there are links, which the watchdog must not keep alive.
      watchdog = object.startWatchdog()
      isHalting = options.halts && watchdog >= 0 && links.haltOnMapping()
      try target.release(command[0])
    } else if try !examine() {
      throw notAnEngine()
    }
    do throws(RecorderError) {
      try output.publish()
      try loop(since: start)
    } catch {
      finish(PI_END_ERROR)
      if target.isChild, !target.hasEnded {
        console.note("\(error.message); recording has ended, the command goes on")
        waitForTarget()
      }
      throw error
    }
    finish(reason)
    console.finish(summary(since: start))
    reportSilentSites()
    return try exitStatus()
  }

  private func loop(since start: UInt64) throws(RecorderError) {
    let tick: UInt64 = 1_000_000
    var nextExamination: UInt64 = 0
    var nextFlush = start + 1_000_000_000
    var lastHalt = start
    while true {
      let now = shim_clock_monotonic()
      target.poll()
      let forks = object.state.pointee.forks
      if now >= nextExamination || forks != knownForks, !target.hasEnded {
        knownForks = forks
        _ = try examine()
        nextExamination = now + examinationInterval(elapsed: now - start)
      }
      if isHalting {
        if isComplete || drain.tokenSteps > 0 {
          isHalting = false
          links.stopHalting()
        }
      }
      // Also when halting is over: a program that was running then may have halted somebody yet.
      if watchdog >= 0, try continueHalted(now: now) { lastHalt = now }
      let drained = drain.drain()
      journal.recordNewThreads()
      try guardSpeed(now: now)
      try replaceSilentSites()
      try adaptBarriers()
      if now >= nextFlush {
        journal.recordState()
        journal.recordDevice(device)
        journal.recordCounters(counters)
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
      // 130,000 records, 10 ms of the fastest engine seen fill a tenth of that. Where they fill a quarter,
      // there is no time to sleep.
      if drained >= UInt64(options.bufferMebibytes) << 18 { continue }
      // A process that is being loaded halts again at once; a script may sleep for minutes before it comes to that.
      let isLoading = isHalting && now - min(now, lastHalt) < 1_000_000_000
      shim_sleep_ns(isLoading ? tick / 10 : isSettled ? 10 * tick : tick)
    }
  }

  /// The engine is loaded, whatever of it was not found.
  var isSettled: Bool { isComplete || drain.tokenSteps > 0 || drain.records > 0 && !isHalting }

  /// Every layer that the level asks for has a probe.
  var isComplete: Bool {
    guard probes.has(.tokenDecode) || probes.has(.tokenProcess) else { return false }
    if options.level.rawValue >= Level.graph.rawValue, !probes.has(.graph) || !probes.knowsLayout {
      return false
    }
    return options.level != .op || probes.has(.opBegin)
  }

  private func endReason(now: UInt64, start: UInt64) -> pi_end_reason? {
    if shim_signals_caught() > 0 { return PI_END_INTERRUPTED }
    if target.hasEnded { return PI_END_TARGET_EXITED }
    if object.state.pointee.stopped != 0 { return PI_END_TOKENS }
    if let duration = options.durationNanoseconds, now - start >= duration { return PI_END_DURATION }
    return nil
  }
}

public let piRecordVersion = "0.1.0"
