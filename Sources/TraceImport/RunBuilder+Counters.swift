import CTraceRecords
import TraceModel

extension RunBuilder {
  /// Takes the counter values behind a record. Called for every record of a kind that may have them, in a trace
  /// with counters.
  mutating func noteCounters(_ record: RecordView, _ thread: Int) {
    guard let offset = Self.counterOffset(record.type) else { return }
    let event: CounterState.Event =
      switch record.type {
      case RecordType.switchOut: .switchedOut
      case RecordType.switchIn: .switchedIn
      default: .running
      }
    var values = SIMD8<UInt64>()
    var known: UInt8 = 0
    for i in 0..<context.counterColumns where record.byteCount >= offset + 8 * (i + 1) {
      let value = record.base.u64(offset + 8 * i)
      if value == PI_COUNTER_UNREAD { continue }
      values[i] = value
      known |= 1 << UInt8(i)
    }
    counters[thread].note(
      event, cpu: record.cpu, values: values, known: known, columns: context.counterColumns,
      isDoubtful: isNearLoss)
  }

  /// Where the values of a record begin; nil for kinds that have none.
  private static func counterOffset(_ type: UInt8) -> Int? {
    switch type {
    case RecordType.operatorBegin, RecordType.barrier, RecordType.tokenEnd, RecordType.graphEnd,
      RecordType.switchIn:
      MemoryLayout<pi_record>.size
    case RecordType.operatorFused: MemoryLayout<pi_op_fused>.size
    case RecordType.tokenBegin: MemoryLayout<pi_token_begin>.size
    case RecordType.graphBegin: MemoryLayout<pi_graph_begin>.size
    case RecordType.switchOut: MemoryLayout<pi_switch_out>.size
    default: nil
    }
  }

  /// What a thread counted since a mark; nil in a trace without counters.
  func counterDelta(_ thread: Int, since mark: CounterMark?) -> CounterDelta? {
    guard context.hasCounters else { return nil }
    guard let mark else { return CounterDelta() }
    return counters[thread].delta(
      since: mark, columns: context.counterColumns, hasScheduler: context.hasScheduler)
  }

  /// Where a thread's counters stand; empty in a trace without counters.
  func counterMark(_ thread: Int) -> [CounterMark] { context.hasCounters ? [counters[thread].now] : [] }

  /// The open operator's work is over, the wait at its barrier begins.
  ///
  /// - Parameter isOwnRecord: false when another thread's record, or a guess, says so: then it is not known what
  ///   this thread had counted by then.
  mutating func endOperatorCounters(_ thread: Int, isOwnRecord: Bool) {
    counters[thread].operatorDelta =
      isOwnRecord ? counterDelta(thread, since: counters[thread].mark) ?? CounterDelta() : CounterDelta()
    counters[thread].mark = counters[thread].now
  }
}
