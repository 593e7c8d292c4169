import ProbeSites

/// All that the recorder wants to know of an ELF file of the engine.
struct FileFacts {
  struct Names {
    var source: String
    /// In enum order.
    var operators: [String]
    var unary: [String]
    var glu: [String]
  }

  /// Offsets that functions of libggml-base tell by their code.
  struct BaseOffsets {
    var graphNodeCount: UInt32
    var graphNodes: UInt32
    var tensorData: UInt32
    var tensorName: UInt32
    var hasGraphUID: Bool
  }

  var buildID: [UInt8] = []
  var plan = SitePlan()
  var names: Names?
  var base: BaseOffsets?
  var ubatchPositions: UInt32?
  var version: String?
  var commit: String?
  /// What could not be read, and why.
  var notes: [String] = []

  init() {}

  /// nil where the file has neither code to probe nor the operators' names.
  init?(of elf: ELFFile) {
    buildID = Array(elf.buildID)
    plan = planSites(in: elf)
    // A preloaded library that wraps some of the functions is not the engine: the engine has the rest, too.
    let isCPU = elf.symbol("ggml_graph_plan") != nil
    let isBase = elf.symbol("ggml_backend_sched_new") != nil
    let isModel = elf.symbol("llama_model_default_params") != nil
    plan.sites.removeAll { site in
      switch site.role.part {
      case .cpu: !isCPU
      case .base: !isBase
      case .model: !isModel
      case .device, .common: false
      }
    }
    readNames(elf)
    if plan.sites.isEmpty, names == nil, notes.isEmpty { return nil }
    if let nodeCount = elf.offset(returnedBy: "ggml_graph_n_nodes"),
      let nodes = elf.offset(returnedBy: "ggml_graph_nodes"),
      let data = elf.offset(returnedBy: "ggml_get_data"), let name = elf.offset(returnedBy: "ggml_get_name")
    {
      base = BaseOffsets(
        graphNodeCount: nodeCount, graphNodes: nodes, tensorData: data, tensorName: name,
        hasGraphUID: elf.symbol("ggml_graph_next_uid") != nil)
      version = elf.text(returnedBy: "ggml_version")
      commit = elf.text(returnedBy: "ggml_commit")
    }
    if isModel { ubatchPositions = elf.ubatchPositionsOffset() }
  }

  /// From the file, not from the process: its dynamic linker may not have relocated the tables yet.
  private mutating func readNames(_ elf: ELFFile) {
    let operators = list { () throws(NameTableError) in try operatorNames(in: elf) }
    guard let operators else { return }
    let unary = list { () throws(NameTableError) in try unaryOperatorNames(in: elf) }
    let glu = list { () throws(NameTableError) in try gluOperatorNames(in: elf) }
    names = Names(
      source: operators.source, operators: ProbeSites.readNames(operators, in: elf),
      unary: unary.map { ProbeSites.readNames($0, in: elf) } ?? [],
      glu: glu.map { ProbeSites.readNames($0, in: elf) } ?? [])
    if names?.operators.isEmpty == true { names = nil }
  }

  /// A table that cannot be read leaves operators with numbers for names; the trace says why.
  private mutating func list(_ find: () throws(NameTableError) -> NameTable?) -> NameTable? {
    do throws(NameTableError) { return try find() } catch {
      notes.append(error.description)
      return nil
    }
  }
}
