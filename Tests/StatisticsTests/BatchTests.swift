import Testing
import TraceModel

@testable import Statistics

/// Statistics of many spans at once are those of each alone.
@Suite struct BatchTests {
  private static let spans: [OperatorSpan] = (0..<3000).map { i in
    let start = UInt64(i * 100)
    return span(
      [0, 1, 3, -1, 9][i % 5], start, start + UInt64(i % 37), barrier: UInt64(i % 7),
      step: Int32(i / 450) - 1,
      last: i % 5 == 1 ? 2 : nil, structure: i % 11 == 0 ? 8 : 1, thread: UInt32(100 + i % 3),
      main: i % 3 == 0,
      repaired: i % 13 == 0)
  }

  private func statistics(_ hand: (inout RunStatistics, [OperatorSpan]) -> Void) -> RunStatistics {
    var statistics = RunStatistics()
    statistics.structure(structure1)
    for index in -1..<6 {
      hand(&statistics, Self.spans.filter { $0.step == Int32(index) })
      if index >= 0 { statistics.tokenStep(step(index, index < 2 ? .prefill : .decode, 0, 1_000_000)) }
    }
    // Of steps that do not end.
    hand(&statistics, Self.spans)
    return statistics
  }

  @Test(arguments: [1, 2, 7, 1024, 5000])
  func batches(size: Int) {
    let alone = statistics { statistics, spans in for span in spans { statistics.operatorSpan(span) } }
    let together = statistics { statistics, spans in
      var first = 0
      while first < spans.count {
        let end = min(first + size, spans.count)
        statistics.operatorSpans(Array(spans[first..<end]).span)
        first = end
      }
    }
    for phases in [Set(Phase.allCases), [.prefill], [.decode], [.unknown]] {
      let (a, b) = (alone.operators.totals(of: phases), together.operators.totals(of: phases))
      #expect(a.nodes == b.nodes && a.threads == b.threads)
      #expect(a.nodes.reduce(0) { $0 + $1.count } > 0)
      for (x, y) in zip(a.durations, b.durations) {
        #expect(
          x.count == y.count && x.quantile(0.5) == y.quantile(0.5) && x.quantile(0.9) == y.quantile(0.9))
      }
    }
    for index in -1..<8 { #expect(alone.steps.time(ofStep: index) == together.steps.time(ofStep: index)) }
  }

  @Test func copiesOfASketchAreTheirOwn() {
    var first = QuantileSketch()
    for value: Int64 in 1...5000 { first.add(value) }
    var second = first
    for _ in 0..<20_000 { second.add(1) }
    var third = second
    third.add(1 << 40)
    #expect(first.count == 5000 && second.count == 25_000 && third.count == 25_001)
    #expect(first.quantile(0.5).map { abs($0 - 2500) <= 10 } == true)
    #expect(second.quantile(0.5) == 1 && second.quantile(1) == 5000)
    #expect(third.quantile(1) == 1 << 40)
  }
}
