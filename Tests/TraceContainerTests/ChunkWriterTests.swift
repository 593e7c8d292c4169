import CTraceRecords
import Testing
import TraceContainer

@Suite struct ChunkWriterTests {
  private func record(
    time: UInt64 = 0, type: pi_record_type = PI_RECORD_OP_BEGIN, cpu: UInt16 = 0, sequence: UInt32 = 0
  ) -> [UInt8] {
    withUnsafeBytes(
      of: pi_record(
        time_ns: time, tid: 1, cpu: cpu, type: UInt8(type.rawValue), flags: 0, sequence: sequence, ref: 0)
    ) { Array($0) }
  }

  /// The chunks that `records` become, in one seal.
  private func seal(_ records: [[UInt8]]) throws -> Chunk {
    try makeTrace(level: 1, records: records).withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      return try #require(try reader.nextChunk())
    }
  }

  @Test func refusesWhatNoChunkCanHold() {
    let writer = ChunkWriter(compressionLevel: 1)
    for count in [0, 1, 23, 65536, 1 << 20] {
      #expect(![UInt8](repeating: 0, count: count).withUnsafeBytes(writer.append))
    }
    #expect(writer.isEmpty)
    for count in [24, 65528] { #expect([UInt8](repeating: 0, count: count).withUnsafeBytes(writer.append)) }
    #expect(writer.recordCount == 2 && writer.rawBytes == 24 + 65528)
  }

  @Test func isFullExactlyAtItsCapacity() {
    let writer = ChunkWriter(compressionLevel: 1, rawCapacity: 1 << 16)
    var taken = 0
    while record().withUnsafeBytes(writer.append) { taken += 1 }
    #expect(taken == 65536 / 24)
    var sealed = 0
    writer.seal(kind: .events) { _ in sealed += 1 }
    #expect(sealed == 1 && writer.isEmpty && writer.rawBytes == 0)
    #expect(record().withUnsafeBytes(writer.append))
  }

  @Test func sealsNothingWithoutRecords() {
    let writer = ChunkWriter(compressionLevel: 1)
    writer.seal(kind: .events) { _ in Issue.record("wrote a chunk without records") }
    #expect(writer.chunkCount == 0)
  }

  /// Larger than the 16 MiB that a reader accepts.
  @Test func refusesHugeMetadata() {
    let writer = ChunkWriter(compressionLevel: 1)
    let isWritten = [UInt8](repeating: 0x20, count: 16 << 20 + 1).withUnsafeBytes {
      writer.sealMetadata($0) { _ in Issue.record("wrote a chunk that no reader accepts") }
    }
    #expect(!isWritten)
  }

  @Test func tablesDescribeTheRecords() throws {
    let chunk = try seal([
      record(time: 500, cpu: 9, sequence: 41),
      record(time: 300, cpu: 2, sequence: 7),
      record(time: 900, type: PI_RECORD_BARRIER, cpu: 9, sequence: 44),
      record(time: 700, type: PI_RECORD_LOSS, cpu: 5, sequence: 0),
      record(time: 600, cpu: 2, sequence: 8),
    ])
    #expect(chunk.firstTime == 300 && chunk.lastTime == 900 && chunk.recordCount == 5)
    #expect(chunk.groups.map(\.type) == [7, 9, 129])
    #expect(chunk.groups.map(\.count) == [3, 1, 1])
    // CPU 9 lacks 42 and 43; CPU 5 wrote nothing, the recorder did.
    #expect(chunk.cpus.map(\.cpu) == [2, 9])
    #expect(chunk.cpus.map(\.firstSequence) == [7, 41])
    #expect(chunk.cpus.map(\.lastSequence) == [8, 44])
    #expect(chunk.cpus.map(\.count) == [2, 2])
  }

  /// A long recording runs through all 2^32 numbers of a CPU.
  @Test func sequenceNumbersWrap() throws {
    let chunk = try seal([0xffff_fffe, 0xffff_ffff, 0, 1].map { record(sequence: $0) })
    #expect(chunk.cpus.map(\.firstSequence) == [0xffff_fffe])
    #expect(chunk.cpus.map(\.lastSequence) == [1])
  }

  /// The largest tables that a chunk can need: every record of another CPU.
  @Test func everyRecordOnItsOwnCPU() throws {
    let records = (0..<2730).map { record(time: UInt64($0), cpu: UInt16(2729 - $0), sequence: UInt32($0)) }
    let chunk = try seal(records)
    #expect(chunk.cpus.map(\.cpu) == Array(0..<2730))
    #expect(chunk.cpus.allSatisfy { $0.count == 1 && Int($0.firstSequence) == 2729 - $0.cpu })
  }

  /// Bytes that do not compress are stored.
  @Test func storesWhatDoesNotCompress() throws {
    var random = SeededGenerator(seed: 5)
    var noise = (0..<600).map { _ in UInt8.random(in: 0...255, using: &random) }
    noise[14] = 12
    let chunk = try seal([noise])
    #expect(chunk.storedBytes == chunk.rawBytes)
    #expect(try Content(of: makeTrace(level: 1, records: [noise])).chunks == [[padded(noise)]])
  }

  @Test func chunksAreNumberedInOrder() throws {
    var numbers: [UInt32] = []
    let trace = makeTrace(
      level: 1, records: (0..<9000).map { record(sequence: $0) }, metadata: Array("{}".utf8), isEnded: true)
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      while let chunk = try reader.nextChunk() { numbers.append(chunk.number) }
    }
    #expect(numbers == [0, 1, 2, 3, 4, 5])
  }
}
