import Foundation
import TraceModel
import Testing

@testable import TraceImport

/// The traces of every format version that was ever released stay readable, with the same result.
@Suite struct GoldenTests {
  private func path(_ name: String) -> String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../formats/golden").appendingPathComponent(name + ".pitrace").path
  }

  /// The worker is preempted for 15,000 ns in an operator, sleeps, and goes on on another CPU; two counters count two
  /// and three to the nanosecond of each CPU.
  @Test(arguments: ["v1.1-minimal", "v1.1-minimal-zstd"])
  func version1Minor1(name: String) throws {
    let run = try Run([UInt8](Data(contentsOf: URL(fileURLWithPath: path(name)))))
    #expect(run.info.isComplete && run.info.warnings.isEmpty)
    #expect(run.info.missingRecords == 1)
    #expect(run.steps.map(\.phase) == [.prefill, .decode, .draft, .verify])
    #expect(run.steps.map(\.tokenCount) == [2, 1, 1, 3])
    #expect(run.steps.map(\.operatorCount) == [3, 3, 3, 3])
    #expect(run.steps.map(\.coverage) == [1, 5.0 / 6, 1, 1])
    #expect(run.losses.map(\.lostRecords) == [1])
    #expect(run.graphs.map(\.backend) == ["CPU", "CPU", "CPU", "Vulkan", "CPU"])
    #expect(run.statistics.wrappedGraphs == 1)
    #expect(run.backends.map(\.kind) == ["Vulkan", "CPU"])
    #expect(run.enqueues.map(\.range.duration) == [7_000])
    #expect(run.enqueues.map(\.node) == [0])
    #expect(run.rounds.map(\.drafted) == [2] && run.rounds.map(\.accepted) == [1])
    #expect(run.probeGaps.map(\.range.duration) == [900_000])
    #expect(run.probeGaps.map(\.droppedAt) == [4.5] && run.probeGaps.map(\.resumedAt) == [6.25])
    #expect(run.readings.count == 10)
    for step in run.steps { #expect(run.accounted(step) == step.range.duration) }

    let preempted = try #require(run.slices.first { $0.preemptor != nil })
    #expect(preempted.preemptor == Preemptor(thread: ThreadID(5100), process: 5100, name: "stress"))
    #expect(preempted.range.duration == 15_000 && preempted.inside == .operator && preempted.step == 0)
    #expect(run.slices.filter(\.isMigration).map(\.cpu) == [2])
    #expect(run.slices.filter { $0.activity == .blocked }.count == 1)
    // The preempted operator counts what its own thread did of its time.
    let whole = try #require(run.counters.first { $0.span.thread.rawValue == 4243 && $0.span.node == 1 })
    let own = UInt64(whole.span.range.duration) - 15_000
    #expect(whole.own[0] == own * 2 && whole.own[1] == own * 3)
    #expect(run.steps[0].counters?[0] == UInt64(run.steps[0].range.duration) * 2)
    #expect(run.info.metadata.counterColumns.map(\.name) == ["cycles", "instructions"])
    #expect(run.info.silentSites == [3] && run.info.sharedSites == [1])
    #expect(run.info.counterReadings.map(\.share) == [1, 0.5])
  }

  /// Cut anywhere, a trace gives what comes before.
  @Test func version1Minor1CutAnywhere() throws {
    let bytes = try [UInt8](Data(contentsOf: URL(fileURLWithPath: path("v1.1-minimal-zstd"))))
    for length in stride(from: 64, to: bytes.count, by: 31) {
      let run = try Run(Array(bytes[..<length]))
      #expect(run.steps.count <= 4 && !run.info.isComplete)
    }
  }

  @Test(arguments: ["v1.0-minimal", "v1.0-minimal-zstd"])
  func version1(name: String) throws {
    let trace = try TraceFile(path: path(name))
    let info = try TraceInfo(trace)
    #expect(info.isComplete)
    #expect(info.missingRecords == 1)
    #expect(info.cpus.allSatisfy { $0.isConsistent })
    let run = try Run([UInt8](trace.bytes))
    #expect(run.steps.map(\.phase) == [.prefill, .decode])
    #expect(run.steps.map(\.tokenCount) == [2, 1])
    #expect(run.steps.map(\.operatorCount) == [3, 3])
    // One of the six operators of two threads was lost.
    #expect(run.steps.map(\.coverage) == [1, 5.0 / 6])
    #expect(run.spans.count == 11)
    #expect(run.losses.map(\.lostRecords) == [1])
    #expect(run.statistics[.repairedOperator] == 1)
    #expect(run.activations.map(\.experts) == [[3, 1, 7], [0, 5, 2], [3, 1, 7]])
    #expect(run.activations.map(\.token) == [0, 1, 0])
    for step in run.steps { #expect(run.accounted(step) == step.range.duration) }
    // Nothing of what came later.
    #expect(run.counters.isEmpty && run.slices.isEmpty && run.readings.isEmpty && run.rounds.isEmpty)
    #expect(run.steps.allSatisfy { $0.hasOperatorProbes && $0.counters == nil })
  }
}
