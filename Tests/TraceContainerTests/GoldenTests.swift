import CTraceRecords
import Foundation
import Testing
import TraceContainer

/// The traces in `formats/golden`, which every later version must read.
@Suite struct GoldenTests {
  static let stored = Repository.golden("v1.1-minimal.pitrace")
  static let compressed = Repository.golden("v1.1-minimal-zstd.pitrace")
  static let versions = ["v1.0-minimal", "v1.1-minimal"]

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
  @Test(arguments: versions) func compressedTraceHoldsTheSameRecords(version: String) throws {
    let compressed = try Self.content(version + "-zstd")
    let stored = try Self.content(version)
    #expect(compressed == stored)
    #expect(compressed.isComplete)
  }

  @Test func everyRecordTypeIsThere() throws {
    #expect(try Self.types("v1.0-minimal") == Set(UInt8(1)...17).union(UInt8(128)...135))
    #expect(try Self.types("v1.1-minimal") == Set(UInt8(1)...26).union(UInt8(128)...139))
    let content = try Self.content("v1.1-minimal")
    #expect(content.metadata == [goldenRecordingMetadata, goldenEngineMetadata].map { Array($0.utf8) })
    for text in content.metadata {
      #expect(throws: Never.self) { try JSONSerialization.jsonObject(with: Data(text)) }
    }
  }

  /// The lost record is the only number that no chunk holds.
  @Test(arguments: [("v1.0-minimal", [0: UInt32(0), 1: 1]), ("v1.1-minimal", [0: 0, 1: 0, 2: 1])])
  func lossShowsInTheCPUTables(name: String, expected: [Int: UInt32]) throws {
    let golden = try [UInt8](Data(contentsOf: Repository.golden(name + ".pitrace")))
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
      #expect(missing == expected)
    }
  }

  /// Traces are kept as they were written: a changed one is no longer what the version's recorder wrote.
  @Test func oldTracesAreUntouched() throws {
    let bytes = try [UInt8](Data(contentsOf: Repository.golden("v1.0-minimal.pitrace")))
    #expect(bytes.count == 11847 && crc32(bytes) == 0xaa2e_b213)
    let header = try bytes.withUnsafeBytes { try FileHeader(decoding: $0) }
    #expect((header.major, header.minor) == (1, 0))
  }

  private static func content(_ name: String) throws -> Content {
    try Content(of: [UInt8](Data(contentsOf: Repository.golden(name + ".pitrace"))))
  }

  private static func types(_ name: String) throws -> Set<UInt8> {
    Set(try content(name).chunks.joined().map { $0[14] })
  }
}
