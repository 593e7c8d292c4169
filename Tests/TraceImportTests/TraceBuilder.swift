import CTraceRecords
import Foundation
import TraceContainer
import TraceModel

@testable import TraceImport

/// Writes a trace record by record, as the recorder would: numbers each CPU's records and seals chunks.
final class TraceBuilder {
  private var file: [UInt8]
  private let writer = ChunkWriter(compressionLevel: 1)
  private var sequences: [UInt16: UInt32] = [:]
  /// The CPU that the next records come from; by default each thread has its own.
  var cpu: UInt16?
  private var openNumber: UInt32 = 0

  static let operators = [
    "NONE", "ADD", "MUL_MAT", "RMS_NORM", "MUL", "VIEW", "MUL_MAT_ID", "UNARY", "GLU", "RESHAPE", "SOFT_MAX",
    "GET_ROWS",
  ]

  init(metadata: String? = nil) {
    file = FileHeader(
      optionalFeatures: 1, traceID: Array(0..<16), createdRealtime: 1, machine: 62
    ).encoded()
    let names = Self.operators.map { "\"\($0)\"" }.joined(separator: ",")
    add(
      metadata: metadata ?? """
        {"engine":{"name":"ggml","op_names":[\(names)],"unary_op_names":["ABS","SILU"],"glu_op_names":["SWIGLU"]}}
        """)
  }

  func add(metadata: String) {
    let bytes = Array(metadata.utf8)
    _ = bytes.withUnsafeBytes { json in
      writer.sealMetadata(json) { file.append(contentsOf: $0) }
    }
  }

  func seal(_ kind: ChunkKind = .events) { writer.seal(kind: kind) { file.append(contentsOf: $0) } }

