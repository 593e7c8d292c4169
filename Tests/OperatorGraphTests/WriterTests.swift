import Foundation
#if canImport(FoundationXML)
  import FoundationXML
#endif
import OperatorGraph
import Testing
import TraceModel

@Suite struct WriterTests {
  private static let hostileNames = [
    "\"]; evil -> graph; x [label=\"", "ends with \\", "\\N\\G\\l\\", "<b>&lt;html&gt;</b>", "<<i>label</i>>",
    "two\nlines",
    "tab\tand\u{1}control\u{7f}", "ünïcödé \u{202e} 🙂", "}", "--", "null\0byte", "", " ",
  ]

  private static var hostile: GraphStructure {
    var maker = StructureMaker()
    for (index, name) in hostileNames.enumerated() {
      maker.op("ADD", "n\(index)", index == 0 ? [] : ["n\(index - 1)"], layer: index % 3)
      maker.change("n\(index)") {
        $0.name = name
        $0.op = name
        $0.type = name
      }
    }
    return maker.structure
  }

  @Test func jsonHoldsTheGraph() throws {
    let maker = StructureMaker.llama()
    let graph = OperatorGraph(maker.structure, form: .collapsed, fused: maker.fusedNorms)
    let first = maker.fusedNorms[0]
    let json = try parse(graph.json(maker.structure.measured([first.node: 1500])))
    let nodes = try #require(json["nodes"] as? [[String: Any]])
    #expect(nodes.count == graph.vertices.count)
    #expect(json["form"] as? String == "collapsed")
    #expect(json["complete"] as? Bool == true)
    let fused = try #require(nodes.first { $0["op"] as? String == "RMS_NORM+MUL" })
    #expect(fused["name"] as? String == "attn_norm-0")
    #expect(fused["duration_ns"] as? Int == 1500)
    #expect(fused["members"] as? [Int] == [first.node, first.lastNode])
    #expect(fused["layer"] as? Int == 0)
    #expect(fused["part"] as? String == "attention")
    #expect(fused["shape"] as? [Int] == [1024, 1])
    #expect(fused["address"] as? String == "0x" + String(maker.address("attn_norm-0"), radix: 16))
    let sources = try #require(fused["sources"] as? [[String: String]])
    #expect(sources.map { $0["name"] } == ["embd", "blk.0.attn_norm.weight"])
    let edges = try #require(json["edges"] as? [[String: Any]])
    #expect(edges.map { $0["from"] as? Int } == graph.edges.map(\.from))
    #expect(edges.map { $0["to"] as? Int } == graph.edges.map(\.to))
    #expect(edges.map { $0["kind"] as? String } == graph.edges.map(\.kind.rawValue))
    #expect(edges.map { $0["slot"] as? Int } == graph.edges.map(\.slot))
  }

  @Test func jsonKeepsGapsAndUnknownSources() throws {
    var maker = StructureMaker()
    maker.op("ADD", "a", [])
    maker.op("ADD", "b", ["a", nil])
    maker.change("b") { $0.sources.append(0xffff_ffff_ffff_fff0) }
    let json = try parse(OperatorGraph(maker.structure, form: .raw).json())
    let nodes = try #require(json["nodes"] as? [[String: Any]])
    let sources = try #require(nodes[1]["sources"] as? [Any])
    #expect((sources[0] as? [String: String])?["name"] == "a")
    #expect(sources[1] is NSNull)
    #expect((sources[2] as? [String: Any])?["name"] is NSNull)
    #expect((sources[2] as? [String: Any])?["address"] as? String == "0xfffffffffffffff0")
  }

  @Test func hostileNamesSurviveJSON() throws {
    let json = try parse(OperatorGraph(Self.hostile, form: .raw).json())
    let nodes = try #require(json["nodes"] as? [[String: Any]])
    #expect(nodes.map { $0["name"] as? String } == Self.hostileNames)
  }

