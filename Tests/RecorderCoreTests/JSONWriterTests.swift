import Foundation
import Testing

@testable import RecorderCore

@Suite struct JSONWriterTests {
  @Test func nestingCommasAndNumbersParse() throws {
    var json = JSONWriter()
    json.object { json in
      json.string("a", "x")
      json.array("list") { json in
        json.number(nil, -1)
        json.number(nil, UInt64.max)
        json.object { json in json.bool("b", true) }
        json.object { _ in }
      }
      json.hex("h", 0xfeed)
    }
    #expect(
      String(decoding: json.bytes, as: UTF8.self)
        == #"{"a":"x","list":[-1,18446744073709551615,{"b":true},{}],"h":"0xfeed"}"#)
  }

  @Test func hostileStringsSurviveAnotherParser() throws {
    let hostile = "q\"b\\n\nt\tz\0\u{1b}[31m</script>é\u{7f}"
    var json = JSONWriter()
    json.object { json in json.string("s", hostile) }
    let parsed = try JSONSerialization.jsonObject(with: Data(json.bytes)) as? [String: String]
    #expect(parsed?["s"] == hostile)
  }
}
