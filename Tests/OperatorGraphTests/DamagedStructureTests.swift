import OperatorGraph
import Testing
import TraceModel

@Suite struct DamagedStructureTests {
  @Test func missingSourceIsShownAsMissing() {
    var maker = StructureMaker()
    maker.op("MUL_MAT", "a", [])
    maker.view("VIEW", "v", of: "a")
    maker.op("ADD", "b", ["v"])
    maker.change("v") { $0.sources = [0xdead_0000] }
    maker.change("a") { $0.sources = [0xbeef_0000] }
    for form in GraphForm.allCases {
      let graph = OperatorGraph(maker.structure, form: form)
      let missing = graph.vertices.filter { $0.kind == .missing }.map(\.node.address)
      #expect(Set(missing) == [0xdead_0000, 0xbeef_0000])
      #expect(graph.topologicalOrder().unordered.isEmpty)
    }
  }

  @Test func cyclesEndAndAreTold() {
    var maker = StructureMaker()
    maker.op("ADD", "start", [])
    maker.op("ADD", "a", ["start"])
    maker.op("ADD", "b", ["a"])
    maker.op("ADD", "after", ["b"])
    maker.relink("a") { $0.sources.append($1.address("b")) }
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    let (order, unordered) = graph.topologicalOrder()
    #expect(order == [0])
    #expect(unordered == [1, 2, 3])
  }

  @Test func cyclesOfViewsEnd() {
    var maker = StructureMaker()
    maker.op("ADD", "a", [])
    maker.view("VIEW", "v", of: "a")
    maker.view("VIEW", "w", of: "v")
    maker.op("MUL", "b", ["w", "a"])
    maker.relink("v") {
      $0.sources = [$1.address("w"), $1.address("v")]
      $0.viewSource = $1.address("w")
    }
    maker.relink("w") { $0.viewSource = $1.address("v") }
    let graph = OperatorGraph(maker.structure, form: .collapsed)
    #expect(graph.vertices.map(\.node.name) == ["a", "b"])
    #expect(graph.edges.map(\.from) == [0])
  }

  @Test func operatorThatReadsItselfStaysUnordered() {
    var maker = StructureMaker()
    maker.op("ADD", "a", [])
    maker.relink("a") { $0.sources = [$1.address("a")] }
    #expect(OperatorGraph(maker.structure, form: .collapsed).topologicalOrder().unordered == [0])
    #expect(OperatorGraph(maker.structure, form: .raw).topologicalOrder().unordered == [0])
  }

  @Test func impossibleShapesDoNotTrap() {
    for (shape, strides) in [
      ([Int64.max, Int64.max], [UInt64.max, UInt64.max]), ([Int64.min, -1], [4, 4]), ([], []),
      ([0, 0], [0, 0]),
      ([1, Int64.max], [UInt64.max, 2]), ([3], [4, 8]),
    ] as [([Int64], [UInt64])] {
      var maker = StructureMaker()
      maker.constant("cache")
      maker.op("CPY", "write", ["cache"], into: "cache")
      maker.op("ADD", "read", ["cache"])
      maker.change("write") {
        $0.shape = shape
        $0.strides = strides
        $0.data = UInt64.max - 1
        $0.byteCount = Int64.max
      }
      let graph = OperatorGraph(maker.structure, form: .collapsed)
      // Where the write went cannot be told, so it may be anywhere in the cache.
      #expect(graph.edges.contains { $0.from == 0 && $0.to == 1 && $0.kind == .memory })
      #expect(graph.dot().contains("n0 -> n1"))
    }
  }

  @Test func duplicateAddressesGiveAGraph() {
    var maker = StructureMaker()
    maker.constant("w")
    maker.op("ADD", "a", ["w"])
    maker.op("ADD", "b", ["a"])
    maker.relink("b") { $0.address = $1.address("a") }
    var structure = maker.structure
    structure.constants.append(structure.constants[0])
    for form in GraphForm.allCases {
      let graph = OperatorGraph(structure, form: form)
      #expect(graph.vertices.filter { $0.kind == .executed }.count == 2)
      #expect(graph.edges.count == 2)
    }
  }

  /// Each node reads all views before it, each of which reads all nodes before it.
  @Test(.timeLimit(.minutes(1))) func workIsBounded() {
    let count = 1500
    var structure = GraphStructure(number: 1, nodes: [], constants: [], isComplete: true)
    for index in 0..<count {
      let isView = index % 2 == 0
      // Every node writes into one memory at an unknown place, so that all writes order all reads.
      structure.nodes.append(
        Node(
          address: UInt64(index + 1) * 16, name: "n\(index)", op: isView ? "VIEW" : "CPY", type: "f32",
          shape: [],
          strides: [], sources: (1...10).map { index > $0 ? UInt64(index - $0 + 1) * 16 : nil },
          viewSource: 8,
          data: nil, isExecuted: !isView, byteCount: 0, layer: nil, part: .other))
    }
    let graph = OperatorGraph(structure, form: .collapsed)
    #expect(graph.omittedEdgeCount > 0)
    #expect(graph.edges.count <= 16 * (count + 1024))
  }

  @Test func emptyStructure() {
    let empty = GraphStructure(number: 7, nodes: [], constants: [], isComplete: false)
    for form in GraphForm.allCases {
      let graph = OperatorGraph(empty, form: form)
      #expect(graph.vertices.isEmpty && graph.edges.isEmpty)
      let dot = graph.dot()
      // Graphviz refuses attributes of nothing: `[style=invis];` without a vertex before it.
      #expect(dot.hasPrefix("digraph") && !dot.contains("legend") && !dot.contains("   ["))
    }
  }
}
