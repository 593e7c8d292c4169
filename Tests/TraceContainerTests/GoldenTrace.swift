import CTraceRecords
import TraceContainer

/// Builds `formats/golden/v1.1-minimal*.pitrace`: two token steps and a round of speculative decoding of a model with
/// one MoE layer on two threads, with every record type, every chunk kind, two counters and one lost record. The
/// worker is preempted inside of an operator, sleeps, and wakes up on another CPU. The same bytes on every machine.
///
/// Golden traces are kept for ever: when the format grows, a new one is added beside them.
struct GoldenTrace {
  static let firstMoment: UInt64 = 1_000_000_000_000
  static let mainThread: UInt32 = 4242
  static let worker: UInt32 = 4243
  static let cgraph: UInt64 = 0x5581_2000_0000
  static let nodesArray: UInt64 = 0x5581_2000_0400

  private(set) var records: [[UInt8]] = []
  /// Next sequence number of each CPU.
  private(set) var sequences: [UInt32] = [0, 0, 0]
  private var now = firstMoment
  /// Where the worker runs; the main thread stays on CPU 0.
  private var workerCPU = 1

  // MARK: Records

  private func bytes<T: BitwiseCopyable>(of value: T, then tail: [UInt8] = []) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) } + tail
  }

  /// The head of a BPF record `after` nanoseconds from the last one.
  private mutating func head(
    _ type: pi_record_type, after: UInt64, worker: Bool = false, flags: UInt32 = 0, ref: UInt32 = 0
  ) -> pi_record {
    now += after
    let cpu = worker ? workerCPU : 0
    defer { sequences[cpu] += 1 }
    return pi_record(
      time_ns: now, tid: worker ? Self.worker : Self.mainThread, cpu: UInt16(cpu), type: UInt8(type.rawValue),
      flags: UInt8(flags), sequence: sequences[cpu], ref: ref)
  }

  /// The head of a record of the recorder's user space.
  private func userHead(
    _ type: pi_record_type, tid: UInt32 = 0, cpu: UInt16 = 0, flags: UInt32 = 0, ref: UInt32 = 0
  ) -> pi_record {
    pi_record(
      time_ns: now, tid: tid, cpu: cpu, type: UInt8(type.rawValue), flags: UInt8(flags), sequence: 0, ref: ref
    )
  }

  private mutating func bare(
    _ type: pi_record_type, after: UInt64, worker: Bool = false, flags: UInt32 = 0, ref: UInt32 = 0
  ) {
    append(head(type, after: after, worker: worker, flags: flags, ref: ref), counters: Self.hasCounters(type))
  }

  /// Appends a record, and what both counters of its CPU show then: cycles at 2 GHz, 3 instructions in 2 cycles.
  private mutating func append<T: BitwiseCopyable>(_ record: T, counters: Bool) {
    var record = bytes(of: record)
    if counters {
      let cpu = UInt64(record[12])
      let cycles = (now - Self.firstMoment) * 2 + cpu * 1_000_000_000_000
      for value in [cycles, cycles / 2 * 3] { record += bytes(of: value) }
    }
    records.append(record)
  }

  private static func hasCounters(_ type: pi_record_type) -> Bool {
    switch type {
    case PI_RECORD_TOKEN_END, PI_RECORD_GRAPH_END, PI_RECORD_OP_BEGIN, PI_RECORD_BARRIER, PI_RECORD_SWITCH_IN:
      true
    default: false
    }
  }

  mutating func begin() {
    clock()
    readings(kilohertz: [2_400_000, 1_800_000], millicelsius: 48_500)
    for (tid, name) in [(Self.mainThread, "llama-simple"), (Self.worker, "llama-simple")] {
      var thread = pi_thread()
      thread.head = userHead(PI_RECORD_THREAD, tid: tid)
      thread.tgid = Self.mainThread
      withUnsafeMutableBytes(of: &thread.comm) { $0.copyBytes(from: name.utf8) }
      records.append(bytes(of: thread))
    }
    bare(PI_RECORD_WARMUP, after: 10_000, ref: 0)
  }

  private mutating func clock() {
    records.append(
      bytes(
        of: pi_clock(
          head: userHead(PI_RECORD_CLOCK), boottime_ns: Int64(now) + 5_000_000_000,
          realtime_ns: 1_790_000_000_000_000_000 + Int64(now - Self.firstMoment))))
  }

  /// What the recorder reads about once a second.
  private mutating func readings(kilohertz: [UInt32], millicelsius: Int32) {
    for (cpu, frequency) in kilohertz.enumerated() {
      records.append(bytes(of: userHead(PI_RECORD_FREQUENCY, cpu: UInt16(cpu), ref: frequency)))
    }
    records.append(
      bytes(
        of: pi_temperature(head: userHead(PI_RECORD_TEMPERATURE), millicelsius: millicelsius, reserved: 0)))
    for (column, perNanosecond) in [UInt64(2), 3].enumerated() {
      let time = now - Self.firstMoment
      records.append(
        bytes(
          of: pi_counter(
            head: userHead(PI_RECORD_COUNTER, ref: UInt32(column)), value: time * perNanosecond,
            enabled_ns: time, running_ns: column == 0 ? time : time / 2)))
    }
  }

  /// The worker leaves the CPU, and comes back `later` nanoseconds after that.
  private mutating func workerOff(_ state: pi_thread_state, next: (tid: UInt32, name: String), after: UInt64)
  {
    var out = pi_switch_out()
    out.head = head(PI_RECORD_SWITCH_OUT, after: after, worker: true, flags: state.rawValue, ref: next.tid)
    out.next_tgid = next.tid
    withUnsafeMutableBytes(of: &out.next_comm) { $0.copyBytes(from: next.name.utf8) }
    append(out, counters: true)
  }

  /// A quiet time: the worker sleeps, the recorder does without operator probes for a while.
  mutating func pause() {
    workerOff(PI_THREAD_SLEEPING, next: (0, "swapper/1"), after: 1_000)
    now += 400_000
    records.append(
      bytes(of: userHead(PI_RECORD_PROBES, flags: PI_PROBES_DROPPED.rawValue, ref: 4_500)))
    now += 900_000
    records.append(
      bytes(of: userHead(PI_RECORD_PROBES, flags: PI_PROBES_RESUMED.rawValue, ref: 6_250)))
    workerCPU = 2
    bare(PI_RECORD_WAKEUP, after: 50_000, worker: true, ref: Self.mainThread)
    bare(PI_RECORD_SWITCH_IN, after: 3_000, worker: true, ref: 0)
  }

  /// One draft step, the step that verifies it, one of two drafted tokens accepted.
  mutating func speculativeRound() {
    bare(PI_RECORD_DRAFT_BEGIN, after: 4_000)
    call(tokens: 1, position: 3, context: 0x5581_5000_0000) { $0.cpuGraph(structure: 2, tokens: 1) }
    bare(PI_RECORD_DRAFT_END, after: 2_000)
    call(tokens: 3, position: 3) { trace in
      trace.backend(0x5581_6000_0000, guid: Self.vulkan)
      trace.backend(0x5581_6000_1000, guid: Self.cpu)
      trace.graphBegin(PI_GRAPH_BACKEND, structure: 2, backend: 0x5581_6000_0000)
      trace.bare(
        PI_RECORD_ENQUEUE_BEGIN, after: 500, flags: PI_DEVICE_VULKAN.rawValue,
        ref: GoldenTensor.norm.reference)
      trace.bare(PI_RECORD_ENQUEUE_END, after: 7_000, flags: PI_DEVICE_VULKAN.rawValue, ref: 0)
      trace.bare(PI_RECORD_GRAPH_END, after: 600, flags: PI_GRAPH_BACKEND.rawValue)
      trace.graphBegin(PI_GRAPH_BACKEND, structure: 2, backend: 0x5581_6000_1000)
      trace.cpuGraph(structure: 2, tokens: 1)
      trace.bare(PI_RECORD_GRAPH_END, after: 400, flags: PI_GRAPH_BACKEND.rawValue)
    }
    bare(PI_RECORD_ACCEPT, after: 1_000, ref: 1)
  }

  private static let cpu: [UInt8] = [
    0xaa, 0x67, 0xc7, 0x43, 0x96, 0xe6, 0xa3, 0x8a, 0xe3, 0xaf, 0xea, 0x92, 0x36, 0xbc, 0xfc, 0x89,
  ]
  private static let vulkan: [UInt8] = [
    0xb8, 0xf7, 0x4f, 0x86, 0x40, 0x3c, 0xe1, 0x02, 0x91, 0xc8, 0xdd, 0xe9, 0x02, 0x3f, 0xc0, 0x2b,
  ]

  private mutating func backend(_ address: UInt64, guid: [UInt8]) {
    var backend = pi_backend()
    backend.head = head(PI_RECORD_BACKEND, after: 300)
    backend.backend = address
    withUnsafeMutableBytes(of: &backend.guid) { $0.copyBytes(from: guid) }
    records.append(bytes(of: backend))
  }

  /// One call of llama_decode with `tokens` tokens, and the sampling after it.
  mutating func tokenStep(structure: UInt32, position: Int32, tokens: Int, sampled: UInt32, losingOne: Bool) {
    call(tokens: tokens, position: position) { trace in
      trace.structureOfGraph(structure, tokens: tokens)
      trace.cpuGraph(structure: structure, tokens: tokens, isPreempted: !losingOne, losingOne: losingOne)
    }
    bare(PI_RECORD_SAMPLE_BEGIN, after: 1_500, flags: PI_SAMPLER_LLAMA.rawValue)
    bare(PI_RECORD_SAMPLE_END, after: 30_000, flags: PI_SAMPLER_LLAMA.rawValue, ref: sampled)
  }

  private mutating func call(
    tokens: Int, position: Int32, context: UInt64 = 0x5581_1000_0000, _ body: (inout GoldenTrace) -> Void
  ) {
    append(
      pi_token_begin(
        head: head(
          PI_RECORD_TOKEN_BEGIN, after: 50_000, flags: PI_TOKEN_DECODE.rawValue, ref: UInt32(tokens)),
        context: context, argument: 0), counters: true)
    records.append(
      bytes(
        of: pi_ubatch_begin(
          head: head(PI_RECORD_UBATCH_BEGIN, after: 2_000, ref: UInt32(tokens)), context: context,
          position: position, n_sequences: 1)))
    body(&self)
    bare(PI_RECORD_UBATCH_END, after: 700, ref: 0)
    bare(PI_RECORD_TOKEN_END, after: 900, flags: PI_TOKEN_DECODE.rawValue, ref: 0)
  }

  private mutating func graphBegin(_ kind: pi_graph_kind, structure: UInt32, backend: UInt64 = 0) {
    append(
      pi_graph_begin(
        head: head(PI_RECORD_GRAPH_BEGIN, after: 3_000, flags: kind.rawValue, ref: structure),
        cgraph: Self.cgraph, uid: UInt64(structure), backend: backend, n_nodes: 4,
        n_threads: kind == PI_GRAPH_CPU ? 2 : 0), counters: true)
  }

  private mutating func cpuGraph(
    structure: UInt32, tokens: Int, isPreempted: Bool = false, losingOne: Bool = false
  ) {
    graphBegin(PI_GRAPH_CPU, structure: structure)
    operators(tokens: tokens, isPreempted: isPreempted, losingOne: losingOne)
    bare(PI_RECORD_GRAPH_END, after: 500, flags: PI_GRAPH_CPU.rawValue)
  }

  private mutating func structureOfGraph(_ number: UInt32, tokens: Int) {
    records.append(
      bytes(
        of: pi_structure_begin(
          head: head(PI_RECORD_STRUCTURE_BEGIN, after: 8_000, ref: number), cgraph: Self.cgraph,
          nodes: Self.nodesArray, uid: UInt64(number), n_nodes: 4, n_leafs: 4)))
    var list = pi_node_list()
    list.head = head(PI_RECORD_NODE_LIST, after: 900, ref: number)
    list.count = 4
    withUnsafeMutableBytes(of: &list.address) {
      let nodes = [GoldenTensor.norm, .routed, .normed, .scaled].map(\.address)
      nodes.withUnsafeBytes($0.copyMemory(from:))
    }
    records.append(bytes(of: list))
    // The weights do not change with the number of tokens: they are in the first structure only.
    let tensors: [GoldenTensor] =
      number == 1
      ? [.norm, .input, .routed, .weights, .routing, .normed, .scaled, .gain]
      : [.norm, .input, .routed, .routing, .normed, .scaled]
    for tensor in tensors {
      records.append(
        bytes(
          of: pi_tensor(
            head: head(PI_RECORD_TENSOR, after: 600, ref: number), address: tensor.address,
            tensor_bytes: UInt32(GoldenTensor.bytes), reserved: 0),
          then: tensor.encoded(tokens: tokens)))
    }
    records.append(
      bytes(
        of: pi_structure_end(
          head: head(PI_RECORD_STRUCTURE_END, after: 700, ref: number), tensors: UInt32(tensors.count),
          unwritten: 0, unreadable: 0, node_limit: 16384)))
  }

  /// RMS_NORM, MUL_MAT_ID, and RMS_NORM fused with MUL, on both threads.
  private mutating func operators(tokens: Int, isPreempted: Bool, losingOne: Bool) {
    bare(PI_RECORD_OP_BEGIN, after: 1_000, ref: GoldenTensor.norm.reference)
    bare(PI_RECORD_OP_BEGIN, after: 300, worker: true, ref: GoldenTensor.norm.reference)
    bare(PI_RECORD_BARRIER, after: 4_000)
    bare(PI_RECORD_BARRIER, after: 150, worker: true)
    bare(PI_RECORD_OP_BEGIN, after: 200, ref: GoldenTensor.routed.reference)
    for token in 0..<tokens {
      let experts: [Int32] = token == 0 ? [3, 1, 7] : [0, 5, 2]
      records.append(
        bytes(
          of: pi_experts(
            head: head(PI_RECORD_EXPERTS, after: 400, ref: GoldenTensor.routed.reference),
            token: UInt32(token), token_count: UInt32(tokens), used: 3, reserved: 0),
          then: experts.withUnsafeBytes(Array.init) + [0, 0, 0, 0]))
    }
    if losingOne {
      sequences[workerCPU] += 1  // the worker's OP_BEGIN found no room in the ring buffer
    } else {
      bare(PI_RECORD_OP_BEGIN, after: 100, worker: true, ref: GoldenTensor.routed.reference)
    }
    if isPreempted {
      workerOff(PI_THREAD_RUNNABLE, next: (5100, "stress"), after: 9_000)
      bare(PI_RECORD_SWITCH_IN, after: 15_000, worker: true, ref: 5100)
    }
    bare(PI_RECORD_BARRIER, after: 42_000)
    bare(PI_RECORD_BARRIER, after: 2_100, worker: true)
    for isWorker in [false, true] {
      append(
        pi_op_fused(
          head: head(
            PI_RECORD_OP_FUSED, after: 250, worker: isWorker, flags: PI_FUSION_RMS_NORM_MUL.rawValue,
            ref: GoldenTensor.normed.reference), last_ref: GoldenTensor.scaled.reference, reserved: 0),
        counters: true)
    }
    bare(PI_RECORD_BARRIER, after: 1_900, flags: PI_BARRIER_FINAL.rawValue)
    bare(PI_RECORD_BARRIER, after: 80, worker: true, flags: PI_BARRIER_FINAL.rawValue)
  }

  mutating func finish() {
    now += 5_000
    records.append(bytes(of: userHead(PI_RECORD_PROCESS, tid: 4300, ref: Self.mainThread)))
    now += 1_000_000
    clock()
    readings(kilohertz: [1_200_000, 1_800_000], millicelsius: 84_000)
    for cpu in 0..<3 {
      records.append(
        bytes(
          of: pi_loss(
            head: userHead(PI_RECORD_LOSS, cpu: UInt16(cpu)), lost_records: cpu == 2 ? 1 : 0, unreadable: 0,
            experts_cut: 0, last_sequence: UInt64(sequences[cpu]))))
    }
    records.append(
      bytes(
        of: pi_cost(
          head: userHead(PI_RECORD_COST), cpu_ns: 1_250_000, resident_bytes: 9_437_184, written_bytes: 6_000,
          records: drained)))
    for (site, hits) in [UInt64(4), 4, 8, 0].enumerated() {
      let flags = [0, PI_SITE_SHARED.rawValue, 0, PI_SITE_SILENT.rawValue][site]
      records.append(
        bytes(of: pi_site(head: userHead(PI_RECORD_SITE, flags: flags, ref: UInt32(site)), hits: hits)))
    }
    records.append(bytes(of: userHead(PI_RECORD_EXIT, tid: Self.mainThread, ref: 0)))
  }

  /// Records of the BPF programs that reached the recorder: all sequence numbers but the one lost.
  private var drained: UInt64 { sequences.reduce(0) { $0 + UInt64($1) } - 1 }

  func end(chunks: UInt32) -> [UInt8] {
    bytes(
      of: pi_end(
        head: userHead(PI_RECORD_END, flags: PI_END_TARGET_EXITED.rawValue), records: drained,
        lost_records: 1, chunks: chunks, reserved: 0))
  }
}

