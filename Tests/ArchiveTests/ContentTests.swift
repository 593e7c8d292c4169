import Foundation
import Statistics
import Testing

@testable import Archive

@Suite struct ContentTests {
  /// FIPS 180-2, appendix B, and the hash of nothing.
  @Test func identityIsTheBeginOfSHA256() {
    #expect(contentID("abc").description == "ba7816bf8f01cfea414140de5dae2223")
    #expect(contentID("").description == "e3b0c44298fc1c149afbf4c8996fb924")
  }

  @Test func aFileIsReadWhole() throws {
    let scratch = try Scratch()
    let text = String(repeating: "0123456789abcdef", count: 40_000)
    let file = open(try scratch.write(text, "long"), O_RDONLY)
    defer { close(file) }
    var byte: UInt8 = 0
    read(file, &byte, 1)
    #expect(ContentID(reading: file) == contentID(text))
  }

  @Test(arguments: ["", "ba7816bf", "BA7816BF8F01CFEA414140DE5DAE2223", "../../../../etc/passwd/ba7816bf8"])
  func nothingElseIsAnIdentity(_ text: String) {
    #expect(ContentID(text) == nil)
  }

  @Test func fieldsComeBackAsTheyWereWritten() {
    let written: [[Cell]] = [
      [.text("plain"), .integer(-3), .missing], [.text(hostile), .text("\"\""), .text("\r\n")],
      [.text(""), .text(","), .text("\"")],
    ]
    var encoder = CSVTableEncoder()
    var text: [UInt8] = []
    encoder.begin([Column("a"), Column("b,\""), Column("c")], into: &text)
    for row in written { encoder.row(row, into: &text) }
    text.withUnsafeBytes { bytes in
      var rows = CSVRows(bytes)
      #expect(rows.header() == ["a", "b,\"", "c"])
      var read: [[String]] = []
      while true {
        var fields: [String] = []
        guard rows.row({ fields.append(String(decoding: $0, as: UTF8.self)) }) else { break }
        read.append(fields)
      }
      #expect(read == [["plain", "-3", ""], [hostile, "\"\"", "\r\n"], ["", ",", "\""]])
    }
  }

  /// A file that was cut anywhere gives fewer rows, and never reads behind its end.
  @Test func aCutFileIsNoHarm() {
    let whole = Array("a,\"b\"\"\"\r\n\"c\nd\",e\r\n".utf8)
    for length in 0...whole.count {
      Array(whole.prefix(length)).withUnsafeBytes { bytes in
        var rows = CSVRows(bytes)
        var count = 0
        while rows.row({ count += $0.count }) {}
        #expect(count <= length)
      }
    }
  }

  @Test func summariesComeBackAsTheyWereWritten() throws {
    let written = summary("x", text: hostile, losses: ["lost"])
    let json = try written.json
    #expect(try RunSummary(json: Data(json)) == written)
    #expect(!json.contains(0x1b))
    let text = String(decoding: json, as: UTF8.self)
    #expect(text.contains("\\u2028") && text.contains("\"decode_tokens_per_s\" : 10"))
    // Not recorded is not there.
    #expect(!text.contains("memory_bytes") && !text.contains("null"))
  }
}
