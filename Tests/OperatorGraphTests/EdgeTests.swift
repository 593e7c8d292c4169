import OperatorGraph
import Testing
import TraceModel

/// `from kind to` of every edge, by names; constants only where asked for.
private func edges(_ graph: OperatorGraph, constants: Bool = false) -> Set<String> {
  Set(
    graph.edges.compactMap { edge in
      if !constants, case .constant = graph.vertices[edge.from].kind { return nil }
      return "\(name(graph, edge.from)) \(edge.kind.rawValue) \(name(graph, edge.to))"
    })
}

private func name(_ graph: OperatorGraph, _ vertex: Int) -> String {
  let node = graph.vertices[vertex].node
  return node.name.isEmpty ? "0x" + String(node.address, radix: 16) : node.name
}

@Suite struct EdgeTests {
  @Test func rawEdgesAreTheSourcesExactly() {
    let structure = StructureMaker.llama().structure
    let graph = OperatorGraph(structure, form: .raw)
    let tensors = structure.nodes + structure.constants
    let names = Dictionary(uniqueKeysWithValues: tensors.map { ($0.address, $0.name) })
    for (index, node) in tensors.enumerated() {
      let wanted = node.sources.enumerated().map { "\($0.offset) \(names[$0.element!]!)" }
      let found = graph.edges.filter { $0.to == index }.map {
        "\($0.slot!) \(graph.vertices[$0.from].node.name)"
      }
      #expect(found == wanted, "\(node.name)")
    }
    #expect(graph.vertices.count == tensors.count)
  }

  @Test func allTenSourcesAndTheirGaps() {
    var maker = StructureMaker()
    let names = (0..<10).map { "s\($0)" }
    for name in names { maker.op("NORM", name, []) }
    maker.op("CUSTOM", "sum", names.enumerated().map { $0.offset == 4 ? nil : $0.element })
    for form in GraphForm.allCases {
      let graph = OperatorGraph(maker.structure, form: form)
      #expect(graph.edges.map(\.from) == [0, 1, 2, 3, 5, 6, 7, 8, 9])
      #expect(graph.edges.map(\.slot) == [0, 1, 2, 3, 5, 6, 7, 8, 9])
    }
  }

  @Test func edgesRunThroughChainsOfViews() {
    var maker = StructureMaker()
    maker.op("MUL_MAT", "a", [])
    maker.view("RESHAPE", "a1", of: "a")
    maker.view("VIEW", "a2", of: "a1")
    maker.view("PERMUTE", "a3", of: "a2")
    maker.view("TRANSPOSE", "a4", of: "a3")
    maker.op("CONT", "b", ["a4"])
    maker.op("ADD", "c", ["b", "a1"])
    // The same producer once directly and once through a view is one direct edge.
    maker.op("MUL", "d", ["a2", "a"])
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(graph.vertices.map(\.node.name) == ["a", "b", "c", "d"])
    #expect(edges(graph) == ["a view b", "b data c", "a view c", "a data d"])
  }

  @Test func viewsOfConstantsLeadToTheConstant() {
    var maker = StructureMaker()
    maker.constant("rope_freqs.weight")
    maker.view("VIEW", "half", of: "rope_freqs.weight")
    maker.op("ROPE", "q", ["half"])
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(edges(graph, constants: true) == ["rope_freqs.weight view q"])
    #expect(graph.vertices[1].kind == .constant(.weight))
  }

  @Test func cacheIsReadAfterItIsWritten() {
    var maker = StructureMaker()
    maker.constant("cache_k_l0", [8, 64])
    maker.op("ROPE", "k", [])
    maker.op("SET_ROWS", "write", ["k", nil, "cache_k_l0"], [8, 64], into: "cache_k_l0")
    maker.view("VIEW", "k view", of: "cache_k_l0", [4, 2, 32])
    maker.view("PERMUTE", "k permuted", of: "k view", [4, 32, 2])
    maker.op("MUL_MAT", "kq", ["k permuted"])
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(edges(graph) == ["k data write", "write memory kq"])
    #expect(edges(graph, constants: true).isSuperset(of: ["cache_k_l0 view kq", "cache_k_l0 data write"]))
    #expect(graph.vertices.last?.kind == .constant(.cache))
  }

  @Test func onlyOverlappingMemoryOrders() {
    var maker = StructureMaker()
    maker.constant("cache_r_l0", [16, 4])
    maker.view("VIEW", "row 0", of: "cache_r_l0", [16])
    maker.view("VIEW", "row 2", of: "cache_r_l0", [16], offset: 128)
    maker.op("CPY", "write 0", ["row 0"], [16], into: "row 0")
    maker.relink("write 0") { $0.data = $1.data("row 0") }
    maker.op("SCALE", "read 2", ["row 2"], [16])
    maker.op("SCALE", "read 0", ["row 0"], [16])
    maker.op("SUM", "read all", ["cache_r_l0"], [1])
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(edges(graph) == ["write 0 memory read 0", "write 0 memory read all"])
  }

  @Test func strideGapsCountAsOverlapAndReadsBeforeTheWriteDoNot() {
    var maker = StructureMaker()
    maker.constant("cache_v_l0", [16, 4])
    maker.op("SUM", "early", ["cache_v_l0"], [1])
    // A column: one element a row, so its extent reaches to the last row.
    maker.view("VIEW", "column", of: "cache_v_l0", [1, 4], strides: [4, 64])
    maker.op("CPY", "write", ["column"], [1, 4], into: "column")
    maker.change("write") { $0.strides = [4, 64] }
    maker.view("VIEW", "last row", of: "cache_v_l0", [16], offset: 192)
    maker.op("SUM", "late", ["last row"], [1])
    #expect(edges(OperatorGraph(maker.structure, form: .collapsed)) == ["write memory late"])
  }

