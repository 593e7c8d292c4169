import CTraceRecords
import TraceContainer
import TraceModel

@testable import TraceImport

/// Records that came with version 1.1.
extension TraceBuilder {
  /// A trace with two counters, `cycles` and `instructions`.
  static func withCounters(_ more: String = "") -> TraceBuilder {
    let names = operators.map { "\"\($0)\"" }.joined(separator: ",")
    return TraceBuilder(
      metadata: """
        {"engine":{"name":"ggml","op_names":[\(names)],"unary_op_names":["ABS","SILU"],"glu_op_names":["SWIGLU"]},
         "counters":[{"name":"cycles","column":0,"state":"recorded"},
         {"name":"instructions","column":1,"state":"recorded"}]\(more)}
        """)
  }

  private func tail(_ values: [UInt64]?) -> [UInt8] {
    (values ?? []).flatMap { value in withUnsafeBytes(of: value.littleEndian) { Array($0) } }
  }

  func decode(_ time: UInt64, _ tid: UInt32 = 1, tokens: UInt32, counters: [UInt64]) {
    append(
      pi_token_begin(
        head: head(RecordType.tokenBegin, time, tid, flags: 1, ref: tokens), context: 0xc000, argument: 0),
      tail: tail(counters))
  }
  func decodeEnd(_ time: UInt64, _ tid: UInt32 = 1, counters: [UInt64]) {
    append(head(RecordType.tokenEnd, time, tid, flags: 1), tail: tail(counters))
  }
  func graph(_ time: UInt64, _ tid: UInt32 = 1, structure: UInt32, threads: Int32 = 1, counters: [UInt64]) {
    append(
      pi_graph_begin(
        head: head(RecordType.graphBegin, time, tid, flags: 1, ref: structure), cgraph: 0x7000, uid: 1,
        backend: 0, n_nodes: 4, n_threads: threads), tail: tail(counters))
  }
  func graphEnd(_ time: UInt64, _ tid: UInt32 = 1, counters: [UInt64]) {
    append(head(RecordType.graphEnd, time, tid, flags: 1), tail: tail(counters))
  }
  func op(_ time: UInt64, _ tid: UInt32 = 1, _ address: UInt64, counters: [UInt64]) {
    append(
      head(RecordType.operatorBegin, time, tid, ref: StructureIndex.reference(address)), tail: tail(counters))
  }
  func barrier(_ time: UInt64, _ tid: UInt32 = 1, final: Bool = false, counters: [UInt64]) {
    append(head(RecordType.barrier, time, tid, flags: final ? 1 : 0), tail: tail(counters))
  }

  func switchOut(
    _ time: UInt64, _ tid: UInt32 = 1, state: Int = 0, next: UInt32 = 0, tgid: UInt32 = 0, comm: [UInt8] = [],
    counters: [UInt64]? = nil
  ) {
    var out = pi_switch_out()
    out.head = head(RecordType.switchOut, time, tid, flags: state, ref: next)
    out.next_tgid = tgid
    withUnsafeMutableBytes(of: &out.next_comm) { $0.copyBytes(from: comm.prefix(16)) }
    append(out, tail: tail(counters))
  }
  func switchIn(_ time: UInt64, _ tid: UInt32 = 1, counters: [UInt64]? = nil) {
    append(head(RecordType.switchIn, time, tid), tail: tail(counters))
  }
  func wakeup(_ time: UInt64, _ tid: UInt32 = 1) { bare(RecordType.wakeup, time, tid, ref: 99) }

  func backend(_ time: UInt64, _ tid: UInt32 = 1, address: UInt64, guid: [UInt8]) {
    var backend = pi_backend()
    backend.head = head(RecordType.backend, time, tid)
    backend.backend = address
    withUnsafeMutableBytes(of: &backend.guid) { $0.copyBytes(from: guid.prefix(16)) }
    append(backend)
  }
  func enqueue(_ time: UInt64, _ end: UInt64, _ tid: UInt32 = 1, _ address: UInt64, device: Int = 3) {
    bare(RecordType.enqueueBegin, time, tid, flags: device, ref: StructureIndex.reference(address))
    bare(RecordType.enqueueEnd, end, tid, flags: device)
  }
  func probes(_ time: UInt64, dropped: Bool, speed: UInt32) {
    append(user(RecordType.probes, time, flags: dropped ? 1 : 2, ref: speed))
  }
}