extension GoldenTrace {
  /// The whole file.
  static func file(compressionLevel: Int32) -> [UInt8] {
    var file = FileHeader(
      optionalFeatures: UInt64(
        PI_FEATURE_OPT_STRUCTURE | PI_FEATURE_OPT_EXPERTS | PI_FEATURE_OPT_COUNTERS | PI_FEATURE_OPT_SCHED),
      traceID: Array(0xa0...0xaf), createdRealtime: 1_790_000_000_000_000_000, machine: 183
    ).encoded()
    let writer = ChunkWriter(compressionLevel: compressionLevel)
    func seal(_ records: some Sequence<[UInt8]>, as kind: ChunkKind) {
      for record in records {
        let fits = record.withUnsafeBytes(writer.append)
        precondition(fits, "the golden trace is smaller than a chunk")
      }
      writer.seal(kind: kind) { file += $0 }
    }
    func seal(metadata: String) {
      Array(metadata.utf8).withUnsafeBytes { _ = writer.sealMetadata($0) { file += $0 } }
    }

    var trace = GoldenTrace()
    seal(metadata: goldenRecordingMetadata)
    trace.begin()
    seal(trace.records, as: .events)
    seal(metadata: goldenEngineMetadata)
    var written = trace.records.count
    trace.tokenStep(structure: 1, position: 0, tokens: 2, sampled: 284, losingOne: false)
    seal(trace.records[written...], as: .events)
    written = trace.records.count
    trace.pause()
    trace.tokenStep(structure: 2, position: 2, tokens: 1, sampled: 260, losingOne: true)
    seal(trace.records[written...], as: .events)
    written = trace.records.count
    trace.speculativeRound()
    trace.finish()
    seal(trace.records[written...], as: .events)
    seal([trace.end(chunks: writer.chunkCount)], as: .end)
    return file
  }
}
