import Foundation
import Testing
import TraceModel

@testable import Statistics

@Suite struct TableTextTests {
  @Test func columnsOfTheInterfaceComeFirst() {
    func names(_ columns: [Column], _ count: Int) -> String {
      columns.prefix(count).map(\.name).joined(separator: ",")
    }
    #expect(
      names(TokenTable.columns, 8) == "step,phase,start_ns,duration_ns,n_tokens,n_graphs,n_ops,coverage")
    #expect(names(OperatorTable.columns, 8) == "op,type,count,total_ns,mean_ns,p50_ns,p95_ns,share")
    #expect(
      names(NodeTable.columns, 11) == "name,op,ne0,ne1,ne2,ne3,count,total_ns,mean_ns,bytes,flops")
    #expect(names(ExpertRows.columns, .max) == "step,token,layer,slot,expert")
    #expect(
      names(ThreadTable.columns, 8)
        == "tid,comm,op_ns,barrier_ns,running_ns,runnable_ns,blocked_ns,migrations")
    for columns in [TokenTable.columns, OperatorTable.columns, NodeTable.columns, ThreadTable.columns] {
      #expect(Set(columns.map(\.name)).count == columns.count)
    }
  }

  private let columns = [Column("name", isText: true), Column("n"), Column("share", "share", .share)]
  private let rows: [[Cell]] = [
    [.text("plain"), .integer(-3), .decimal(0.25)],
    [.text("a,\"b\"\r\nc\u{1b}[31m"), .missing, .decimal(2.0 / 3)],
    [.text("<b>é\u{2028}"), .integer(.max), .missing],
  ]

  private func text(_ encoder: some TableEncoder) -> String {
    var encoder = encoder
    var bytes: [UInt8] = []
    encoder.begin(columns, into: &bytes)
    for row in rows { encoder.row(row, into: &bytes) }
    encoder.end(into: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func csvIsQuotedAsRFC4180Says() {
    #expect(
      text(CSVTableEncoder()) == "name,n,share\r\n" + "plain,-3,0.250000\r\n"
        + "\"a,\"\"b\"\"\r\nc\u{1b}[31m\",,0.666667\r\n" + "<b>é\u{2028},9223372036854775807,\r\n")
  }

  @Test func jsonIsReadByAnIndependentParser() throws {
    let data = Data(text(JSONTableEncoder()).utf8)
    let objects = try #require(try JSONSerialization.jsonObject(with: data) as? [[String: Any]])
    #expect(objects.count == 3)
    #expect(objects[0]["n"] as? Int == -3)
    #expect(objects[0]["share"] as? Double == 0.25)
    #expect(objects[1]["name"] as? String == "a,\"b\"\r\nc\u{1b}[31m")
    #expect(objects[1]["n"] is NSNull)
    #expect(objects[2]["name"] as? String == "<b>é\u{2028}")
    #expect(objects[2]["n"] as? Int64 == .max)
    #expect(!data.contains(0x1b))
  }

  @Test func emptyJSONTableIsAnEmptyArray() throws {
    var encoder = JSONTableEncoder()
    var bytes: [UInt8] = []
    encoder.begin(columns, into: &bytes)
    encoder.end(into: &bytes)
    let value = try JSONSerialization.jsonObject(with: Data(bytes)) as? [Any]
    #expect(value?.isEmpty == true)
  }

  @Test func terminalsSeeNoControlCharacters() {
    let shown = text(HumanTableEncoder())
    #expect(!shown.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" || $0.value == 0x2028 })
    let lines = shown.split(separator: "\n")
    #expect(lines.count == 4)
    #expect(lines[0].hasPrefix("name"))
    #expect(lines[1].hasSuffix("-3  25.0 %"))
    #expect(lines[2].hasPrefix("a,\"b\"\\r\\nc\\u{1b}[31m  "))
    #expect(lines[3].hasSuffix("9223372036854775807       -"))
    #expect(escapeForTerminal("a\u{202e}b\u{9b}c\u{7f}") == "a\\u{202e}b\\u{9b}c\\u{7f}")
  }

  @Test func fixedWidthsAreWrittenAtOnce() {
    var encoder = HumanTableEncoder(fixedWidth: 6)
    var bytes: [UInt8] = []
    encoder.begin([Column("a"), Column("b")], into: &bytes)
    encoder.row([.integer(1), .integer(22)], into: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == "     a       b\n     1      22\n")
  }

  @Test func unitsKeepFourDigits() {
    #expect(formatDuration(0) == "0 ns")
    #expect(formatDuration(999) == "999 ns")
    #expect(formatDuration(1_204) == "1.204 µs")
    #expect(formatDuration(41_230_000) == "41.23 ms")
    #expect(formatDuration(999_960) == "1.000 ms")
    #expect(formatDuration(12_345_000_000) == "12.35 s")
    #expect(formatDuration(12_345_000_000, aligned: true) == "12.35  s")
    #expect(formatDuration(-41_230_000) == "-41.23 ms")
    #expect(formatCount(1, "record") == "1 record" && formatCount(0, "record") == "0 records")
    #expect(formatBytes(1023) == "1023 B")
    #expect(formatBytes(98 << 20) == "98.00 MiB")
    #expect(formatShare(0.1234) == "12.3 %")
    #expect(formatDecimal(-0.004, digits: 2) == "0.00")
    #expect(formatDecimal(-1.5, digits: 1) == "-1.5")
    #expect(formatDecimal(.infinity, digits: 1) == "-")
    #expect(formatDecimal(1e15, digits: 6) == "1000000000000000")
  }
}
