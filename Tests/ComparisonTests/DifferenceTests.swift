import Comparison
import Statistics
import Testing

@Suite struct DifferenceTests {
  private func model(layers: Int, embedding: Int64 = 256) -> ModelShape {
    var shape = ModelShape()
    shape.layers = layers
    shape.embeddingSize = embedding
    return shape
  }

  private func run(_ change: (inout RunFacts) -> Void) -> ComparedRun {
    var run = MadeRun(nodes: base, steps: 20).compared()
    run.facts.models = [model(layers: 6)]
    change(&run.facts)
    return run
  }

  @Test func anotherModelIsNotComparable() {
    let comparison = RunComparison([run { _ in }], [run { $0.models = [model(layers: 12)] }])
    #expect(!comparison.isComparable)
    #expect(comparison.headline.contains("not comparable"))
    #expect(comparison.headline.contains("6 layers, 256 embedding"))
    #expect(comparison.headline.contains("12 layers"))
    // What has a meaning all the same.
    #expect(decode(comparison)?.total.first == 14290)
  }

  @Test func whatDiffersIsNamedAndCompared() {
    let other = run {
      $0.threads = 4
      $0.cpuModel = "Cortex-A76"
      $0.engine = "ggml 0.26.0"
      $0.level = "graph"
      $0.counters = ["cycles"]
      $0.libraries = ["libggml-cpu.so": "abc"]
    }
    let comparison = RunComparison(
      [
        run {
          $0.cpuModel = "Cortex-A55"
          $0.engine = "ggml 0.9.4"
          $0.level = "op"
          $0.libraries = ["libggml-cpu.so": "def"]
        }
      ], [other])
    #expect(comparison.isComparable)
    #expect(
      Set(comparison.differences.map(\.kind)) == [.threads, .engine, .build, .device, .level, .counters])
    let threads = comparison.differences.first { $0.kind == .threads }
    #expect(threads?.first == "2")
    #expect(threads?.second == "4")
  }

  @Test func whatOneDoesNotTellIsNoDifference() {
    let comparison = RunComparison([run { $0.models = [] }], [run { $0.kernel = "6.1" }])
    #expect(comparison.differences.isEmpty)
  }
}