  /// Appends raw record bytes, padded to a multiple of 8.
  func append(_ bytes: [UInt8]) {
    let padded = bytes + [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
    let fits = padded.withUnsafeBytes { writer.append($0) }
    if !fits {
      seal()
      precondition(padded.withUnsafeBytes { writer.append($0) })
    }
  }

  func head(_ type: UInt8, _ time: UInt64, _ tid: UInt32, flags: Int = 0, ref: UInt32 = 0) -> pi_record {
    let cpu = self.cpu ?? UInt16(tid % 8)
    let sequence = sequences[cpu, default: 0]
    sequences[cpu] = sequence + 1
    return pi_record(
      time_ns: time, tid: tid, cpu: cpu, type: type, flags: UInt8(flags), sequence: sequence, ref: ref)
  }

  func append<T: BitwiseCopyable>(_ record: T, tail: [UInt8] = []) {
    append(withUnsafeBytes(of: record) { Array($0) } + tail)
  }

  /// Gives out sequence numbers that no record will carry, as a full ring buffer does.
  func lose(_ count: UInt32, tid: UInt32) { sequences[cpu ?? UInt16(tid % 8), default: 0] += count }

  // MARK: Records

  func bare(_ type: UInt8, _ time: UInt64, _ tid: UInt32, flags: Int = 0, ref: UInt32 = 0) {
    append(head(type, time, tid, flags: flags, ref: ref))
  }
  func decode(_ time: UInt64, _ tid: UInt32 = 1, tokens: UInt32, context: UInt64 = 0xc000, api: Int = 1) {
    append(
      pi_token_begin(
        head: head(RecordType.tokenBegin, time, tid, flags: api, ref: tokens), context: context, argument: 0))
  }
  func decodeEnd(_ time: UInt64, _ tid: UInt32 = 1, api: Int = 1) {
    bare(RecordType.tokenEnd, time, tid, flags: api)
  }
  func ubatch(
    _ time: UInt64, _ tid: UInt32 = 1, tokens: UInt32, position: Int32, context: UInt64 = 0xc000
  ) {
    append(
      pi_ubatch_begin(
        head: head(RecordType.ubatchBegin, time, tid, ref: tokens), context: context, position: position,
        n_sequences: 1))
  }
  func ubatchEnd(_ time: UInt64, _ tid: UInt32 = 1) { bare(RecordType.ubatchEnd, time, tid) }
  func graph(
    _ time: UInt64, _ tid: UInt32 = 1, structure: UInt32, nodes: Int32 = 3, threads: Int32 = 1, kind: Int = 1
  ) {
    append(
      pi_graph_begin(
        head: head(RecordType.graphBegin, time, tid, flags: kind, ref: structure), cgraph: 0x7000, uid: 1,
        backend: kind == 1 ? 0 : 0xbac0, n_nodes: nodes, n_threads: kind == 1 ? threads : 0))
  }
  func graphEnd(_ time: UInt64, _ tid: UInt32 = 1, kind: Int = 1) {
    bare(RecordType.graphEnd, time, tid, flags: kind)
  }
  func op(_ time: UInt64, _ tid: UInt32 = 1, _ address: UInt64) {
    bare(RecordType.operatorBegin, time, tid, ref: StructureIndex.reference(address))
  }
  func fused(_ time: UInt64, _ tid: UInt32 = 1, _ first: UInt64, _ last: UInt64) {
    append(
      pi_op_fused(
        head: head(RecordType.operatorFused, time, tid, flags: 1, ref: StructureIndex.reference(first)),
        last_ref: StructureIndex.reference(last), reserved: 0))
  }
  func barrier(_ time: UInt64, _ tid: UInt32 = 1, final: Bool = false) {
    bare(RecordType.barrier, time, tid, flags: final ? 1 : 0)
  }
  func sample(_ time: UInt64, _ end: UInt64, _ tid: UInt32 = 1, sampler: Int = 1) {
    bare(RecordType.sampleBegin, time, tid, flags: sampler)
    bare(RecordType.sampleEnd, end, tid, flags: sampler)
  }
  func experts(_ time: UInt64, _ tid: UInt32 = 1, _ address: UInt64, token: UInt32, _ ids: [Int32]) {
    append(
      pi_experts(
        head: head(RecordType.experts, time, tid, ref: StructureIndex.reference(address)), token: token,
        token_count: token + 1, used: UInt32(ids.count), reserved: 0),
      tail: ids.flatMap { id in withUnsafeBytes(of: id) { Array($0) } })
  }

  /// A walk as the recorder writes it: begin, list, tensors, end.
  func structure(
    _ time: UInt64, _ tid: UInt32 = 1, number: UInt32, nodes: [TestTensor], constants: [TestTensor] = [],
    omitting: Set<UInt64> = []
  ) {
    append(
      pi_structure_begin(
        head: head(RecordType.structureBegin, time, tid, ref: number), cgraph: 0x7000, nodes: 0x7100, uid: 1,
        n_nodes: Int32(nodes.count), n_leafs: Int32(constants.count)))
    var first = 0
    while first < nodes.count {
      let part = nodes[first..<min(first + 64, nodes.count)]
      var list = [UInt8](
        withUnsafeBytes(of: head(RecordType.nodeList, time + 1, tid, ref: number)) { Array($0) })
      list += withUnsafeBytes(of: UInt32(first)) { Array($0) }
      list += withUnsafeBytes(of: UInt32(part.count)) { Array($0) }
      for node in part { list += withUnsafeBytes(of: node.address) { Array($0) } }
      append(list + [UInt8](repeating: 0, count: (64 - part.count) * 8))
      first += 64
    }
    var written: UInt32 = 0
    for tensor in nodes + constants where !omitting.contains(tensor.address) {
      let record = pi_tensor(
        head: head(RecordType.tensor, time + 2, tid, ref: number), address: tensor.address, tensor_bytes: 336,
        reserved: 0)
      append(record, tail: tensor.bytes)
      written += 1
    }
    append(
      pi_structure_end(
        head: head(RecordType.structureEnd, time + 3, tid, ref: number), tensors: written, unwritten: 0,
        unreadable: 0, node_limit: 32768))
  }

  /// The recorder's own record.
  func user(
    _ type: UInt8, _ time: UInt64, tid: UInt32 = 0, flags: UInt8 = 0, ref: UInt32 = 0, cpu: UInt16 = 0
  )
    -> pi_record
  {
    pi_record(time_ns: time, tid: tid, cpu: cpu, type: type, flags: flags, sequence: 0, ref: ref)
  }
  func end(_ time: UInt64, reason: UInt8 = 1) {
    if !writer.isEmpty { seal() }
    append(
      pi_end(
        head: user(RecordType.end, time, flags: reason), records: 1, lost_records: 0, chunks: 1, reserved: 0))
    seal(.end)
  }

  /// The bytes of the file so far.
  var bytes: [UInt8] {
    if !writer.isEmpty { seal() }
    return file
  }

  func run() throws -> Run { try Run(bytes) }
}

/// A tensor to be written.
struct TestTensor {
  var address: UInt64
  var op: String
  var name: String
  var ne: [Int64] = [4, 1, 1, 1]
  var type: UInt32 = 0
  var sources: [UInt64] = []
  var viewSource: UInt64 = 0
  var data: UInt64 = 0
  var flags: UInt32 = 0x10
  var parameter: Int32 = 0

