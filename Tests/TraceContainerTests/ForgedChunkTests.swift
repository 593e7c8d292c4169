import CTraceRecords
import Testing
import TraceContainer

/// Chunk headers that say impossible things under a right checksum.
@Suite struct ForgedChunkTests {
  /// Where chunk 1 of the hand-made trace begins, its CPU table and its group table.
  private static let chunk = 0x90
  private static let cpuEntry = 0xd0
  private static let groupEntry = 0xe0

  /// The hand-made trace with bytes of chunk 1 replaced and its checksum made right again.
  private static func forged(_ offset: Int, _ value: UInt64, bytes: Int) -> [UInt8] {
    var trace = handMadeTrace
    put(value, bytes: bytes, at: offset, in: &trace)
    fixHeaderChecksum(of: &trace, chunk: chunk, headerBytes: 96)
    return trace
  }

  /// The first error of reading all chunks.
  private func error(in trace: [UInt8]) -> TraceError? {
    do {
      try trace.withUnsafeBytes { bytes in
        var reader = try TraceReader(bytes)
        var buffer: [UInt8] = []
        while let chunk = try reader.nextChunk() {
          if chunk.kind.holdsRecords { _ = try reader.decode(chunk, into: &buffer) }
        }
      }
      return nil
    } catch { return error as? TraceError }
  }

  struct Forgery: CustomTestStringConvertible, Sendable {
    var testDescription: String
    var trace: [UInt8]
    var kind: TraceError.Kind
    var offset: UInt64

    init(_ name: String, at place: Int, _ value: UInt64, bytes: Int, _ kind: TraceError.Kind, offset: Int) {
      testDescription = name
      trace = ForgedChunkTests.forged(place, value, bytes: bytes)
      self.kind = kind
      self.offset = UInt64(offset)
    }
  }

  static let forgeries: [Forgery] = [
    Forgery("header size 0", at: chunk + 8, 0, bytes: 4, .corrupt, offset: chunk + 8),
    Forgery("header without tables", at: chunk + 8, 64, bytes: 4, .corrupt, offset: chunk + 8),
    Forgery("header of 4 GiB", at: chunk + 8, 0xffff_ffff, bytes: 4, .corrupt, offset: chunk + 8),
    Forgery("65535 CPUs", at: chunk + 44, 0xffff, bytes: 2, .corrupt, offset: chunk + 8),
    Forgery("65535 groups", at: chunk + 46, 0xffff, bytes: 2, .corrupt, offset: chunk + 8),
    Forgery("payload of 4 GiB", at: chunk + 16, 0xffff_ffff, bytes: 4, .corrupt, offset: chunk + 16),
    Forgery("just above the limit", at: chunk + 16, 16 << 20 + 1, bytes: 4, .corrupt, offset: chunk + 16),
    Forgery("payload above the groups", at: chunk + 16, 56, bytes: 4, .corrupt, offset: chunk + 16),
    Forgery("payload below the groups", at: chunk + 16, 40, bytes: 4, .corrupt, offset: groupEntry + 4),
    Forgery("payload behind the end", at: chunk + 12, 0xffff_ffff, bytes: 4, .truncated, offset: chunk),
    Forgery("record count", at: chunk + 40, 3, bytes: 4, .corrupt, offset: chunk + 40),
    Forgery("4 billion records", at: groupEntry + 4, 0xffff_ffff, bytes: 4, .corrupt, offset: groupEntry + 4),
    Forgery("records of 0 bytes", at: groupEntry + 2, 0, bytes: 2, .corrupt, offset: groupEntry + 2),
    Forgery("records of 16 bytes", at: groupEntry + 2, 16, bytes: 2, .corrupt, offset: groupEntry + 2),
    Forgery("records of 28 bytes", at: groupEntry + 2, 28, bytes: 2, .corrupt, offset: groupEntry + 2),
    Forgery("CPU with too many records", at: cpuEntry + 12, 3, bytes: 4, .corrupt, offset: chunk + 64),
    Forgery("unknown codec", at: chunk + 6, 9, bytes: 2, .unsupportedCodec(9), offset: chunk + 6),
    Forgery("zstd that is none", at: chunk + 6, 1, bytes: 2, .corrupt, offset: chunk + 96),
    Forgery(
      "unknown encoding", at: groupEntry + 1, 7, bytes: 1, .unsupportedEncoding(7), offset: groupEntry + 1),
    Forgery("differences in no column", at: groupEntry + 8, 0x20, bytes: 4, .corrupt, offset: groupEntry + 8),
  ]

  @Test(arguments: forgeries)
  func isRefused(forgery: Forgery) throws {
    let found = error(in: forgery.trace)
    let error = try #require(found)
    #expect(error.kind == forgery.kind)
    #expect(error.offset == forgery.offset)
    #expect(error.description.hasPrefix("byte \(forgery.offset): "))
  }

