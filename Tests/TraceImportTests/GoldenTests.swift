import Foundation
import TraceModel
import Testing

@testable import TraceImport

/// The traces of every format version that was ever released stay readable, with the same result.
@Suite struct GoldenTests {
  @Test(arguments: ["v1.0-minimal", "v1.0-minimal-zstd"])
  func version1(name: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../formats/golden")
    let path = folder.appendingPathComponent(name + ".pitrace").path
    let trace = try TraceFile(path: path)
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
  }
}
