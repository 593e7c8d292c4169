import OperatorGraph
import Statistics
import Testing
import TraceModel

private func range(_ start: UInt64, _ duration: UInt64) -> TimeRange {
  TimeRange(start: TraceTime(nanoseconds: start), end: TraceTime(nanoseconds: start + duration))
}

/// A run made by hand: steps of one graph each, unless told otherwise.
private struct Run {
  var collector: GraphCollector
  private var steps = 0

  init(_ collector: GraphCollector) { self.collector = collector }

  mutating func span(
    _ node: Int32, _ duration: UInt64, last: Int32? = nil, structure: UInt32 = 1, main: Bool = true,
    counter: UInt64? = nil
  ) {
    let span = OperatorSpan(
      graph: 0, step: Int32(steps), structure: structure, node: node, lastNode: last ?? node,
      thread: ThreadID(main ? 1 : 2), range: range(0, duration), barrier: range(0, 0), isMainThread: main,
      isRepaired: false)
    collector.operatorSpan(span)
    if let counter {
      let known = counter == .max ? 0 : UInt8(1)
      let delta = CounterDelta(
        values: SIMD8(counter, 0, 0, 0, 0, 0, 0, 0), known: known, mayIncludeOtherTasks: false)
      collector.operatorCounters(delta, barrier: CounterDelta(), of: span)
    }
  }

  mutating func graph(_ duration: UInt64, structure: UInt32 = 1) {
    collector.graphRun(
      GraphRun(
        index: 0, step: steps, thread: ThreadID(1), range: range(0, duration), structure: structure,
        backend: "CPU", nodeCount: 2, threadCount: 1, isComplete: true))
  }

  mutating func endStep(
    _ phase: Phase, tokens: Int = 1, context: UInt64 = 7, coverage: Double? = 1, complete: Bool = true
  ) {
    collector.tokenStep(
      TokenStep(
        index: steps, thread: ThreadID(1), range: range(0, 100), phase: phase, tokenCount: tokens,
        position: nil, context: context, graphCount: 1, operatorCount: 1, coverage: coverage,
        isComplete: complete))
    steps += 1
  }
}

@Suite struct GraphCollectorTests {
  private static var pair: GraphStructure {
    var maker = StructureMaker()
    maker.op("RMS_NORM", "n", [], [4])
    maker.op("MUL", "m", ["n"], [4])
    return maker.structure
  }

  private func run(step: Int? = nil, phase: Phase? = nil, graph: Int = 0, all: Bool = false) -> Run {
    // A norm moves 100 bytes and takes 10 operations, a product 200 and 5.
    let work: WorkModel = { structure in
      structure.nodes.map {
        $0.op == "MUL" ? OperatorWork(bytes: 200, flops: 5) : OperatorWork(bytes: 100, flops: 10)
      }
    }
    var run = Run(
      GraphCollector(step: step, phase: phase, graphIndex: graph, measuresAllSteps: all, workModel: work))
    run.collector.structure(Self.pair)
    return run
  }

  @Test func firstWholeDecodeStepIsChosen() throws {
    var run = run()
    for (phase, coverage, complete) in [
      (.warmup, 1, true), (.prefill, 1, true), (.decode, 0.5, true), (.decode, 1, false), (.decode, 1, true),
      (.decode, 1, true),
    ] as [(Phase, Double, Bool)] {
      run.span(0, 10)
      run.graph(50)
      run.endStep(phase, coverage: coverage, complete: complete)
    }
    #expect(run.collector.measurement?.step?.index == 4)
    #expect(run.collector.measurement?.stepCount == 1)
  }

  @Test func stepAskedFor() throws {
    var run = run(step: 1)
    for duration in [10, 20, 30] as [UInt64] {
      run.span(0, duration)
      run.graph(50)
      run.endStep(.prefill)
    }
    let measurement = try #require(run.collector.measurement)
    #expect(measurement.step?.index == 1)
    #expect(measurement.operators[0]?.time == 20)
    #expect(measurement.operators[1] == nil)
    var missing = self.run(step: 9)
    missing.graph(1)
    missing.endStep(.decode)
    #expect(missing.collector.measurement == nil)
  }

  @Test func phaseAskedFor() {
    for (phase, index) in [(.prefill, 1), (.warmup, 0), (.decode, 2), (.draft, nil)] as [(Phase, Int?)] {
      var run = run(phase: phase)
      for step in [.warmup, .prefill, .decode, .prefill] as [Phase] {
        run.span(0, 10)
        run.graph(50)
        run.endStep(step)
      }
      #expect(run.collector.measurement?.step?.index == index)
    }
  }

