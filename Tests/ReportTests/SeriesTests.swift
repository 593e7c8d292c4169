import Statistics
import Testing
import TraceModel

@testable import Report

@Suite struct TokenSeriesTests {
  private func statistics(_ durations: [UInt64], phase: (Int) -> Phase = { _ in .decode }) -> StepStatistics {
    var statistics = StepStatistics()
    var start: UInt64 = 0
    for (index, duration) in durations.enumerated() {
      statistics.tokenStep(step(index, phase(index), start, duration))
      start += duration + 10
    }
    return statistics
  }

  @Test func fewStepsAreAllThere() {
    let series = TokenSeries(statistics([30, 10, 20]), limit: 100)
    #expect(series.groupSize == 1)
    #expect(series.points.map(\.step.index) == [0, 1, 2])
    #expect(series.points.allSatisfy { $0.role == .only })
  }

  @Test func fastestAndSlowestOfManySurvive() {
    var durations = (0..<5000).map { UInt64(1000 + $0 % 7) }
    durations[1234] = 90_000
    durations[4321] = 3
    let series = TokenSeries(statistics(durations), limit: 300)
    #expect(series.points.count <= 300)
    #expect(series.stepCount == 5000)
    #expect(series.points.contains { $0.step.index == 1234 && $0.role == .slowest })
    #expect(series.points.contains { $0.step.index == 4321 && $0.role == .fastest })
    let starts = series.points.map(\.step.range.start)
    #expect(starts == starts.sorted())
    // Every point is a step that happened.
    #expect(series.points.allSatisfy { $0.step.range.duration == Int64(durations[$0.step.index]) })
  }

  @Test func phasesAreNotMixed() {
    let durations = (0..<3000).map { UInt64($0 % 2 == 0 ? 1000 : 50) }
    let series = TokenSeries(statistics(durations) { $0 % 2 == 0 ? .verify : .draft }, limit: 90)
    #expect(series.points.count <= 90)
    #expect(series.phases == [.draft, .verify])
    for point in series.points {
      #expect(point.step.range.duration == (point.step.phase == .verify ? 1000 : 50))
    }
  }

  @Test func stepsWithoutAnEndAreLeftOut() {
    var statistics = statistics([10, 20])
    var open = step(2, .decode, 100, 5)
    open.isComplete = false
    statistics.tokenStep(open)
    #expect(TokenSeries(statistics).points.count == 2)
  }

  @Test func idleRunsAreShownByStep() throws {
    var statistics = StepStatistics()
    statistics.tokenStep(step(0, .decode, 0, 10))
    statistics.tokenStep(step(1, .decode, 10_000, 10))
    #expect(try #require(TokenChart(TokenSeries(statistics))).isOverTime == false)
  }

  @Test func aPrefillDoesNotFlattenTheTokens() throws {
    let chart = try #require(
      TokenChart(
        TokenSeries(
          statistics([1_000_000] + Array(repeating: 100, count: 20)) {
            $0 == 0 ? .prefill : .decode
          })))
    #expect(!chart.scale.isLogarithmic)
    #expect(chart.scale.maximum < 200)
    #expect(chart.scale.place(1_000_000) > 1)
  }

  @Test func rareSpikesMakeTheScaleLogarithmic() throws {
    let chart = try #require(TokenChart(TokenSeries(statistics([100, 100, 100, 100, 5000]))))
    #expect(chart.scale.isLogarithmic)
    #expect(chart.scale.place(5000) <= 1)
    #expect(chart.scale.place(100) >= 0)
  }
}

@Suite struct TimeSeriesTests {
  @Test func aRangeIsSplitWithoutLoss() {
    let window = TimeWindow(range(1000, 2000), count: 10)
    var parts = [Int64](repeating: 0, count: 10)
    window.split(range(1050, 1333)) { parts[$0] += $1 }
    #expect(parts.prefix(4) == [50, 100, 100, 33])
    #expect(parts.reduce(0, +) == 283)
  }

  @Test func whatLiesOutsideIsCut() {
    let window = TimeWindow(range(1000, 2000), count: 10)
    var parts = [Int64](repeating: 0, count: 10)
    window.split(range(0, 1100)) { parts[$0] += $1 }
    window.split(range(1900, UInt64.max / 4)) { parts[$0] += $1 }
    #expect(parts == [100, 0, 0, 0, 0, 0, 0, 0, 0, 100])
  }

  @Test func aRangeBackwardsIsNothing() {
    let window = TimeWindow(range(2000, 1000), count: 10)
    #expect(window.duration == 1)
    window.split(range(30, 20)) { _, _ in Issue.record("nothing to split") }
  }

