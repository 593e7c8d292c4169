import CTraceRecords
import Testing
import TraceContainer

@Suite struct RoundTripTests {
  @Test(arguments: [Int32(0), 1, 3, -5])
  func recordsComeBackAsTheyWere(level: Int32) throws {
    var random = SeededGenerator(seed: 7)
    let records = (0..<5000).map { _ in randomRecord(using: &random) }
    let trace = makeTrace(level: level, records: records)
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      var buffer: [UInt8] = []
      var got: [[UInt8]] = []
      while let chunk = try reader.nextChunk() {
        for group in try reader.decode(chunk, into: &buffer) {
          for i in 0..<group.count {
            let at = group.byteOffset + i * group.recordBytes
            got.append(Array(buffer[at..<at + group.recordBytes]))
            #expect(got.last?[14] == group.type)
          }
        }
      }
      #expect(reader.position == trace.count)
      // Groups reorder records of different types; what is kept is the order within a type and size.
      #expect(sortedByGroup(got) == sortedByGroup(records.map(padded)))
    }
  }
}
