import CTraceRecords
import TraceModel

extension RunBuilder {
  private static let maxProbeGaps = 4096

  /// A record of the recorder's user space that is about a moment of the run.
  mutating func reading(_ record: RecordView, _ time: UInt64) {
    let value: Reading.Value
    switch record.type {
    case RecordType.frequency: value = .frequency(cpu: Int(record.cpu), kilohertz: record.ref)
    case RecordType.temperature:
      guard let read = record.read(pi_temperature.self) else { return oddities.count(.shortRecord) }
      value = .temperature(zone: Int(record.ref), millicelsius: read.millicelsius)
    case RecordType.counter:
      guard let read = record.read(pi_counter.self) else { return oddities.count(.shortRecord) }
      guard record.ref < UInt32(PI_COUNTERS_CAPACITY), read.value != PI_COUNTER_UNREAD else { return }
      value = .counter(
        cpu: Int(record.cpu), column: Int(record.ref), value: read.value, enabled: read.enabled_ns,
        running: read.running_ns)
    default: return probes(record, time)
    }
    output.append(.reading(Reading(time: TraceTime(nanoseconds: time), value: value)))
  }

  private mutating func probes(_ record: RecordView, _ time: UInt64) {
    let speed = Double(record.ref) / 1000
    switch pi_probes(rawValue: UInt32(record.flags)) {
    case PI_PROBES_DROPPED:
      // No recorder acts that often; each time costs a look at all threads.
      guard probeGap == nil, probeGaps < Self.maxProbeGaps else { return }
      probeGaps += 1
      probeGap = (time, speed)
    case PI_PROBES_RESUMED:
      guard probeGap != nil else { return }
      endProbeGap(time, resumedAt: speed)
    default: return
    }
    markWithoutProbes()
    forgetOperators()
  }

  /// Ends the interval without operator probes at `time`.
  mutating func endProbeGap(_ time: UInt64, resumedAt: Double?) {
    guard let gap = probeGap else { return }
    probeGap = nil
    output.append(
      .probes(
        ProbeGap(
          range: TimeRange(
            start: .init(nanoseconds: gap.begin), end: .init(nanoseconds: max(time, gap.begin))),
          droppedAt: gap.speed, resumedAt: resumedAt)))
  }

  /// What is open now cannot be vouched for: its operators were not all recorded.
  private mutating func markWithoutProbes() {
    for caller in callers.indices { callers[caller].step?.hasOperatorProbes = false }
    for slot in activeRuns { runs[Int(slot)].hasOperatorProbes = false }
  }

  /// The ends of operators that are open were, or will be, not recorded.
  private mutating func forgetOperators() {
    for thread in 0..<threadCount where threads[thread].activity != .idle {
      if threads[thread].activity == .inBarrier { emitWaiting(thread) }
      threads[thread].activity = .idle
    }
  }
}
