/// The next plan for graphs on backends.
///
/// `ggml_backend_graph_compute_async` is called in its own library, and compilers inline it there (clang 16, and gcc 12
/// into a static executable): then it never runs. It calls the backend's own function, which has the same arguments
/// and, where a file was not stripped, a local symbol.
extension SitePlanner {
  /// static enum ggml_status ggml_backend_NAME_graph_compute(ggml_backend_t, ggml_cgraph *)
  private static let backendFunctions: [(symbol: StaticString, function: String)] = [
    ("_ZL30ggml_backend_cpu_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_cpu_graph_compute"),
    ("_ZL29ggml_backend_vk_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_vk_graph_compute"),
    ("_ZL30ggml_backend_rpc_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_rpc_graph_compute"),
    ("_ZL31ggml_backend_blas_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_blas_graph_compute"),
    ("_ZL31ggml_backend_cuda_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_cuda_graph_compute"),
    (
      "_ZL33ggml_backend_opencl_graph_computeP12ggml_backendP11ggml_cgraph",
      "ggml_backend_opencl_graph_compute"
    ),
    ("_ZL31ggml_backend_sycl_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_sycl_graph_compute"),
    ("_ZL31ggml_backend_cann_graph_computeP12ggml_backendP11ggml_cgraph", "ggml_backend_cann_graph_compute"),
  ]

  /// Moves what is found into the plan's alternates.
  mutating func addAlternates() {
    // Later versions add arguments behind these.
    let found = elf.symbols(Self.backendFunctions.map { SymbolPattern($0.symbol, isPrefix: true) })
    let planned = plan.sites.count
    let missing = plan.missing.count
    for (symbols, backend) in zip(found, Self.backendFunctions) {
      guard let symbol = symbols.first(where: { $0.isFunction && !Self.isFragment($0.name) }) else {
        continue
      }
      // Backends in C++ throw.
      addCXXFunction(
        at: symbol, .backendGraph, .backendGraphReturn, backend.function, arguments: 2, hasResult: true,
        hint: "")
    }
    plan.alternates = Array(plan.sites[planned...])
    plan.sites.removeLast(plan.alternates.count)
    plan.missing.removeLast(plan.missing.count - missing)
  }
}