  @Test func stepsOfTheSameKindAreMeasuredTogether() throws {
    var run = run(all: true)
    var longer = Self.pair
    // A cache that has grown, at other addresses: the same operators.
    longer.number = 2
    longer.nodes[1].shape = [99]
    longer.nodes[1].address = 0x99
    var other = Self.pair
    other.number = 3
    other.nodes[1].op = "ADD"
    run.collector.structure(longer)
    run.collector.structure(other)
    let steps:
      [(phase: Phase, structure: UInt32, tokens: Int, context: UInt64, coverage: Double, duration: UInt64)] =
        [
          (.prefill, 1, 14, 7, 1, 900), (.decode, 1, 1, 7, 1, 10), (.decode, 2, 1, 7, 1, 20),
          (.decode, 3, 1, 7, 1, 900), (.decode, 1, 2, 7, 1, 900), (.decode, 1, 1, 8, 1, 900),
          (.decode, 1, 1, 7, 0.9, 900), (.decode, 1, 1, 7, 1, 60),
        ]
    for step in steps {
      run.span(0, step.duration, structure: step.structure)
      run.graph(step.duration * 2, structure: step.structure)
      run.endStep(step.phase, tokens: step.tokens, context: step.context, coverage: step.coverage)
    }
    let measurement = try #require(run.collector.measurement)
    #expect(measurement.step?.index == 1)
    #expect(measurement.stepCount == 3)
    #expect(measurement.otherStepCount == 4)
    let figures = try #require(measurement.operators[0])
    #expect(figures.calls == 3)
    #expect(figures.time == 10 + 20 + 60)
    #expect(figures.times.quantile(0.5) == 20)
    #expect(measurement.graphTimes.quantile(0.5) == 40)
    #expect(figures.bytes == 300)
    #expect(figures.flops == 30)
  }

  @Test func fusedOperatorKeepsWhatItPassesOnToItself() throws {
    var run = run()
    run.span(0, 10, last: 1)
    run.graph(50)
    run.endStep(.decode)
    let measurement = try #require(run.collector.measurement)
    #expect(measurement.fused == [FusedOperator(node: 0, lastNode: 1)])
    let figures = try #require(measurement.operators[0])
    // 100 + 200, without the 16 bytes that the norm would write and the product read.
    #expect(figures.bytes == 268)
    #expect(figures.flops == 15)
  }

  @Test func graphComputedTwiceInAStep() throws {
    var run = run()
    for duration in [10, 30] as [UInt64] {
      run.span(0, duration)
      run.span(0, 500, main: false)
      run.graph(duration * 2)
    }
    run.endStep(.decode)
    let measurement = try #require(run.collector.measurement)
    #expect(measurement.graphs.map(\.runCount) == [2])
    #expect(measurement.operators[0]?.calls == 2)
    #expect(measurement.operators[0]?.time == 40)
    #expect(measurement.operators[0]?.times.quantile(0.5) == 20)
    #expect(measurement.graphTimes.quantile(0.5) == 40)
  }

  @Test(arguments: [(0, 5), (1, 1), (2, nil)] as [(Int, UInt32?)])
  func graphsOfAStepBySize(_ index: Int, _ number: UInt32?) {
    var run = run(graph: index)
    var larger = Self.pair
    larger.number = 5
    larger.nodes.append(larger.nodes[1])
    run.collector.structure(larger)
    for structure in [1, 5] as [UInt32] {
      run.span(0, 10, structure: structure)
      run.graph(50, structure: structure)
    }
    run.endStep(.decode)
    let measurement = run.collector.measurement
    #expect(measurement?.structure.number == number)
    #expect(measurement?.operators[0]?.calls == number.map { _ in 1 })
    if number != nil {
      #expect(measurement?.graphs.map(\.structure) == [5, 1])
      #expect(measurement?.graphs.map(\.nodeCount) == [3, 2])
    }
  }

  @Test func countersAreOfAllThreads() throws {
    var run = run(all: true)
    for (main, worker) in [(100, 40), (200, .max), (50, 10)] as [(UInt64, UInt64)] {
      run.span(0, 10, counter: main)
      run.span(0, 10, main: false, counter: worker)
      run.span(1, 10)
      run.graph(50)
      run.endStep(.decode)
    }
    let measurement = try #require(run.collector.measurement)
    // In the second step the worker's is not known, and so that of the call.
    #expect(measurement.operators[0]?.counters[0] == Double(140 + 60) / 2)
    #expect(measurement.operators[0]?.counters[1] == nil)
    #expect(measurement.operators[1]?.counters[0] == nil)
  }

  @Test func withoutStepsTheLargestGraph() {
    var run = run()
    var larger = Self.pair
    larger.number = 5
    larger.nodes.append(larger.nodes[1])
    run.collector.structure(larger)
    #expect(run.collector.measurement?.structure.number == 5)
    #expect(run.collector.measurement?.step == nil)
    #expect(GraphCollector(step: nil).measurement == nil)
  }

  @Test func wrongNumbersDoNotTrap() {
    var run = run(all: true)
    run.span(99, 10)
    run.span(-1, 10)
    run.span(0, 10, structure: 77)
    run.span(0, UInt64(Int64.max), last: Int32.max)
    run.span(0, UInt64(Int64.max))
    run.graph(UInt64(Int64.max))
    run.graph(UInt64(Int64.max))
    run.endStep(.decode)
    #expect(run.collector.measurement?.operators[0]?.calls == 2)
    #expect(run.collector.measurement?.operators[0]?.bytes == nil)
  }
}