  @Test func statesOfThreadsAddUp() {
    var series = ThreadSeries(range: range(0, 2400))
    for (start, end, activity) in [
      (0, 600, ThreadActivity.running), (600, 1000, .runnable), (1000, 2400, .blocked),
    ] {
      series.threadSlice(
        ThreadSlice(thread: ThreadID(7), range: range(UInt64(start), UInt64(end)), activity: activity, cpu: 0)
      )
    }
    let parts = series.threads[ThreadID(7)] ?? []
    #expect(parts.reduce(0) { $0 + $1.running } == 600)
    #expect(parts.reduce(0) { $0 + $1.runnable } == 400)
    #expect(parts.reduce(0) { $0 + $1.blocked } == 1400)
    #expect(parts.allSatisfy { $0.total == 10 })
  }

  @Test func markedPartsJoin() {
    var marked = MarkedParts(range: range(0, 1000))
    marked.mark(range(100, 199))
    marked.mark(range(200, 250))
    marked.mark(range(900, 5000))
    #expect(marked.stretches == [0.1...0.251, 0.9...1])
  }

  @Test func readingsKeepTheirExtremes() {
    var series = DeviceSeries(range: range(0, 240))
    for (time, cpu, value) in [(1, 0, 1000), (1, 1, 3000), (1, 0, 500), (200, 0, 2000)] {
      series.reading(
        Reading(time: moment(time), value: .frequency(cpu: cpu, kilohertz: UInt32(value))))
    }
    let groups = DeviceSeries.grouped(series.frequencies) { _ in "CPUs 0-1" }
    #expect(groups.count == 1)
    #expect(groups[0].points[1] == DeviceSeries.Point(minimum: 500, maximum: 3000))
    #expect(groups[0].points[200] == DeviceSeries.Point(minimum: 2000, maximum: 2000))
    #expect(groups[0].points[100] == nil)
  }

  private func moment(_ nanoseconds: Int) -> TraceTime { time(UInt64(nanoseconds)) }
}

@Suite struct TicksTests {
  @Test(arguments: [
    (10.0, 5, [0, 2, 4, 6, 8, 10.0]), (7, 5, [0, 2, 4, 6]), (0.9, 4, [0, 0.5]), (1300, 6, [0, 500, 1000]),
  ])
  func roundValues(maximum: Double, count: Int, expected: [Double]) {
    let values = Ticks.values(to: maximum, count: count)
    #expect(values.count == expected.count)
    for (value, wanted) in zip(values, expected) { #expect(abs(value - wanted) < 1e-9) }
  }

  @Test(arguments: [0, -1, .infinity, .nan, 1e300, .leastNonzeroMagnitude] as [Double])
  func anyMaximumHasAnEnd(maximum: Double) {
    #expect(Ticks.values(to: maximum, count: 5).count <= 6)
  }

  @Test func anAxisThatDoesNotBeginAtZeroHasRoundValues() {
    let ticks = Ticks.linear(from: 14, to: 1512, count: 6) { Ticks.plain($0) }
    #expect(ticks.map(\.label) == ["500", "1000", "1500"])
    #expect(abs(ticks[0].place - (500 - 14) / 1498.0) < 1e-9)
  }

  @Test func powersOfTen() {
    #expect(Ticks.logarithmic(from: 30, to: 1500) == [50, 100, 200, 500, 1000])
    #expect(Ticks.logarithmic(from: 0.5, to: 20_000) == [1, 10, 100, 1000, 10_000])
  }

  @Test(arguments: [
    (0.0, "0"), (250, "250 ns"), (2500, "2.5 µs"), (10_000_000, "10 ms"), (1.5e9, "1.5 s"),
    (4e11, "400 s"),
  ])
  func durations(nanoseconds: Double, text: String) {
    #expect(Ticks.duration(nanoseconds) == text)
  }
}

@Suite struct LayerMatrixTests {
  @Test func nodesOfAllLayersShareAColumn() {
    let run = generation(count: 3)
    let matrix = LayerMatrix(
      NodeTable(run.run.operators, phases: [.decode]).rows, order: run.columns)
    #expect(matrix.layers == [0, 1])
    #expect(matrix.columns.map(\.name) == ["norm", "Qcur"])
    #expect(
      matrix.cells == Array(repeating: Array(repeating: .init(total: 450_000, count: 3), count: 2), count: 2))
    #expect(matrix.others == [.init(), .init()])
  }

  @Test(arguments: [
    ("Qcur-3", "Qcur"), ("ffn_up-31", "ffn_up"), ("node_57", "ADD"), ("", "ADD"), ("q3_3", "q3_3"),
    ("Kcur-3 (view)", "Kcur"), ("result", "result"),
  ])
  func layersHaveNoNumberInTheirNames(node: String, name: String) {
    #expect(LayerMatrix.Column(node: node, op: "ADD").name == name)
  }
}
