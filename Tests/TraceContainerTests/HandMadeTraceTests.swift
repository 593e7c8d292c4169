import CTraceRecords
import Foundation
import Testing
import TraceContainer

/// The writer could be wrong in the same way as the reader; these bytes come from neither.
@Suite struct HandMadeTraceTests {
  @Test func readerUnderstandsEveryField() throws {
    try handMadeTrace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      #expect(reader.header.traceID == Array(0...15))
      #expect(reader.header.createdRealtime == 1_790_000_000_000_000_000)
      #expect(reader.header.machine == 183)
      #expect(reader.header.requiredFeatures == 0 && reader.header.optionalFeatures == 0)

      let metadata = try #require(try reader.nextChunk())
      #expect(metadata.kind == .metadata && metadata.number == 0 && metadata.offset == 0x40)
      #expect(try reader.metadata(metadata) == Array(#"{"notes":["hi"]}"#.utf8))

      let events = try #require(try reader.nextChunk())
      #expect(events.kind == .events && events.number == 1 && events.offset == 0x90)
      #expect(events.headerBytes == 96 && events.storedBytes == 48 && events.rawBytes == 48)
      #expect(events.firstTime == 1000 && events.lastTime == 1300 && events.recordCount == 2)
      #expect(events.cpus.map(\.cpu) == [2] && events.cpus.map(\.count) == [2])
      #expect(events.cpus[0].firstSequence == 5 && events.cpus[0].lastSequence == 6)
      #expect(events.groups.map(\.type) == [7] && events.groups[0].deltaColumns == 9)
      var buffer: [UInt8] = []
      #expect(
        try reader.decode(events, into: &buffer) == [
          RecordGroup(type: 7, recordBytes: 24, count: 2, byteOffset: 0)
        ])
      #expect(buffer == operatorRecords.flatMap { $0 })

      let end = try #require(try reader.nextChunk())
      #expect(end.kind == .end && reader.isComplete && reader.position == bytes.count)
      _ = try reader.decode(end, into: &buffer)
      #expect(buffer == endRecord)
      #expect(try reader.nextChunk() == nil)
    }
  }

  @Test func writerMakesTheSameBytes() {
    var file = FileHeader(
      optionalFeatures: 0, traceID: Array(0...15), createdRealtime: 1_790_000_000_000_000_000, machine: 183
    ).encoded()
    let writer = ChunkWriter(compressionLevel: 0)
    Array(#"{"notes":["hi"]}"#.utf8).withUnsafeBytes { _ = writer.sealMetadata($0) { file += $0 } }
    for record in operatorRecords { #expect(record.withUnsafeBytes(writer.append)) }
    writer.seal(kind: .events) { file += $0 }
    #expect(endRecord.withUnsafeBytes(writer.append))
    writer.seal(kind: .end) { file += $0 }
    #expect(file == handMadeTrace)
  }

  /// The annotated hexdump of TRACE-FORMAT.md is this trace.
  @Test func specificationShowsTheseBytes() throws {
    let text = try String(
      contentsOf: Repository.formats.appendingPathComponent("TRACE-FORMAT.md"), encoding: .utf8)
    var shown: [UInt8] = []
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      // "0090  50 49 …  what it is": an offset of four digits, then bytes until something else comes.
      guard let first = words.first, first.count == 4, line.hasPrefix("\(first)  "),
        let offset = Int(first, radix: 16), offset == shown.count
      else { continue }
      let hexadecimal = line.dropFirst(6).prefix(48).split(separator: " ").compactMap { UInt8($0, radix: 16) }
      shown += hexadecimal
    }
    #expect(shown == handMadeTrace)
  }

  private var operatorRecords: [[UInt8]] {
    [
      [0xe8, 3, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 7, 0, 5, 0, 0, 0, 0x10, 0, 0, 0],
      [0x14, 5, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 2, 0, 7, 0, 6, 0, 0, 0, 0x36, 0, 0, 0],
    ]
  }

  private var endRecord: [UInt8] {
    let head: [UInt8] = [0xd0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 134, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    let counts: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
    return head + counts
  }
}
