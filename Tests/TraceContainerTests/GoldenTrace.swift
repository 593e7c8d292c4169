import CTraceRecords
import TraceContainer

/// Builds `formats/golden/v1.0-minimal*.pitrace`: two token steps of a model with one MoE layer on two threads,
/// with every record type, every chunk kind and one lost record. The same bytes on every machine.
///
/// Golden traces are kept for ever: when the format grows, a new one is added beside this.
struct GoldenTrace {
  static let firstMoment: UInt64 = 1_000_000_000_000
  static let mainThread: UInt32 = 4242
  static let worker: UInt32 = 4243
  static let cgraph: UInt64 = 0x5581_2000_0000
  static let nodesArray: UInt64 = 0x5581_2000_0400

  private(set) var records: [[UInt8]] = []
  /// Next sequence number of CPU 0 and CPU 1.
  private(set) var sequences: [UInt32] = [0, 0]
  private var now = firstMoment

  // MARK: Records

  private func bytes<T: BitwiseCopyable>(of value: T, then tail: [UInt8] = []) -> [UInt8] {
    withUnsafeBytes(of: value) { Array($0) } + tail
  }

  /// The head of a BPF record `after` nanoseconds from the last one. CPU 0 runs the main thread, 1 the worker.
  private mutating func head(
    _ type: pi_record_type, after: UInt64, worker: Bool = false, flags: UInt32 = 0, ref: UInt32 = 0
  ) -> pi_record {
    now += after
    let cpu = worker ? 1 : 0
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
    records.append(bytes(of: head(type, after: after, worker: worker, flags: flags, ref: ref)))
  }

  mutating func begin() {
    clock()
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

  /// One call of llama_decode with `tokens` tokens, and the sampling after it.
  mutating func tokenStep(structure: UInt32, position: Int32, tokens: Int, sampled: UInt32, losingOne: Bool) {
    let context: UInt64 = 0x5581_1000_0000
    records.append(
      bytes(
        of: pi_token_begin(
          head: head(
            PI_RECORD_TOKEN_BEGIN, after: 50_000, flags: PI_TOKEN_DECODE.rawValue, ref: UInt32(tokens)),
          context: context, argument: 0)))
    records.append(
      bytes(
        of: pi_ubatch_begin(
          head: head(PI_RECORD_UBATCH_BEGIN, after: 2_000, ref: UInt32(tokens)), context: context,
          position: position, n_sequences: 1)))
    structureOfGraph(structure, tokens: tokens)
    records.append(
      bytes(
        of: pi_graph_begin(
          head: head(
            PI_RECORD_GRAPH_BEGIN, after: 3_000, flags: PI_GRAPH_CPU.rawValue, ref: structure),
          cgraph: Self.cgraph, uid: UInt64(structure), backend: 0, n_nodes: 4, n_threads: 2)))
    operators(tokens: tokens, losingOne: losingOne)
    bare(PI_RECORD_GRAPH_END, after: 500, flags: PI_GRAPH_CPU.rawValue)
    bare(PI_RECORD_UBATCH_END, after: 700, ref: 0)
    bare(PI_RECORD_TOKEN_END, after: 900, flags: PI_TOKEN_DECODE.rawValue, ref: 0)
    bare(PI_RECORD_SAMPLE_BEGIN, after: 1_500, flags: PI_SAMPLER_LLAMA.rawValue)
    bare(PI_RECORD_SAMPLE_END, after: 30_000, flags: PI_SAMPLER_LLAMA.rawValue, ref: sampled)
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
  private mutating func operators(tokens: Int, losingOne: Bool) {
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
      sequences[1] += 1  // the worker's OP_BEGIN found no room in the ring buffer
    } else {
      bare(PI_RECORD_OP_BEGIN, after: 100, worker: true, ref: GoldenTensor.routed.reference)
    }
    bare(PI_RECORD_BARRIER, after: 42_000)
    bare(PI_RECORD_BARRIER, after: 2_100, worker: true)
    for isWorker in [false, true] {
      records.append(
        bytes(
          of: pi_op_fused(
            head: head(
              PI_RECORD_OP_FUSED, after: 250, worker: isWorker, flags: PI_FUSION_RMS_NORM_MUL.rawValue,
              ref: GoldenTensor.normed.reference), last_ref: GoldenTensor.scaled.reference, reserved: 0)))
    }
    bare(PI_RECORD_BARRIER, after: 1_900, flags: PI_BARRIER_FINAL.rawValue)
    bare(PI_RECORD_BARRIER, after: 80, worker: true, flags: PI_BARRIER_FINAL.rawValue)
  }

  mutating func finish() {
    now += 5_000
    records.append(bytes(of: userHead(PI_RECORD_PROCESS, tid: 4300, ref: Self.mainThread)))
    now += 1_000_000
    clock()
    for cpu in 0..<2 {
      records.append(
        bytes(
          of: pi_loss(
            head: userHead(PI_RECORD_LOSS, cpu: UInt16(cpu)), lost_records: cpu == 1 ? 1 : 0, unreadable: 0,
            experts_cut: 0, last_sequence: UInt64(sequences[cpu]))))
    }
    records.append(
      bytes(
        of: pi_cost(
          head: userHead(PI_RECORD_COST), cpu_ns: 1_250_000, resident_bytes: 9_437_184, written_bytes: 6_000,
          records: drained)))
    for (site, hits) in [UInt64(2), 2, 8].enumerated() {
      records.append(bytes(of: pi_site(head: userHead(PI_RECORD_SITE, ref: UInt32(site)), hits: hits)))
    }
    records.append(bytes(of: userHead(PI_RECORD_EXIT, tid: Self.mainThread, ref: 0)))
  }

  /// Records of the BPF programs that reached the recorder: all sequence numbers but the one lost.
  private var drained: UInt64 { UInt64(sequences[0]) + UInt64(sequences[1]) - 1 }

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
      optionalFeatures: UInt64(PI_FEATURE_OPT_STRUCTURE | PI_FEATURE_OPT_EXPERTS),
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
    trace.tokenStep(structure: 2, position: 2, tokens: 1, sampled: 260, losingOne: true)
    trace.finish()
    seal(trace.records[written...], as: .events)
    seal([trace.end(chunks: writer.chunkCount)], as: .end)
    return file
  }
}
