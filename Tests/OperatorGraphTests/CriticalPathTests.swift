import OperatorGraph
import Testing
import TraceModel

@Suite struct CriticalPathTests {
  /// a (5) → b (3) → d (2), a → c (4) → d, and e (1) on its own.
  private static var diamond: StructureMaker {
    var maker = StructureMaker()
    maker.constant("w.weight")
    maker.op("ADD", "a", ["w.weight"])
    maker.op("ADD", "b", ["a"])
    maker.op("ADD", "c", ["a"])
    maker.op("ADD", "d", ["b", "c"])
    maker.op("ADD", "e", [])
    return maker
  }

  @Test func longestPathByTime() throws {
    let graph = Self.diamond.graph
    let path = try #require(graph.criticalPath([5, 3, 4, 2, 1, nil]))
    #expect(path.vertices == [0, 2, 3])
    #expect(path.length == 5 + 4 + 2)
    #expect(path.total == 15)
    #expect(path.isComplete)
    #expect(
      path.text(graphTime: 22)
        == "critical path: 3 operators, 11 ns, 73.3 % of all operators' 15 ns, 50.0 % of the graph's 22 ns")
  }

  @Test func unknownTimesAreOfNoLength() throws {
    let graph = Self.diamond.graph
    // Without c's time the way over b is longer; negative times of a damaged trace count as none.
    let path = try #require(graph.criticalPath([5, 3, nil, 2, -7, nil]))
    #expect(path.vertices == [0, 1, 3])
    #expect(path.length == 10)
    #expect(path.total == 10)
    #expect(graph.criticalPath([nil, nil, nil, nil, nil, nil]) == nil)
    #expect(graph.criticalPath([1]) == nil)
  }

  @Test func sharedMemoryIsADependency() throws {
    var maker = StructureMaker()
    maker.constant("cache_k_l0")
    maker.op("ROPE", "k", [])
    maker.op("SET_ROWS", "write", ["k"], into: "cache_k_l0")
    maker.view("VIEW", "view", of: "cache_k_l0")
    maker.op("MUL_MAT", "kq", ["view"])
    let path = try #require(maker.graph.criticalPath([1, 2, 4, nil]))
    #expect(path.vertices == [0, 1, 2])
    #expect(path.length == 7)
  }

  @Test func cyclesAreLeftOutAndTold() throws {
    var maker = Self.diamond
    maker.relink("b") { $0.sources.append($1.address("d")) }
    let path = try #require(maker.graph.criticalPath([5, 3, 4, 2, 1, nil]))
    // b and d are on the cycle.
    #expect(path.vertices == [0, 2])
    #expect(path.length == 9)
    #expect(!path.isComplete)
    #expect(path.text(graphTime: nil).hasSuffix("(without operators on cycles)"))
  }

  @Test func sumsDoNotTrap() throws {
    let path = try #require(Self.diamond.graph.criticalPath([.max, .max, .max, .max, .max, nil]))
    #expect(path.length == .max)
    #expect(path.total == .max)
  }

  /// A chain as long as a structure can be.
  @Test(.timeLimit(.minutes(1))) func aHundredThousandOperators() throws {
    var structure = GraphStructure(number: 1, nodes: [], constants: [], isComplete: true)
    let count = 100_000
    for index in 0..<count {
      structure.nodes.append(
        Node(
          address: UInt64(index + 1) * 16, name: "n\(index)", op: "ADD", type: "f32", shape: [8],
          strides: [4],
          sources: index == 0 ? [] : [UInt64(index) * 16], viewSource: nil, data: nil, isExecuted: true,
          byteCount: 32, layer: index % 50, part: .other))
    }
    let graph = OperatorGraph(structure, form: .collapsed)
    let path = try #require(graph.criticalPath(Array(repeating: 2, count: count)))
    #expect(path.vertices.count == count)
    #expect(path.length == 200_000)
  }
}
