import CProbeObject
import CRecorderShim
import CTraceRecords
import ProbeSites

/// The recorder's own records: losses, cost, threads, clocks, the end.
struct Journal {
  private let output: TraceOutput
  private let object: ProbeObject
  private let drain: Drain
  /// Records lost so far on all CPUs, as of the last `recordState`.
  private(set) var lost: UInt64 = 0

  init(output: TraceOutput, object: ProbeObject, drain: Drain) {
    self.output = output
    self.object = object
    self.drain = drain
  }

  private func head(
    _ type: pi_record_type, tid: UInt32 = 0, cpu: Int = 0, flags: UInt8 = 0, ref: UInt32 = 0
  ) -> pi_record {
    pi_record(
      time_ns: shim_clock_monotonic(), tid: tid, cpu: UInt16(truncatingIfNeeded: cpu),
      type: UInt8(type.rawValue), flags: flags, sequence: 0, ref: ref)
  }

  /// Losses of every CPU that recorded something, the recorder's cost, and the clocks.
  mutating func recordState() {
    lost = 0
    for (cpu, counters) in object.readCounters().enumerated() where counters.sequence > 0 {
      lost += counters.lost
      output.append(
        pi_loss(
          head: head(PI_RECORD_LOSS, cpu: cpu), lost_records: counters.lost, unreadable: counters.unreadable,
          experts_cut: counters.experts_cut, last_sequence: counters.sequence))
    }
    output.append(
      pi_cost(
        head: head(PI_RECORD_COST), cpu_ns: shim_cpu_time_ns(), resident_bytes: shim_peak_resident_bytes(),
        written_bytes: output.writtenBytes, records: drain.records))
    output.append(
      pi_clock(
        head: head(PI_RECORD_CLOCK), boottime_ns: shim_clock_boottime(), realtime_ns: shim_clock_realtime()))
  }

  /// What the counters counted so far, and for how much of the time.
  func recordCounters(_ counters: Counters) {
    counters.read { column, cpu, value in
      output.append(
        pi_counter(
          head: head(PI_RECORD_COUNTER, cpu: cpu, ref: UInt32(column)), value: value.value,
          enabled_ns: value.enabled_ns, running_ns: value.running_ns))
    }
  }

  func recordDevice(_ device: DeviceState) {
    device.readFrequencies { cpu, kilohertz in
      output.append(head(PI_RECORD_FREQUENCY, cpu: cpu, ref: kilohertz))
    }
    device.readTemperatures { zone, millicelsius in
      output.append(
        pi_temperature(
          head: head(PI_RECORD_TEMPERATURE, ref: UInt32(zone)), millicelsius: millicelsius, reserved: 0))
    }
  }

  func recordProbes(_ change: pi_probes, tokensPerSecond: Double) {
    output.append(
      head(
        PI_RECORD_PROBES, flags: UInt8(change.rawValue),
        ref: UInt32(min(tokensPerSecond * 1000, Double(UInt32.max)))))
  }

  /// Names the threads whose records have begun to arrive, while they live.
  func recordNewThreads() {
    for thread in drain.takeNewThreads() {
      guard let name = System.line(of: "/proc/\(thread)/comm"), let process = ProcessMaps.process(of: thread)
      else { continue }
      var record = pi_thread()
      record.head = head(PI_RECORD_THREAD, tid: thread)
      record.tgid = process
      withUnsafeMutableBytes(of: &record.comm) { $0.copyBytes(from: name.utf8.prefix(15)) }
      output.append(record)
    }
  }

  func recordProcess(_ process: Int32, parent: Int32) {
    output.append(
      head(PI_RECORD_PROCESS, tid: UInt32(bitPattern: process), ref: UInt32(bitPattern: parent)))
  }

  func recordExit(of target: TargetProcess) {
    let status = target.waitStatus.map { UInt32(bitPattern: $0) } ?? PI_UNKNOWN_COUNT
    output.append(head(PI_RECORD_EXIT, tid: UInt32(bitPattern: target.pid), ref: status))
  }

  /// Sites of one role share its count: their records do not tell them apart.
  ///
  /// - Parameter givenUp: sites that were silent until others took their place.
  func recordSites(_ roles: [SiteRole], silent: [SiteRole], givenUp: [Int]) {
    for (index, role) in roles.enumerated() {
      let isSilent = silent.contains(role) || givenUp.contains(index)
      var flags: UInt32 = isSilent ? PI_SITE_SILENT.rawValue : 0
      let sharing = roles.indices.filter { roles[$0] == role && !givenUp.contains($0) }
      if !isSilent, sharing.count > 1 { flags |= PI_SITE_SHARED.rawValue }
      output.append(
        pi_site(
          head: head(PI_RECORD_SITE, flags: UInt8(flags), ref: UInt32(index)),
          hits: isSilent ? 0 : role.hits(in: drain)))
    }
  }

  func recordEnd(_ reason: pi_end_reason) {
    output.append(
      pi_end(
        head: head(PI_RECORD_END, flags: UInt8(reason.rawValue)), records: drain.records, lost_records: lost,
        chunks: output.chunks, reserved: 0))
  }
}
