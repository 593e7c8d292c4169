import OperatorGraph
import Statistics
import Testing
import TraceModel

@Suite struct DrawingTests {
  private static var three: StructureMaker {
    var maker = StructureMaker()
    maker.op("MUL_MAT", "slow", [], layer: 4)
    maker.op("ADD", "fast", ["slow"], layer: 4)
    maker.op("ADD", "unknown", ["slow"], layer: 4)
    return maker
  }

  /// The line of a vertex.
  private func line(_ dot: String, _ id: String) throws -> String {
    try #require(dot.split(separator: "\n").map(String.init).first { $0.contains("  \(id) [") })
  }

  @Test func timesSharesAndOrderAreShown() throws {
    let maker = Self.three
    let dot = maker.graph.dot(
      maker.structure.measured([0: 1_500_000, 1: 500_000], graph: 2_500_000), DOTOptions(title: "a step"))
    #expect(try line(dot, "n0").contains("1  slow\\nMUL_MAT  f32  8×8\\n1.500 ms  75.0 %"))
    #expect(try line(dot, "n1").contains("2  fast\\nADD  f32  8×8\\n500.0 µs  25.0 %"))
    #expect(dot.contains("layer 4   2.000 ms  100.0 %"))
    #expect(dot.contains("a step · structure 1, 3 operators\\l"))
    #expect(dot.contains("critical path: 2 operators, 2.000 ms, 100.0 % of all operators' 2.000 ms, 80.0 %"))
  }

  @Test func whatWasNotRecordedIsSeen() throws {
    let maker = Self.three
    let dot = maker.graph.dot(maker.structure.measured([0: 1_500_000, 1: 500_000]))
    let unknown = try line(dot, "n2")
    #expect(unknown.contains("3  unknown\\nADD  f32  8×8\\nnot recorded"))
    #expect(unknown.contains("fillcolor=\"#ffffff\"") && unknown.contains("dashed"))
    #expect(try line(dot, "legend_unmeasured").contains("not recorded"))
    #expect(!(try line(dot, "n1").contains("dashed")))
  }

  @Test func criticalPathIsDrawn() throws {
    let maker = Self.three
    let dot = maker.graph.dot(maker.structure.measured([0: 15, 1: 5, 2: 7]))
    #expect(try line(dot, "n0").contains("penwidth=2.5"))
    #expect(try line(dot, "n2").contains("penwidth=2.5"))
    #expect(!(try line(dot, "n1").contains("penwidth")))
    #expect(dot.contains("n0 -> n2 [weight=4, penwidth=2.5"))
    #expect(dot.contains("n0 -> n1 [weight=4];"))
  }

