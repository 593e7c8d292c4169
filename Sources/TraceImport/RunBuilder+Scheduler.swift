import CTraceRecords
import TraceModel

extension RunBuilder {
  /// A record written by the thread itself shows that it is running.
  @inline(__always)
  mutating func noteRunning(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    if scheduling[thread].activity == .running { return }
    noteUnexpectedlyRunning(record, thread, now)
  }

  private mutating func noteUnexpectedlyRunning(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    switch record.type {
    case RecordType.switchOut, RecordType.switchIn, RecordType.wakeup: return
    default: break
    }
    // At the recording's start there was no switch to see; later it was lost, and with it how long the thread waited.
    if scheduling[thread].activity != .unknown { oddities.count(.missingSwitch) }
    begin(.running, thread, now, cpu: record.cpu)
  }

  mutating func switchOut(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    guard var out = record.read(pi_switch_out.self) else { return oddities.count(.shortRecord) }
    var next: Preemptor?
    // The idle task takes no core from anybody.
    if record.ref != 0 {
      let name = withUnsafeBytes(of: &out.next_comm) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      next = Preemptor(
        thread: ThreadID(record.ref), process: out.next_tgid == PI_UNKNOWN_COUNT ? nil : out.next_tgid,
        name: name)
    }
    switch scheduling[thread].activity {
    case .running: endSlice(thread, now, successor: next)
    case .unknown: break
    case .runnable, .blocked, .ended: oddities.count(.missingSwitch)
    }
    scheduling[thread].cpu = Int32(record.cpu)
    switch pi_thread_state(rawValue: UInt32(record.flags)) {
    case PI_THREAD_RUNNABLE:
      begin(.runnable, thread, now, cpu: nil)
      scheduling[thread].preemptor = next
    case PI_THREAD_SLEEPING, PI_THREAD_WAITING, PI_THREAD_STOPPED: begin(.blocked, thread, now, cpu: nil)
    case PI_THREAD_ENDED: begin(.ended, thread, now, cpu: nil)
    default: begin(.unknown, thread, now, cpu: nil)
    }
  }

  mutating func switchIn(_ record: RecordView, _ thread: Int, _ now: UInt64) {
    switch scheduling[thread].activity {
    case .runnable, .blocked: endSlice(thread, now, nextCPU: record.cpu)
    case .unknown: break
    case .running, .ended: oddities.count(.missingSwitch)
    }
    begin(.running, thread, now, cpu: record.cpu)
  }

  mutating func wakeup(_ thread: Int, _ now: UInt64) {
    switch scheduling[thread].activity {
    case .blocked: endSlice(thread, now)
    case .unknown: break
    // Woken before it slept, or a second time.
    case .running, .runnable, .ended: return
    }
    begin(.runnable, thread, now, cpu: nil)
  }

  private mutating func begin(
    _ activity: SchedulerState.Activity, _ thread: Int, _ now: UInt64, cpu: UInt16?
  ) {
    scheduling[thread].activity = activity
    scheduling[thread].since = now
    scheduling[thread].preemptor = nil
    if let cpu {
      let last = scheduling[thread].cpu
      scheduling[thread].isMigration = last >= 0 && last != Int32(cpu)
      scheduling[thread].cpu = Int32(cpu)
    } else {
      scheduling[thread].isMigration = false
    }
    let state = threads[thread]
    switch state.activity {
    case .idle:
      let caller = Int(state.caller)
      scheduling[thread].step = caller >= 0 ? callers[caller].step?.index : nil
      scheduling[thread].inside = nil
    case .inOperator, .inBarrier:
      let step = currentRun(thread).map { $0.pointee.step } ?? -1
      scheduling[thread].step = step < 0 ? nil : Int(step)
      scheduling[thread].inside = state.activity == .inOperator ? .operator : .barrier
    }
  }

  private mutating func endSlice(
    _ thread: Int, _ now: UInt64, successor: Preemptor? = nil, nextCPU: UInt16? = nil
  ) {
    let state = scheduling[thread]
    let activity: ThreadActivity
    switch state.activity {
    case .running: activity = .running
    case .runnable: activity = .runnable
    case .blocked: activity = .blocked
    case .unknown, .ended: return
    }
    guard now > state.since || state.isMigration else { return }
    output.append(
      .thread(
        ThreadSlice(
          thread: ThreadID(threads[thread].tid),
          range: TimeRange(
            start: .init(nanoseconds: state.since), end: .init(nanoseconds: max(now, state.since))),
          activity: activity, cpu: state.cpu < 0 ? nil : Int(state.cpu), isMigration: state.isMigration,
          preemptor: state.preemptor, successor: successor,
          nextCPU: activity == .runnable ? nextCPU.map(Int.init) : nil, step: state.step,
          inside: state.inside)))
  }

  /// What goes on when the recording ends, goes on until then.
  mutating func finishScheduling() {
    guard context.hasScheduler else { return }
    let end = min(context.end, Self.maxTime)
    for thread in 0..<threadCount { endSlice(thread, max(end, scheduling[thread].since)) }
  }
}
