import Testing

@testable import TraceImport

@Suite struct MetadataLimitTests {
  @Test func listsGrowFromChunkToChunk() {
    var reader = MetadataReader()
    for number in 0..<1000 { reader.add(Array(#"{"notes":["\#(number)"]}"#.utf8), at: 64) }
    #expect(reader.metadata().notes == (0..<1000).map(String.init))
    #expect(reader.warnings.isEmpty && reader.damage.isEmpty)
  }

  /// A few hundred bytes of a trace can claim this.
  @Test func moreThanAnyRecorderWritesIsIgnored() {
    var reader = MetadataReader()
    reader.add(Array(#"{"notes":["first"]}"#.utf8), at: 64)
    let filler = [UInt8](repeating: UInt8(ascii: " "), count: MetadataReader.byteLimit)
    reader.add(Array(#"{"notes":["second"]}"#.utf8) + filler, at: 128)
    #expect(reader.metadata().notes == ["first"])
    #expect(reader.damage.map(\.offset) == [128])
  }

  @Test(arguments: [
    "[]", "", "{\"notes\":[\"second\"]", String(repeating: "[", count: 100_000), "{\"notes\":[\"\u{0}\"]}",
  ])
  func whatIsNoObjectIsDamage(json: String) {
    var reader = MetadataReader()
    reader.add(Array(#"{"notes":["first"]}"#.utf8), at: 64)
    reader.add(Array(json.utf8), at: 128)
    #expect(reader.metadata().notes == ["first"])
    #expect(reader.damage.map(\.offset) == [128])
    #expect(reader.damage.map(\.skippedBytes) == [UInt64(json.utf8.count)])
  }

  @Test func whatIsNotUTF8IsDamage() {
    var reader = MetadataReader()
    reader.add(Array(#"{"notes":[""#.utf8) + [0xff, 0xc3, 0x28] + Array(#""]}"#.utf8), at: 64)
    #expect(reader.metadata().notes.isEmpty)
    #expect(reader.damage.map(\.offset) == [64])
  }
}