  /// Transposed records are at most 64 bytes long; a longer one would need more delta bits than there are.
  @Test func columnsOfLargeRecords() throws {
    var trace = Self.forged(Self.groupEntry + 2, 48, bytes: 2)
    put(1, bytes: 4, at: Self.groupEntry + 4, in: &trace)
    put(1, bytes: 4, at: Self.chunk + 40, in: &trace)
    put(1, bytes: 4, at: Self.cpuEntry + 12, in: &trace)
    fixHeaderChecksum(of: &trace, chunk: Self.chunk, headerBytes: 96)
    #expect(error(in: trace) == nil)

    // The same with 136 bytes: the payload runs 88 bytes into what was the next chunk.
    put(136, bytes: 2, at: Self.groupEntry + 2, in: &trace)
    put(136, bytes: 4, at: Self.chunk + 12, in: &trace)
    put(136, bytes: 4, at: Self.chunk + 16, in: &trace)
    put(UInt64(crc32(trace[0xf0..<0xf0 + 136])), bytes: 4, at: Self.chunk + 48, in: &trace)
    fixHeaderChecksum(of: &trace, chunk: Self.chunk, headerBytes: 96)
    #expect(error(in: trace)?.offset == UInt64(Self.groupEntry + 2))
  }

  @Test func unknownChunkKindIsSkipped() throws {
    let trace = Self.forged(Self.chunk + 4, 99, bytes: 2)
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      _ = try reader.nextChunk()
      let unknown = try #require(try reader.nextChunk())
      #expect(unknown.kind == .unknown(99))
      #expect(try reader.nextChunk()?.kind == .end)
      var buffer: [UInt8] = []
      #expect(throws: TraceError.self) { try reader.decode(unknown, into: &buffer) }
      #expect(throws: TraceError.self) { try reader.metadata(unknown) }
    }
  }

  /// A later minor version may put something behind the tables.
  @Test func longerChunkHeaderIsRead() throws {
    var trace = handMadeTrace
    trace.insert(contentsOf: [1, 2, 3, 4, 5, 6, 7, 8], at: Self.chunk + 96)
    put(104, bytes: 4, at: Self.chunk + 8, in: &trace)
    fixHeaderChecksum(of: &trace, chunk: Self.chunk, headerBytes: 104)
    #expect(try Content(of: trace) == Content(of: handMadeTrace))
  }

  /// A small frame that decompresses to megabytes, in a chunk that claims less, or more.
  @Test(arguments: [16, (8 << 20) - 1, (8 << 20) + 1, 16 << 20])
  func zstdFrameOfAnotherSize(claimed: Int) throws {
    var trace = testHeader.encoded()
    let writer = ChunkWriter(compressionLevel: 1)
    [UInt8](repeating: 0x20, count: 8 << 20).withUnsafeBytes { _ = writer.sealMetadata($0) { trace += $0 } }
    #expect(trace.count < 4096)
    put(UInt64(claimed), bytes: 4, at: 64 + 16, in: &trace)
    fixHeaderChecksum(of: &trace, chunk: 64, headerBytes: 64)
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      let chunk = try #require(try reader.nextChunk())
      let error = #expect(throws: TraceError.self) { try reader.metadata(chunk) }
      #expect(error?.kind == .corrupt)
    }
  }

  /// Whatever a header says under a right checksum: an error, or records as it says.
  @Test func randomHeaderFields() throws {
    var random = SeededGenerator(seed: 17)
    var accepted = 0
    for _ in 0..<1500 {
      var trace = handMadeTrace
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let place = Int.random(in: Self.chunk + 4..<Self.chunk + 96, using: &random)
        trace[place] = [0, 1, 8, 0x7f, 0x80, 0xff, trace[place] &+ 1].randomElement(using: &random) ?? 0
      }
      fixHeaderChecksum(of: &trace, chunk: Self.chunk, headerBytes: 96)
      try trace.withUnsafeBytes { bytes in
        var reader = try TraceReader(bytes)
        _ = try reader.nextChunk()
        var buffer: [UInt8] = []
        do {
          let chunk = try #require(try reader.nextChunk())
          #expect(reader.position <= bytes.count)
          let groups = try reader.decode(chunk, into: &buffer)
          #expect(buffer.count == chunk.rawBytes)
          #expect(groups.map { $0.recordBytes * $0.count }.reduce(0, +) == buffer.count)
          accepted += 1
        } catch let error as TraceError {
          #expect(error.offset <= UInt64(bytes.count))
        }
      }
    }
    // Times, numbers and sequences may be anything; most of the rest may not.
    #expect(accepted > 150 && accepted < 1350)
  }
}