  var bytes: [UInt8] {
    var result = [UInt8](repeating: 0, count: 336)
    func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
      withUnsafeBytes(of: value.littleEndian) { bytes in
        for (i, byte) in bytes.enumerated() { result[offset + i] = byte }
      }
    }
    put(type, 0)
    var stride: UInt64 = 4
    for i in 0..<4 {
      put(ne[i], 16 + i * 8)
      put(stride, 48 + i * 8)
      stride *= UInt64(max(ne[i], 1))
    }
    put(UInt32(TraceBuilder.operators.firstIndex(of: op)!), 80)
    put(parameter, 84)
    put(flags, 148)
    for (i, source) in sources.enumerated() { put(source, 152 + i * 8) }
    put(viewSource, 232)
    put(data, 248)
    for (i, byte) in name.utf8.prefix(63).enumerated() { result[256 + i] = byte }
    return result
  }
}

/// What a visitor was given, in order.
struct Run: RunVisitor {
  var structures: [GraphStructure] = []
  var spans: [OperatorSpan] = []
  var graphs: [GraphRun] = []
  var gaps: [GapSpan] = []
  var activations: [ExpertActivation] = []
  var losses: [LossGap] = []
  var steps: [TokenStep] = []
  var statistics = ImportStatistics()
  var counters: [(span: OperatorSpan, own: CounterDelta, wait: CounterDelta)] = []
  var slices: [ThreadSlice] = []
  var backends: [Backend] = []
  var enqueues: [EnqueueSpan] = []
  var rounds: [SpeculativeRound] = []
  var readings: [Reading] = []
  var probeGaps: [ProbeGap] = []
  let info: TraceInfo
  /// Letters in order of arrival: S structure, o operator, g graph, - gap, e experts, l loss, T step.
  var order = ""

  init(_ bytes: [UInt8]) throws {
    let path = NSTemporaryDirectory() + "/import-\(UUID().uuidString).pitrace"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    defer { try? FileManager.default.removeItem(atPath: path) }
    let trace = try TraceFile(path: path)
    info = try TraceInfo(trace)
    statistics = try importRun(trace, info: info, into: &self)
  }

  mutating func structure(_ structure: GraphStructure) { structures.append(structure); order += "S" }
  mutating func operatorSpan(_ span: OperatorSpan) { spans.append(span); order += "o" }
  mutating func graphRun(_ run: GraphRun) { graphs.append(run); order += "g" }
  mutating func gap(_ gap: GapSpan) { gaps.append(gap); order += "-" }
  mutating func experts(_ activation: ExpertActivation) { activations.append(activation); order += "e" }
  mutating func lossGap(_ gap: LossGap) { losses.append(gap); order += "l" }
  mutating func tokenStep(_ step: TokenStep) { steps.append(step); order += "T" }
  mutating func operatorCounters(_ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan) {
    self.counters.append((span, counters, barrier))
  }
  mutating func threadSlice(_ slice: ThreadSlice) { slices.append(slice) }
  mutating func backend(_ backend: Backend) { backends.append(backend) }
  mutating func enqueueSpan(_ span: EnqueueSpan) { enqueues.append(span) }
  mutating func speculativeRound(_ round: SpeculativeRound) { rounds.append(round) }
  mutating func reading(_ reading: Reading) { readings.append(reading) }
  mutating func probeGap(_ gap: ProbeGap) { probeGaps.append(gap) }

  /// Spans as `node start-end barrierEnd`, of one thread or all.
  func spans(of tid: UInt32? = nil) -> [String] {
    spans.filter { tid == nil || $0.thread.rawValue == tid }.map {
      "\($0.node)\($0.lastNode == $0.node ? "" : "+\($0.lastNode)") \($0.range.start.nanoseconds)-"
        + "\($0.range.end.nanoseconds) \($0.barrier.end.nanoseconds)\($0.isRepaired ? " repaired" : "")"
    }
  }

  var gapTexts: [String] {
    gaps.map { "\($0.kind.rawValue) \($0.range.start.nanoseconds)-\($0.range.end.nanoseconds)" }
  }

  /// Nanoseconds of a step on its thread that lie in spans, barriers and gaps.
  func accounted(_ step: TokenStep) -> Int64 {
    let spans = spans.filter { $0.thread == step.thread && $0.step == Int32(step.index) }
    let gaps = gaps.filter {
      $0.thread == step.thread && $0.range.start >= step.range.start && $0.range.end <= step.range.end
    }
    // Graphs on other backends have no operators inside.
    let graphs = graphs.filter { $0.step == step.index && !$0.isCPUGraph }
    return spans.reduce(0) { $0 + $1.range.duration + $1.barrier.duration }
      + gaps.reduce(0) { $0 + $1.range.duration } + graphs.reduce(0) { $0 + $1.range.duration }
  }
}
