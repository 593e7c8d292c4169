import Foundation
import Testing
import TraceContainer
import TraceImport

/// What can be saved of a golden trace after each possible damage.
@Suite struct SalvageTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("formats/golden")
  static func golden(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  private struct Saved {
    var bytes: [UInt8] = []
    var salvage: Salvage?
    var error: TraceError?
  }

  private func save(_ bytes: some Collection<UInt8>) -> Saved {
    var saved = Saved()
    Array(bytes).withUnsafeBytes { all in
      do throws(TraceError) { saved.salvage = try Salvage(all) { saved.bytes += $0 } } catch {
        saved.error = error
      }
    }
    return saved
  }

  /// Byte ranges of the chunks, and their contents.
  private func chunks(_ bytes: [UInt8]) throws -> [Range<Int>] {
    try bytes.withUnsafeBytes { all in
      var reader = try TraceReader(all)
      var ranges: [Range<Int>] = []
      var rows: [UInt8] = []
      while let chunk = try reader.nextChunk() {
        if chunk.kind.holdsRecords { _ = try reader.decode(chunk, into: &rows) }
        ranges.append(Int(chunk.offset)..<Int(chunk.endOffset))
      }
      return ranges
    }
  }

  @Test(arguments: ["v1.0-minimal", "v1.0-minimal-zstd", "v1.1-minimal", "v1.1-minimal-zstd"])
  func wholeTraceStaysAsItIs(name: String) throws {
    let whole = try Self.golden(name + ".pitrace")
    let saved = save(whole)
    #expect(saved.bytes == whole)
    #expect(saved.salvage?.isWhole == true)
    #expect(saved.salvage?.keptChunks == (try chunks(whole)).count)
  }

  /// The larger one, which is not compressed, at some: each cut is a whole salvage.
  @Test(arguments: [("v1.1-minimal", 11), ("v1.1-minimal-zstd", 1)])
  func cutAtEveryByte(name: String, stride step: Int) throws {
    let whole = try Self.golden(name + ".pitrace")
    let ranges = try chunks(whole)
    var fromCuts = 0
    for length in stride(from: 0, to: whole.count, by: step) {
      let saved = save(whole[..<length])
      let kept = ranges.filter { $0.upperBound <= length }.count
      if length < 64 {
        #expect(saved.error != nil && saved.bytes.isEmpty, "cut at \(length)")
        continue
      }
      let salvage = try #require(saved.salvage, "cut at \(length)")
      #expect(salvage.keptChunks == kept, "cut at \(length)")
      #expect(!salvage.isWhole || kept == 0)
      fromCuts += salvage.cutRecords
      if kept == 0, salvage.cutRecords == 0 {
        #expect(saved.bytes.isEmpty)
      } else {
        // Readable without an error, and nothing in it that is not in the whole trace.
        #expect(try chunks(saved.bytes).count == kept + (salvage.cutRecords > 0 ? 1 : 0), "cut at \(length)")
        let copied = kept == 0 ? 64 : ranges[kept - 1].upperBound
        #expect(saved.bytes.prefix(copied) == whole.prefix(copied), "cut at \(length)")
      }
    }
    // A zstd frame as small as this has one block, which is there or not.
    #expect(name.hasSuffix("zstd") || fromCuts > 0)
  }

  @Test(arguments: ["v1.1-minimal-zstd"]) func aFlippedBitAtEveryByte(name: String) throws {
    let whole = try Self.golden(name + ".pitrace")
    let ranges = try chunks(whole)
    for at in whole.indices {
      var damaged = whole
      damaged[at] ^= 0x10
      let saved = save(damaged)
      // The version of the header: nothing tells a damaged one from another version but its checksum.
      let salvage = try #require(saved.salvage, "byte \(at)")
      let hit = ranges.firstIndex { $0.contains(at) }
      #expect(salvage.keptChunks == ranges.count - (hit == nil ? 0 : 1), "byte \(at)")
      #expect(salvage.hasNewHeader == (hit == nil), "byte \(at)")
      #expect(!salvage.isWhole)
      #expect(try chunks(saved.bytes).count == salvage.keptChunks, "byte \(at)")
      #expect(salvage.losses.allSatisfy { $0.offset <= UInt64(whole.count) })
    }
  }

  @Test func otherVersionsAreRefused() throws {
    var future = try Self.golden("v1.1-minimal.pitrace")
    future[8] = 2
    // With a right checksum, as a recorder of that version would write it.
    var sum = ~UInt32(0)
    for byte in future[..<60] {
      sum ^= UInt32(byte)
      for _ in 0..<8 {
        let isOdd = sum & 1 == 1
        sum >>= 1
        if isOdd { sum ^= 0xedb8_8320 }
      }
    }
    for i in 0..<4 { future[60 + i] = UInt8(truncatingIfNeeded: ~sum >> UInt32(8 * i)) }
    let saved = save(future)
    #expect(saved.error?.kind == .unsupportedVersion(major: 2, minor: 1))
    #expect(saved.bytes.isEmpty)
  }

  @Test func nothingOfATraceInIt() {
    let saved = save(Array(repeating: UInt8(ascii: "x"), count: 5000))
    #expect(saved.bytes.isEmpty)
    #expect(saved.salvage?.keptChunks == 0)
  }
}
