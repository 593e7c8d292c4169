import CTraceRecords
import Testing
import TraceContainer

/// What a bad disk, an interrupted copy or a full file system does to a trace.
@Suite struct DamageTests {
  /// With tables, both encodings and a zstd frame.
  static let compressed: [UInt8] = {
    var records = (0..<40).map { i in
      var record = [UInt8](repeating: 0, count: i % 4 == 3 ? 32 : 24)
      record[0] = UInt8(i)
      record[12] = UInt8(i % 2)
      record[14] = 7
      record[16] = UInt8(i / 2)
      return record
    }
    records.append([UInt8](repeating: 9, count: 104))
    let metadata = Array(String(repeating: #"{"a":"aaaaaaaa"}"#, count: 8).utf8)
    return makeTrace(level: 1, records: records, metadata: metadata, isEnded: true)
  }()

  static let traces = [handMadeTrace, compressed]
  static let golden = GoldenTrace.file(compressionLevel: 1)

  /// Everything up to the first error, and that error.
  private func read(_ trace: some Collection<UInt8>) -> (
    chunks: [[UInt8]], error: TraceError?, isComplete: Bool
  ) {
    var chunks: [[UInt8]] = []
    var isComplete = false
    do {
      try Array(trace).withUnsafeBytes { bytes in
        var reader = try TraceReader(bytes)
        var buffer: [UInt8] = []
        while let chunk = try reader.nextChunk() {
          if chunk.kind == .metadata {
            chunks.append(try reader.metadata(chunk))
          } else if chunk.kind.holdsRecords {
            _ = try reader.decode(chunk, into: &buffer)
            chunks.append(buffer)
          }
        }
        isComplete = reader.isComplete
      }
      return (chunks, nil, isComplete)
    } catch {
      return (chunks, error as? TraceError, isComplete)
    }
  }

  @Test(arguments: traces + [golden])
  func cutAtEveryByte(trace: [UInt8]) throws {
    let whole = read(trace)
    #expect(whole.error == nil && whole.isComplete)
    var boundaries: Set<Int> = [64]
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      while try reader.nextChunk() != nil { boundaries.insert(reader.position) }
    }
    for length in 0..<trace.count {
      let cut = read(trace[..<length])
      #expect(!cut.isComplete)
      #expect(cut.chunks.elementsEqual(whole.chunks.prefix(cut.chunks.count)))
      if boundaries.contains(length) {
        #expect(cut.error == nil, "cut at \(length)")
      } else {
        #expect(cut.error?.kind == .truncated, "cut at \(length)")
        #expect((cut.error?.offset ?? .max) <= UInt64(length))
      }
    }
  }

  /// Every bit of a trace is checked: none is "don't care".
  @Test(arguments: traces)
  func flippedBitInEveryByte(trace: [UInt8]) {
    for i in trace.indices {
      for bit in 0..<8 {
        var damaged = trace
        damaged[i] ^= 1 << bit
        let result = read(damaged)
        #expect(result.error != nil, "byte \(i) bit \(bit)")
      }
    }
  }

  /// The golden trace is larger: one bit of each byte.
  @Test func flippedBitInEveryByteOfTheGoldenTrace() {
    for i in Self.golden.indices {
      var damaged = Self.golden
      damaged[i] ^= 1 << (i % 8)
      #expect(read(damaged).error != nil, "byte \(i)")
    }
  }

  /// What does not touch the damage comes back.
  @Test(arguments: traces)
  func readingGoesOnBehindTheDamage(trace: [UInt8]) throws {
    let whole = read(trace)
    for i in 64..<trace.count {
      var damaged = trace
      damaged[i] ^= 0x55
      var found: [[UInt8]] = []
      var losses = 0
      try damaged.withUnsafeBytes { bytes in
        var reader = try TraceReader(bytes)
        var buffer: [UInt8] = []
        var isAtEnd = false
        while !isAtEnd {
          do {
            guard let chunk = try reader.nextChunk() else { break }
            do {
              if chunk.kind == .metadata {
                found.append(try reader.metadata(chunk))
              } else {
                _ = try reader.decode(chunk, into: &buffer)
                found.append(buffer)
              }
            } catch { losses += 1 }
          } catch {
            losses += 1
            isAtEnd = reader.skipToNextChunk() == nil
          }
        }
        #expect(reader.position == bytes.count)
      }
      #expect(losses == 1, "byte \(i)")
      #expect(found.count == whole.chunks.count - 1, "byte \(i)")
      #expect(found.allSatisfy(whole.chunks.contains), "byte \(i)")
    }
  }

  /// Searching behind damage takes time proportional to the file, even in one made to be slow: 65536 false
  /// chunk headers, each claiming two megabytes of tables.
  @Test(.timeLimit(.minutes(1))) func searchIsBounded() throws {
    var header = [UInt8](repeating: 0, count: 64)
    header.replaceSubrange(0..<4, with: [0x50, 0x49, 0x43, 0x4b])
    put(64 + 16 * 2 * 65533, bytes: 4, at: 8, in: &header)
    put(65533, bytes: 2, at: 44, in: &header)
    put(65533, bytes: 2, at: 46, in: &header)
    var file = testHeader.encoded()
    for _ in 0..<65536 { file += header }
    try file.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      #expect(throws: TraceError.self) { try reader.nextChunk() }
      #expect(reader.skipToNextChunk() == nil)
      #expect(try reader.nextChunk() == nil)
    }
  }

  /// Random bytes behind a good file header: an error, and no crash.
  @Test func randomBytes() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<300 {
      let count = Int.random(in: 1...400, using: &random)
      var file = testHeader.encoded() + (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      file.replaceSubrange(64..<64, with: [0x50, 0x49, 0x43, 0x4b])
      #expect(read(file).error != nil)
    }
  }
}
