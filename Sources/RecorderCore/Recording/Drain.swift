import CRecorderShim
import CTraceRecords

/// Moves records from the kernel's ring buffer into the trace and counts them; it does not look
/// into them further than their type.
final class Drain {
  private let output: TraceOutput
  private let ring: OpaquePointer
  private(set) var records: UInt64 = 0
  /// By type and flags (kinds below 8 only): how often each kind of site fired.
  private var hits = [UInt64](repeating: 0, count: 256 * 8)
  /// The most threads that a CPU graph was computed by.
  private(set) var mostThreads: Int32 = 0
  private var lastThread: UInt32 = 0
  private var knownThreads: [UInt32] = []
  /// Threads whose first record came since they were last taken.
  private var newThreads: [UInt32] = []
  /// Decode steps for --qos-min-tps, while somebody takes them.
  var watchesSpeed = false
  private var decodeSteps: [(begin: UInt64, end: UInt64, tokens: UInt32)] = []
  /// The step that runs in a thread: tokens stay 0 until a micro-batch tells that it decodes.
  private var openSteps: [(thread: UInt32, begin: UInt64, tokens: UInt32)] = []

  init(events: Int32, bytes: UInt64, output: TraceOutput) throws(RecorderError) {
    self.output = output
    guard let ring = shim_ring_open(events, bytes) else {
      throw RecorderError("cannot map the ring buffer: \(System.lastErrorText)")
    }
    self.ring = ring
  }

  deinit { shim_ring_close(ring) }

  /// Takes what is in the buffer now.
  ///
  /// - Returns: how much of the buffer that freed, in bytes.
  @discardableResult
  func drain() -> UInt64 {
    shim_ring_drain(ring, Unmanaged.passUnretained(self).toOpaque()) { context, record, bytes in
      guard let context, let record, bytes >= MemoryLayout<pi_record>.size else { return }
      Unmanaged<Drain>.fromOpaque(context).takeUnretainedValue()
        .take(UnsafeRawBufferPointer(start: record, count: Int(bytes)))
    }
  }

  private func take(_ record: UnsafeRawBufferPointer) {
    let head = record.loadUnaligned(as: pi_record.self)
    records += 1
    hits[Int(head.type) * 8 + Int(head.flags & 7)] += 1
    if head.tid != lastThread { note(head.tid) }
    if head.type == UInt8(PI_RECORD_GRAPH_BEGIN.rawValue), head.flags == UInt8(PI_GRAPH_CPU.rawValue),
      record.count >= MemoryLayout<pi_graph_begin>.size
    {
      mostThreads = max(mostThreads, record.loadUnaligned(as: pi_graph_begin.self).n_threads)
    }
    if watchesSpeed { watch(head, record) }
    output.append(record)
  }

  /// A step decodes where each of its sequences gets one token.
  private func watch(_ head: pi_record, _ record: UnsafeRawBufferPointer) {
    switch UInt32(head.type) {
    case PI_RECORD_TOKEN_BEGIN.rawValue:
      openSteps.removeAll { $0.thread == head.tid }
      openSteps.append((head.tid, head.time_ns, 0))
    case PI_RECORD_UBATCH_BEGIN.rawValue:
      guard record.count >= MemoryLayout<pi_ubatch_begin>.size,
        let step = openSteps.firstIndex(where: { $0.thread == head.tid })
      else { return }
      let sequences = record.loadUnaligned(as: pi_ubatch_begin.self).n_sequences
      if head.ref == sequences { openSteps[step].tokens += head.ref }
    case PI_RECORD_TOKEN_END.rawValue:
      guard let index = openSteps.firstIndex(where: { $0.thread == head.tid }) else { return }
      let step = openSteps.remove(at: index)
      if step.tokens > 0 { decodeSteps.append((step.begin, head.time_ns, step.tokens)) }
    default: break
    }
  }

  /// The decode steps that ended since the last call.
  func takeDecodeSteps() -> [(begin: UInt64, end: UInt64, tokens: UInt32)] {
    defer { decodeSteps.removeAll() }
    return decodeSteps
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
