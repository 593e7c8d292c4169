extension SitePlanner {
  /// The symbols looked for, in the order of the patterns.
  enum Name: Int, CaseIterable {
    // Called functions come first: CallTargets knows these.
    case operatorCall, fused, barrier, isEmpty, abort
    case graph, backendGraph
    case decode, process, encode, sampleLlama, warmup
    case ubatch, setInputs, sampleCommon, draft, accept
    case openCL, rockchip, vulkan
    case modelLoad, commonSamplerInit

    static let callable = operatorCall.rawValue..<graph.rawValue

    var pattern: SymbolPattern {
      switch self {
      case .operatorCall: SymbolPattern("ggml_cpu_extra_compute_forward")
      case .fused: SymbolPattern("ggml_compute_forward_rms_norm_mul_fused")
      case .barrier: SymbolPattern("ggml_barrier")
      case .isEmpty: SymbolPattern("ggml_is_empty")
      case .abort: SymbolPattern("ggml_abort")
      case .graph: SymbolPattern("ggml_graph_compute")
      case .backendGraph: SymbolPattern("ggml_backend_graph_compute_async")
      case .decode: SymbolPattern("llama_decode")
      case .process: SymbolPattern("llama_process")
      case .encode: SymbolPattern("llama_encode")
      case .sampleLlama: SymbolPattern("llama_sampler_sample")
      case .warmup: SymbolPattern("llama_set_warmup")
      case .ubatch: SymbolPattern("_ZN13llama_context14process_ubatch", isPrefix: true)
      case .setInputs: SymbolPattern("_Z16llama_set_inputsR13llama_contextRK12llama_ubatch")
      case .sampleCommon:
        SymbolPattern("_Z21common_sampler_sampleP14common_samplerP13llama_contexti", isPrefix: true)
      case .draft: SymbolPattern("_Z24common_speculative_draft", isPrefix: true)
      // (spec, sequence, n_accepted); before 2026 there was no sequence, and another place for the count.
      case .accept: SymbolPattern("_Z25common_speculative_acceptP18common_speculativeit")
      case .openCL:
        SymbolPattern("_Z23ggml_cl_compute_forwardP12ggml_backendP11ggml_tensor", isPrefix: true)
      case .rockchip:
        SymbolPattern("_Z23ggml_rk_compute_forwardP12ggml_backendP11ggml_tensor", isPrefix: true)
      case .vulkan: SymbolPattern("_ZL19ggml_vk_build_graph", isPrefix: true)
      case .modelLoad: SymbolPattern("llama_model_load_from_file")
      case .commonSamplerInit: SymbolPattern("_Z19common_sampler_init", isPrefix: true)
      }
    }
  }
}
