import CTraceRecords

/// `enum pi_record_type` as bytes, for fast switches.
enum RecordType {
  static let tokenBegin = UInt8(PI_RECORD_TOKEN_BEGIN.rawValue)
  static let tokenEnd = UInt8(PI_RECORD_TOKEN_END.rawValue)
  static let ubatchBegin = UInt8(PI_RECORD_UBATCH_BEGIN.rawValue)
  static let ubatchEnd = UInt8(PI_RECORD_UBATCH_END.rawValue)
  static let graphBegin = UInt8(PI_RECORD_GRAPH_BEGIN.rawValue)
  static let graphEnd = UInt8(PI_RECORD_GRAPH_END.rawValue)
  static let operatorBegin = UInt8(PI_RECORD_OP_BEGIN.rawValue)
  static let operatorFused = UInt8(PI_RECORD_OP_FUSED.rawValue)
  static let barrier = UInt8(PI_RECORD_BARRIER.rawValue)
  static let structureBegin = UInt8(PI_RECORD_STRUCTURE_BEGIN.rawValue)
  static let nodeList = UInt8(PI_RECORD_NODE_LIST.rawValue)
  static let tensor = UInt8(PI_RECORD_TENSOR.rawValue)
  static let structureEnd = UInt8(PI_RECORD_STRUCTURE_END.rawValue)
  static let experts = UInt8(PI_RECORD_EXPERTS.rawValue)
  static let sampleBegin = UInt8(PI_RECORD_SAMPLE_BEGIN.rawValue)
  static let sampleEnd = UInt8(PI_RECORD_SAMPLE_END.rawValue)
  static let warmup = UInt8(PI_RECORD_WARMUP.rawValue)
  static let switchOut = UInt8(PI_RECORD_SWITCH_OUT.rawValue)
  static let switchIn = UInt8(PI_RECORD_SWITCH_IN.rawValue)
  static let wakeup = UInt8(PI_RECORD_WAKEUP.rawValue)
  static let backend = UInt8(PI_RECORD_BACKEND.rawValue)
  static let enqueueBegin = UInt8(PI_RECORD_ENQUEUE_BEGIN.rawValue)
  static let enqueueEnd = UInt8(PI_RECORD_ENQUEUE_END.rawValue)
  static let draftBegin = UInt8(PI_RECORD_DRAFT_BEGIN.rawValue)
  static let draftEnd = UInt8(PI_RECORD_DRAFT_END.rawValue)
  static let accept = UInt8(PI_RECORD_ACCEPT.rawValue)
  static let firstUser = UInt8(PI_RECORD_FIRST_USER.rawValue)
  static let clock = UInt8(PI_RECORD_CLOCK.rawValue)
  static let loss = UInt8(PI_RECORD_LOSS.rawValue)
  static let cost = UInt8(PI_RECORD_COST.rawValue)
  static let thread = UInt8(PI_RECORD_THREAD.rawValue)
  static let site = UInt8(PI_RECORD_SITE.rawValue)
  static let exit = UInt8(PI_RECORD_EXIT.rawValue)
  static let end = UInt8(PI_RECORD_END.rawValue)
  static let process = UInt8(PI_RECORD_PROCESS.rawValue)
  static let frequency = UInt8(PI_RECORD_FREQUENCY.rawValue)
  static let temperature = UInt8(PI_RECORD_TEMPERATURE.rawValue)
  static let counter = UInt8(PI_RECORD_COUNTER.rawValue)
  static let probes = UInt8(PI_RECORD_PROBES.rawValue)

  /// Records of the recorder that are about moments of the run, and so are put in order with the target's.
  @inline(__always) static func isReading(_ type: UInt8) -> Bool { type >= frequency && type <= probes }

  private static let names: [UInt8: String] = [
    tokenBegin: "TOKEN_BEGIN", tokenEnd: "TOKEN_END", ubatchBegin: "UBATCH_BEGIN", ubatchEnd: "UBATCH_END",
    graphBegin: "GRAPH_BEGIN", graphEnd: "GRAPH_END", operatorBegin: "OP_BEGIN", operatorFused: "OP_FUSED",
    barrier: "BARRIER", structureBegin: "STRUCTURE_BEGIN", nodeList: "NODE_LIST", tensor: "TENSOR",
    structureEnd: "STRUCTURE_END", experts: "EXPERTS", sampleBegin: "SAMPLE_BEGIN",
    sampleEnd: "SAMPLE_END", warmup: "WARMUP", clock: "CLOCK", loss: "LOSS", cost: "COST",
    thread: "THREAD", site: "SITE", exit: "EXIT", end: "END", process: "PROCESS",
    switchOut: "SWITCH_OUT", switchIn: "SWITCH_IN", wakeup: "WAKEUP", backend: "BACKEND",
    enqueueBegin: "ENQUEUE_BEGIN", enqueueEnd: "ENQUEUE_END", draftBegin: "DRAFT_BEGIN",
    draftEnd: "DRAFT_END", accept: "ACCEPT", frequency: "FREQUENCY", temperature: "TEMPERATURE",
    counter: "COUNTER", probes: "PROBES",
  ]

  static func isKnown(_ type: UInt8) -> Bool { names[type] != nil }

  /// The name in TRACE-FORMAT.md.
  static func name(_ type: UInt8) -> String { names[type] ?? "type \(type)" }
}

extension UnsafeRawPointer {
  @inline(__always) func u64(_ offset: Int) -> UInt64 {
    loadUnaligned(fromByteOffset: offset, as: UInt64.self)
  }
  @inline(__always) func u32(_ offset: Int) -> UInt32 {
    loadUnaligned(fromByteOffset: offset, as: UInt32.self)
  }
  @inline(__always) func u16(_ offset: Int) -> UInt16 {
    loadUnaligned(fromByteOffset: offset, as: UInt16.self)
  }
}

/// A record in a decoded chunk or in the hold-back. The caller vouches for `byteCount` readable bytes and
/// that these are at least a record head.
struct RecordView {
  let base: UnsafeRawPointer
  let byteCount: Int

  @inline(__always) var time: UInt64 { base.u64(0) }
  @inline(__always) var tid: UInt32 { base.u32(8) }
  @inline(__always) var cpu: UInt16 { base.u16(12) }
  @inline(__always) var type: UInt8 { base.load(fromByteOffset: 14, as: UInt8.self) }
  @inline(__always) var flags: UInt8 { base.load(fromByteOffset: 15, as: UInt8.self) }
  @inline(__always) var sequence: UInt32 { base.u32(16) }
  @inline(__always) var ref: UInt32 { base.u32(20) }

  /// The record as its C structure, nil when it is too small for it.
  func read<T: BitwiseCopyable>(_ type: T.Type) -> T? {
    byteCount >= MemoryLayout<T>.size ? base.loadUnaligned(as: T.self) : nil
  }
}
