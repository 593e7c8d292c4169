import CTraceRecords
import Foundation
import Testing
import TraceContainer

/// The traces in `formats/golden`, which every later version must read.
@Suite struct GoldenTests {
  static let stored = Repository.golden("v1.0-minimal.pitrace")
  static let compressed = Repository.golden("v1.0-minimal-zstd.pitrace")

  /// Set PI_WRITE_GOLDEN=1 to write the files of a new format version; the tests then compare with them.
  static let writeIfAsked: Void = {
    guard ProcessInfo.processInfo.environment["PI_WRITE_GOLDEN"] == "1" else { return }
    for (url, level) in [(stored, Int32(0)), (compressed, 1)] {
      do { try Data(GoldenTrace.file(compressionLevel: level)).write(to: url) } catch {
        Issue.record("cannot write \(url.path): \(error)")
      }
    }
  }()

  init() { Self.writeIfAsked }

  @Test func writerReproducesTheStoredTrace() throws {
    let golden = try [UInt8](Data(contentsOf: Self.stored))
    #expect(GoldenTrace.file(compressionLevel: 0) == golden)
  }

  /// Versions of zstd compress differently, so the compressed trace is read, not reproduced.
  @Test func compressedTraceHoldsTheSameRecords() throws {
    let compressed = try Content(of: [UInt8](Data(contentsOf: Self.compressed)))
    let stored = try Content(of: [UInt8](Data(contentsOf: Self.stored)))
    #expect(compressed == stored)
    #expect(compressed.isComplete)
  }

  @Test func everyRecordTypeIsThere() throws {
    let content = try Content(of: [UInt8](Data(contentsOf: Self.stored)))
    let types = Set(content.chunks.joined().map { $0[14] })
    #expect(types == Set(UInt8(1)...17).union(UInt8(128)...135))
    #expect(content.metadata == [goldenRecordingMetadata, goldenEngineMetadata].map { Array($0.utf8) })
    for text in content.metadata {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text)) }
    }
  }

  /// The lost record is the only number that no chunk holds.
  @Test func lossShowsInTheCPUTables() throws {
    let golden = try [UInt8](Data(contentsOf: Self.stored))
    try golden.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      var next: [Int: UInt32] = [:]
      var missing: [Int: UInt32] = [:]
      while let chunk = try reader.nextChunk() {
        for range in chunk.cpus {
          let before = range.firstSequence &- next[range.cpu, default: 0]
          let within = range.lastSequence &- range.firstSequence &+ 1 &- range.count
          missing[range.cpu, default: 0] += before + within
          next[range.cpu] = range.lastSequence &+ 1
        }
      }
      #expect(missing == [0: 0, 1: 1])
    }
  }
}