  /// Graphviz itself reads the text and gives back what it understood.
  @Test(.enabled(if: graphvizPath != nil, "needs Graphviz's dot"))
  func hostileNamesSurviveGraphviz() throws {
    for showsConstants in [false, true] {
      let graph = OperatorGraph(Self.hostile, form: .raw)
      let options = DOTOptions(
        measure: .counter(CounterColumn(index: 0, name: "<b>&\"</b>")), showsConstants: showsConstants,
        title: "\"\\")
      let measurement = Self.hostile.measured([0: 5, 1: .max, 2: -1])
      let text = graph.dot(measurement, options)
      let json = try parse(graphviz(text, format: "json"))
      let objects = try #require(json["objects"] as? [[String: Any]])
      let names = objects.compactMap { $0["name"] as? String }.filter { $0.hasPrefix("n") }
      #expect(Set(names) == Set(Self.hostileNames.indices.map { "n\($0)" }))
      #expect(try edgeCount(json) == Self.hostileNames.count - 1)
      // What is drawn, read from the picture's text.
      let picture = try graphviz(text, format: "svg")
      let shown = try #require(try XMLDocument(xmlString: picture).rootElement())
      let drawn = shown.stringValue ?? ""
      for name in [
        "<b>&\"</b>", "\"]; evil -> graph; x [label=\"", "\\N\\G\\l\\", "<b>&lt;html&gt;</b>", "two␊lines",
      ] {
        #expect(drawn.contains(name), "\(name)")
      }
    }
  }

  @Test(.enabled(if: graphvizPath != nil, "needs Graphviz's dot"))
  func graphvizSeesLayersAndEdges() throws {
    let maker = StructureMaker.llama(layers: 3)
    let graph = OperatorGraph(maker.structure, form: .collapsed, fused: maker.fusedNorms)
    let json = try parse(graphviz(graph.dot(), format: "json"))
    let objects = try #require(json["objects"] as? [[String: Any]])
    let clusters = objects.compactMap { $0["name"] as? String }.filter { $0.hasPrefix("cluster_layer") }
    #expect(Set(clusters) == ["cluster_layer_0", "cluster_layer_1", "cluster_layer_2"])
    let drawn = graph.edges.filter { !graph.vertices[$0.from].members.isEmpty }
    #expect(try edgeCount(json) == drawn.count)
    let labels = objects.compactMap { $0["label"] as? String }
    #expect(labels.contains("44  __fattn__-2\\nFLASH_ATTN_EXT  f32  64×16"))
  }

  @Test func unnamedNodesBetweenTwoOfALayerAreDrawnInIt() {
    var maker = StructureMaker()
    maker.op("ADD", "before", [])
    maker.op("ADD", "a-0", ["before"], layer: 0)
    maker.op("ADD", "node_7", ["a-0"])
    maker.op("ADD", "b-0", ["node_7"], layer: 0)
    maker.op("ADD", "node_9", ["b-0"])
    maker.op("ADD", "c-1", ["node_9"], layer: 1)
    let dot = OperatorGraph(maker.structure, form: .collapsed).dot()
    let cluster = dot.drop(upTo: "cluster_layer_0").prefix(upTo: "}")
    #expect(cluster.contains("node_7"))
    #expect(!cluster.contains("node_9") && !cluster.contains("before"))
  }

  /// Edges that are seen: invisible ones keep legend and columns in place.
  private func edgeCount(_ json: [String: Any]) throws -> Int {
    let edges = try #require(json["edges"] as? [[String: Any]])
    return edges.count { $0["style"] as? String != "invis" }
  }

}

func parse(_ text: String) throws -> [String: Any] {
  let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
  return try #require(value as? [String: Any])
}

extension String {
  fileprivate func drop(upTo text: String) -> Substring {
    range(of: text).map { self[$0.upperBound...] } ?? self[endIndex...]
  }
}

extension Substring {
  fileprivate func prefix(upTo text: String) -> Substring {
    range(of: text).map { self[..<$0.lowerBound] } ?? self
  }
}

let graphvizPath = ["/usr/bin/dot", "/usr/local/bin/dot"].first(
  where: FileManager.default.isExecutableFile)

func graphviz(_ text: String, format: String) throws -> String {
  let input = FileManager.default.temporaryDirectory.appendingPathComponent("\(UUID().uuidString).dot")
  defer { try? FileManager.default.removeItem(at: input) }
  try Data(text.utf8).write(to: input)
  let process = Process()
  process.executableURL = URL(fileURLWithPath: try #require(graphvizPath))
  process.arguments = ["-T\(format)", input.path]
  let output = Pipe()
  process.standardOutput = output
  try process.run()
  let bytes = output.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  #expect(process.terminationStatus == 0)
  return String(decoding: bytes, as: UTF8.self)
}
