import CProbeObject

/// Where the BPF programs find things in ggml's structures, and what the analyzer is told of it.
///
/// Offsets are the same on x86_64 and aarch64 (both LP64 with the same alignments). `ggml_tensor` last moved in
/// November 2024; what moved later, or may move again, is read from the target's own code.
struct Layout {
  var offsets = probe_layout(
    tensor_bytes: 336, tensor_ne: 16, tensor_nb: 48, tensor_op: 80, tensor_sources: 152,
    tensor_view_source: 232, tensor_data: 248, cgraph_n_nodes: 4, cgraph_n_leafs: 8, cgraph_nodes: 16,
    cgraph_uid: 0, cplan_n_threads: 16, params_ith: 0, ubatch_n_tokens: 4, ubatch_n_sequences: 12,
    ubatch_positions: 0, backend_guid: 0)
  /// For the metadata: how each group of offsets was found.
  private(set) var source = "epoch table: ggml since 2024-11"
  private(set) var notes: [String] = []

  /// Byte offset of `ggml_tensor::name` in the layout above.
  private static let tensorName: UInt32 = 256

  /// Takes what libggml-base tells by its code.
  mutating func learn(_ base: FileFacts.BaseOffsets) {
    source =
      "code of ggml_graph_n_nodes, ggml_graph_nodes, ggml_get_data, ggml_get_name; epoch table: the rest"
    offsets.cgraph_n_nodes = base.graphNodeCount
    offsets.cgraph_nodes = base.graphNodes
    if base.tensorData != offsets.tensor_data || base.tensorName != Self.tensorName {
      notes.append(
        "structure is not recorded: this build's ggml_tensor has data at \(base.tensorData) and name at "
          + "\(base.tensorName), which pi-record does not know")
      offsets.tensor_bytes = 0
    }
    // `uid` came in April 2026 together with the function that gives it out. Before, the graph ends at byte 80, and
    // what lies behind it may well look like a number that stays the same.
    offsets.cgraph_uid = base.hasGraphUID ? 88 : 0
    if !base.hasGraphUID {
      notes.append("graphs have no uid in this build: each one is compared with what is known of it")
    }
  }

  /// Takes where libllama keeps the positions of a micro-batch, nil where no code tells.
  mutating func learn(ubatchPositions: UInt32?) {
    offsets.ubatch_positions = ubatchPositions ?? 0
    if ubatchPositions == nil {
      notes.append("positions are not recorded: no code tells where llama_ubatch keeps them")
    }
  }

  func write(to json: inout JSONWriter) {
    json.object("layout") { json in
      json.string("source", source)
      json.number("tensor_bytes", offsets.tensor_bytes)
      json.number("tensor_ne", offsets.tensor_ne)
      json.number("tensor_nb", offsets.tensor_nb)
      json.number("tensor_op", offsets.tensor_op)
      json.number("tensor_src", offsets.tensor_sources)
      json.number("tensor_view_src", offsets.tensor_view_source)
      json.number("tensor_data", offsets.tensor_data)
      json.number("cgraph_n_nodes", offsets.cgraph_n_nodes)
      json.number("cgraph_n_leafs", offsets.cgraph_n_leafs)
      json.number("cgraph_nodes", offsets.cgraph_nodes)
      if offsets.cgraph_uid > 0 { json.number("cgraph_uid", offsets.cgraph_uid) }
      json.number("cplan_n_threads", offsets.cplan_n_threads)
      json.number("ubatch_n_tokens", offsets.ubatch_n_tokens)
      json.number("ubatch_n_seqs", offsets.ubatch_n_sequences)
      if offsets.ubatch_positions > 0 { json.number("ubatch_pos", offsets.ubatch_positions) }
      json.number("backend_guid", offsets.backend_guid)
    }
  }
}