  @Test func shapesTellClassesAndConstants() throws {
    var maker = StructureMaker.llama(layers: 1)
    maker.op("MYSTERY", "unheard of", ["l_out-0"])
    let dot = maker.graph.dot(nil, DOTOptions(showsConstants: true))
    for (text, shape) in [
      ("matrix product", "box"), ("attention, soft-max", "hexagon"), ("norm", "octagon"),
      ("rotary position", "box3d"), ("copy, look-up", "tab"), ("element-wise, activation", "box"),
      ("other", "underline"), ("weight", "note"), ("cache", "cylinder"), ("input", "ellipse"),
    ] {
      let entry = try #require(
        dot.split(separator: "\n").first { $0.contains("label=\"\(text)\"") }, "\(text)")
      #expect(entry.contains("shape=\(shape),"), "\(text)")
    }
    // Nothing is explained that is not there.
    #expect(!dot.contains("recurrence") && !dot.contains("critical path") && !dot.contains("not recorded"))
    let product = try #require(dot.split(separator: "\n").first { $0.contains("Vcur-0") })
    #expect(product.contains("shape=box,") && product.contains("q4_1→f32"))
  }

  @Test func bandwidthFLOPsAndCountersHaveUnitsAndARange() throws {
    let maker = Self.three
    var measurement = maker.structure.measured([:])
    // 8 kB in 2 µs: 4 GB/s. 1 kB in 1 µs: 1 GB/s. Of the third nothing is known but the time.
    measurement.operators[0] = OperatorFigures(2000, bytes: 8000, flops: 5000)
    measurement.operators[1] = OperatorFigures(1000, bytes: 1000, flops: 0)
    measurement.operators[2] = OperatorFigures(1000)
    measurement.operators[0]?.counters.add(
      CounterDelta(values: SIMD8(0, 1_250_000, 0, 0, 0, 0, 0, 0), known: 2, mayIncludeOtherTasks: false),
      calls: 1)
    let bandwidth = maker.graph.dot(measurement, DOTOptions(measure: .bandwidth))
    #expect(try line(bandwidth, "n0").contains("4.00 GB/s  2.000 µs  50.0 %"))
    #expect(try line(bandwidth, "n1").contains("1.00 GB/s"))
    #expect(try line(bandwidth, "n2").contains("not recorded  1.000 µs"))
    #expect(bandwidth.contains("modelled bytes / time") && bandwidth.contains("3.50 GB/s – 4.00 GB/s"))
    let flops = maker.graph.dot(measurement, DOTOptions(measure: .flops))
    #expect(try line(flops, "n0").contains("2.50 GFLOP/s"))
    #expect(try line(flops, "n1").contains("0 FLOP/s"))
    let counter = maker.graph.dot(
      measurement, DOTOptions(measure: .counter(CounterColumn(index: 1, name: "raw:0x2a"))))
    #expect(try line(counter, "n0").contains("1.25 M raw:0x2a"))
    #expect(try line(counter, "n1").contains("not recorded"))
    #expect(counter.contains("raw:0x2a of a call"))
  }

  @Test func oneSlowOperatorDoesNotHideTheOthers() throws {
    var maker = StructureMaker()
    var times: [Int: Int64] = [:]
    for index in 0..<100 {
      maker.op("ADD", "n\(index)", [])
      times[index] = index == 50 ? 10_000_000 : Int64(1000 + index * 100)
    }
    let dot = maker.graph.dot(maker.structure.measured(times))
    let colours = Set(
      try (0..<100).map { index in
        let line = try line(dot, "n\(index)")
        return try #require(line.split(separator: "\"").first { $0.hasPrefix("#") && $0.count == 7 })
      })
    #expect(colours.count >= 4)
  }

  @Test func manyLayersStandInColumns() throws {
    let maker = StructureMaker.llama(layers: 30)
    let dot = maker.graph.dot()
    let columns = dot.split(separator: "\n").count { $0.contains("subgraph cluster_column_") }
    #expect((4...12).contains(columns))
    // Every edge is there, either as a line or as two with marks between them.
    let graph = maker.graph
    let drawn = graph.edges.filter { !graph.vertices[$0.from].members.isEmpty }
    for edge in drawn {
      let isMarked = dot.contains(" -> n\(edge.to) [") && dot.contains("n\(edge.from) -> out\(edge.from)_")
      #expect(dot.contains("n\(edge.from) -> n\(edge.to) [") || isMarked, "\(edge)")
    }
    #expect(dot.contains("label=\"from l_out-"))
    #expect(!StructureMaker.llama(layers: 3).graph.dot().contains("cluster_column"))
  }

  /// What goes from layer to layer goes through one mark; the first layer's input does, too.
  @Test func foldedLayerTakesTheLayerBefore() throws {
    let maker = StructureMaker.llama(layers: 3)
    let folded = try #require(
      FoldedGraph(maker.graph, maker.measured(["embd": 1, "Vcur-1": 5, "ffn_out-0": 3])))
    func index(_ name: String) throws -> Int {
      try #require(folded.vertices.firstIndex { $0.name == name })
    }
    let (embd, norm, sum, out) = (
      try index("embd"), try index("attn_norm-N"), try index("ffn_inp-N"), try index("l_out-N")
    )
    let dot = folded.dot(DOTOptions(title: "a title"))
    #expect(dot.contains("p\(out) [shape=cds") && dot.contains("label=\"l_out-N of the layer before\""))
    #expect(dot.contains("n\(embd) -> p\(out) [label=\"layer 0\", weight=4, penwidth=2.5"))
    #expect(dot.contains("p\(out) -> n\(norm) [weight=4, penwidth=2.5"))
    #expect(dot.contains("p\(out) -> n\(sum) [weight=4];"))
    #expect(dot.contains("n\(out) -> p\(out) [constraint=false, label=\"next layer\", penwidth=2.5"))
    #expect(!dot.contains("n\(embd) -> n"))
    #expect(dot.contains("a title\\lcritical path: ") && dot.contains("all layers are alike"))
    #expect(dot.contains("one layer for 3: layers 0–2 · together 8 ns, 88.9 %"))
    #expect(try line(dot, "n\(try index("Vcur-N"))").contains("p50 5 ns  p95 5 ns"))
    #expect(try line(dot, "n\(try index("Kcur-N"))").contains("not recorded"))
  }

  @Test func classesOfOperators() {
    #expect(OperatorClass(op: "RMS_NORM+MUL") == .normalisation)
    #expect(OperatorClass(op: "MUL_MAT+ADD") == .matrixProduct)
    #expect(OperatorClass(op: "MUL_MAT_ID") == .matrixProduct)
    #expect(OperatorClass(op: "GEGLU") == .elementWise)
    #expect(OperatorClass(op: "SSM_SCAN") == .recurrence)
    #expect(OperatorClass(op: "ARGSORT") == .routing)
    #expect(OperatorClass(op: "") == .other)
    #expect(OperatorClass(op: "+") == .other)
  }
}