  @Test func inPlaceOperatorComesBeforeReadersOfItsTarget() {
    var maker = StructureMaker()
    maker.op("MUL_MAT", "a", [])
    maker.op("ADD", "b", ["a"], into: "a")
    maker.op("SUM", "c", ["a"])
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(edges(graph) == ["a data b", "a data c", "b memory c"])
  }

  @Test func reusedMemoryIsNoDependency() {
    var maker = StructureMaker()
    maker.op("MUL_MAT", "a", [])
    maker.op("SUM", "a sum", ["a"])
    maker.op("MUL_MAT", "b", [])
    maker.relink("b") { $0.data = $1.data("a") }
    maker.op("SUM", "b sum", ["b"])
    #expect(edges(OperatorGraph(maker.structure, form: .collapsed)) == ["a data a sum", "b data b sum"])
  }

  @Test func twoTensorsForOneCacheAreOneMemory() {
    var maker = StructureMaker()
    maker.constant("cache_k_l0", [8, 8])
    maker.op("SET_ROWS", "write", ["cache_k_l0"], into: "cache_k_l0")
    maker.op("MUL_MAT", "kq", [])
    var structure = maker.structure
    var twin = structure.constants[0]
    twin.address += 0x8000
    twin.name = "shared"
    structure.constants.append(twin)
    structure.nodes[1].sources = [twin.address]
    #expect(edges(OperatorGraph(structure, form: .collapsed)) == ["write memory kq"])
  }

  @Test func fusedPairIsOneOperator() {
    var maker = StructureMaker()
    maker.constant("norm.weight")
    maker.op("ADD", "x", [])
    maker.op("RMS_NORM", "n", ["x"])
    maker.op("MUL", "y", ["n", "norm.weight"])
    maker.op("MUL_MAT", "z", ["y", "x"])
    let fused = [FusedOperator(node: 1, lastNode: 2)]
    let graph = OperatorGraph(maker.structure, form: .collapsed, fused: fused)
    #expect(graph.vertices.prefix(3).map(\.op) == ["ADD", "RMS_NORM+MUL", "MUL_MAT"])
    #expect(graph.vertices[1].members == [1, 2])
    #expect(edges(graph) == ["x data y", "y data z", "x data z"])
    #expect(maker.structure.measured([1: 5]).figures(of: graph.vertices[1])?.time == 5)
    // Members that ran apart in some steps.
    #expect(maker.structure.measured([1: 5, 2: 7]).figures(of: graph.vertices[1])?.time == 12)
    #expect(maker.structure.measured([1: 5]).figures(of: graph.vertices[2]) == nil)
  }

  @Test func impossibleFusionsAreReported() {
    var maker = StructureMaker()
    for index in 0..<100 { maker.op("ADD", "n\(index)", index == 0 ? [] : ["n\(index - 1)"]) }
    let wrong = [(-1, 3), (4, 2), (98, 100), (0, 99), (11, 12), (Int.min, Int.max)].map(FusedOperator.init)
    let right = [FusedOperator(node: 10, lastNode: 11), FusedOperator(node: 50, lastNode: 50)]
    let graph = OperatorGraph(maker.structure, form: .collapsed, fused: wrong + right)
    #expect(Set(graph.ignoredFusions) == Set(wrong))
    #expect(graph.vertices.count == 99)
  }

  @Test func layerOfALlama() {
    let maker = StructureMaker.llama(layers: 3)
    let graph = OperatorGraph(maker.structure, form: .collapsed, fused: maker.fusedNorms)
    let found = edges(graph)
    let wanted: Set = [
      "l_out-0 data attn_norm-1", "attn_norm-1 data Qcur-1", "attn_norm-1 data Kcur-1",
      "attn_norm-1 data Vcur-1",
      "Qcur-1 view Qcur-1 (rope)", "Kcur-1 view Kcur-1 (rope)", "Kcur-1 (rope) view cache_k_l1 (write)",
      "Vcur-1 view cache_v_l1 (write)", "Qcur-1 (rope) view __fattn__-1",
      "cache_k_l1 (write) memory __fattn__-1",
      "cache_v_l1 (write) memory __fattn__-1", "__fattn__-1 view attn_out-1", "attn_out-1 data ffn_inp-1",
      "l_out-0 data ffn_inp-1", "ffn_inp-1 data ffn_norm-1", "ffn_norm-1 data ffn_gate-1",
      "ffn_norm-1 data ffn_up-1", "ffn_gate-1 data ffn_swiglu-1", "ffn_up-1 data ffn_swiglu-1",
      "ffn_swiglu-1 data ffn_out-1", "ffn_out-1 data l_out-1", "ffn_inp-1 data l_out-1",
    ]
    let ofLayer = Set(
      graph.edges.filter { edge in
        graph.vertices[edge.to].node.layer == 1 && !graph.vertices[edge.from].members.isEmpty
      }.map { "\(name(graph, $0.from)) \($0.kind.rawValue) \(name(graph, $0.to))" })
    #expect(ofLayer == wanted)
    #expect(found.isSuperset(of: wanted))
    #expect(graph.topologicalOrder().unordered.isEmpty)
  }
}
