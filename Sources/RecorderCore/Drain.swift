import CLibBPF
import CTraceRecords

/// Moves records from the kernel's ring buffer into the trace and counts them; it does not look
/// into them further than their type.
final class Drain {
  private let output: TraceOutput
  private var ring: OpaquePointer?
  private(set) var records: UInt64 = 0
  /// By type and flags (kinds below 8 only): how often each kind of site fired.
  private var hits = [UInt64](repeating: 0, count: 256 * 8)
  private var lastThread: UInt32 = 0
  private var knownThreads: [UInt32] = []
  /// Threads whose first record came since they were last taken.
  private var newThreads: [UInt32] = []

  init(events: Int32, output: TraceOutput) throws(RecorderError) {
    self.output = output
    ring = ring_buffer__new(
      events,
      { context, data, bytes in
        guard let context, let data, bytes >= MemoryLayout<pi_record>.size else { return 0 }
        Unmanaged<Drain>.fromOpaque(context).takeUnretainedValue()
          .take(UnsafeRawBufferPointer(start: data, count: bytes))
        return 0
      }, Unmanaged.passUnretained(self).toOpaque(), nil)
    guard ring != nil else { throw RecorderError("cannot map the ring buffer: \(System.lastErrorText)") }
  }

  deinit { ring_buffer__free(ring) }

  /// Everything that is in the buffer now.
  func drain() { _ = ring_buffer__consume(ring) }

  private func take(_ record: UnsafeRawBufferPointer) {
    let head = record.loadUnaligned(as: pi_record.self)
    records += 1
    hits[Int(head.type) * 8 + Int(head.flags & 7)] += 1
    if head.tid != lastThread { note(head.tid) }
    output.append(record)
  }

  /// Threads change rarely from record to record, and a target has few.
  private func note(_ thread: UInt32) {
    lastThread = thread
    if knownThreads.contains(thread) { return }
    knownThreads.append(thread)
    newThreads.append(thread)
  }

  /// The threads that were first seen since the last call.
  func takeNewThreads() -> [UInt32] {
    defer { newThreads.removeAll() }
    return newThreads
  }

  func hits(type: pi_record_type, flags: UInt32 = 0) -> UInt64 {
    hits[Int(type.rawValue) * 8 + Int(flags & 7)]
  }

  /// Token steps that ended, by whichever interface.
  var tokenSteps: UInt64 {
    hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_DECODE.rawValue)
      + hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_PROCESS.rawValue)
      + hits(type: PI_RECORD_TOKEN_END, flags: PI_TOKEN_ENCODE.rawValue)
  }
}
