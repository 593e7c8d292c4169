import Testing

@testable import TraceImport

@Suite struct MetadataLimitTests {
  @Test func listsGrowFromChunkToChunk() {
    var reader = MetadataReader()
    for number in 0..<1000 { reader.add(Array(#"{"notes":["\#(number)"]}"#.utf8), at: 64) }
    #expect(reader.metadata().notes == (0..<1000).map(String.init))
    #expect(reader.warnings.isEmpty)
  }

  /// A few hundred bytes of a trace can claim this.
  @Test func moreThanAnyRecorderWritesIsIgnored() {
    var reader = MetadataReader()
    reader.add(Array(#"{"notes":["first"]}"#.utf8), at: 64)
    let filler = [UInt8](repeating: UInt8(ascii: " "), count: MetadataReader.byteLimit)
    reader.add(Array(#"{"notes":["second"]}"#.utf8) + filler, at: 128)
    #expect(reader.metadata().notes == ["first"])
    #expect(reader.warnings.count == 1)
    #expect(reader.warnings.first?.contains("byte 128") == true)
  }
}
