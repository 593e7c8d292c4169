import CProbeObject

/// Where the BPF programs find things in ggml's structures, and what the analyzer is told of it.
///
/// Offsets are the same on x86_64 and aarch64 (both LP64 with the same alignments). The tensor
/// last moved in November 2024, ggml_cgraph in April 2026 (when `uid` came).
struct Layout {
  var source: String
  var settings: probe_settings

  static let current = Layout(
    source: "epoch table: ggml since 2026-04",
    settings: probe_settings(
      root_tgid: 0, record_structure: 0, record_experts: 0, token_limit: 0, tensor_bytes: 336, tensor_ne: 16,
      tensor_nb: 48, tensor_op: 80, tensor_sources: 152, tensor_view_source: 232, tensor_data: 248,
      cgraph_n_nodes: 4, cgraph_n_leafs: 8, cgraph_nodes: 16, cgraph_uid: 88, cplan_n_threads: 16,
      params_ith: 0, ubatch_n_tokens: 4, ubatch_n_sequences: 12))

  func write(to json: inout JSONWriter) {
    json.object("layout") { json in
      json.string("source", source)
      json.number("tensor_bytes", settings.tensor_bytes)
      json.number("tensor_ne", settings.tensor_ne)
      json.number("tensor_nb", settings.tensor_nb)
      json.number("tensor_op", settings.tensor_op)
      json.number("tensor_src", settings.tensor_sources)
      json.number("tensor_view_src", settings.tensor_view_source)
      json.number("tensor_data", settings.tensor_data)
      json.number("cgraph_n_nodes", settings.cgraph_n_nodes)
      json.number("cgraph_n_leafs", settings.cgraph_n_leafs)
      json.number("cgraph_nodes", settings.cgraph_nodes)
      json.number("cgraph_uid", settings.cgraph_uid)
      json.number("cplan_n_threads", settings.cplan_n_threads)
      json.number("ubatch_n_tokens", settings.ubatch_n_tokens)
      json.number("ubatch_n_seqs", settings.ubatch_n_sequences)
    }
  }
}
