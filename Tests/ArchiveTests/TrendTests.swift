import Foundation
import GRDB
import Report
import Testing

@testable import Archive

@Suite struct TrendTests {
  private func run(_ number: Int64, rate: Double, build: String = "b1", text: String = "x") -> ArchivedRun {
    try! ArchivedRun(
      row: [
        "run": number, "id": "\(number)", "analyzer": "test 1", "recorded_ns": number * 86_400_000_000_000,
        "host": text,
        "model": text, "model_file": text, "engine_build": build, "engine_version": "\(build).0",
        "decode_tokens_per_s": rate,
        "lost_records": 0,
        "complete": true, "path": text, "threads": 2, "level": "op",
      ])
  }

  private func trend(_ rates: [Double], parts: (Int) -> [String: Double] = { _ in [:] }) -> Trend {
    Trend(
      key: Trend.Key(host: "h"),
      rates.enumerated().map { Trend.Point(run: run(Int64($0), rate: $1), rate: $1, parts: parts($0)) })
  }

  private func changes(_ rates: [Double]) -> [Int] {
    trend(rates).points.enumerated().filter { $0.element.change != nil }.map(\.offset)
  }

  @Test func aStepIsMarkedOnce() {
    #expect(changes([10, 10, 10, 10, 9, 9, 9, 9]) == [4])
    #expect(changes([10, 10, 10, 10, 11, 11, 11]) == [4])
    #expect(trend([10, 10, 10, 9]).points[3].change?.isSlower == true)
    #expect(trend([10, 10, 10, 12]).points[3].change?.isSlower == false)
  }

  @Test func littleIsNoChange() {
    #expect(changes([10, 10, 10, 9.6, 10.4]).isEmpty)
    // 10 % less, but the runs before differ as much.
    #expect(changes([10, 12, 9, 11, 8.5, 10.5, 9.45]).isEmpty)
    // Of two runs no spread can be told.
    #expect(changes([10, 10, 5]).isEmpty)
  }

  @Test func whatCarriesItIsNamed() throws {
    let trend = trend([10, 10, 10, 8]) { index in
      index < 3 ? ["MUL_MAT": 80, "ADD": 15, "gone": 5] : ["MUL_MAT": 105, "ADD": 14, "new": 6]
    }
    let change = try #require(trend.points[3].change)
    #expect(change.before == 10 && change.runs == 3 && (change.ratio + 0.2).magnitude < 1e-12)
    #expect(change.causes == [.init(part: "MUL_MAT", difference: 25), .init(part: "new", difference: 6)])
    #expect(change.otherBuild == nil && change.otherVersion == nil)
  }

  @Test func anotherBuildIsSaid() {
    let points = [10.0, 10, 10, 8].enumerated().map { index, rate in
      Trend.Point(
        run: run(Int64(index), rate: rate, build: index < 3 ? "old" : "new"), rate: rate, parts: [:])
    }
    let change = Trend(key: Trend.Key(), points).points[3].change
    #expect(change?.otherBuild == "old" && change?.otherVersion == "old.0")
  }

  @Test func runsAreComparedWithTheirLike() throws {
    let scratch = try Scratch()
    let archive = try Archive(writing: scratch.path)
    var runs = [run(1, rate: 10), run(2, rate: 10, text: "y"), run(3, rate: 10)]
    runs[2].threads = 4
    #expect(try archive.trends(of: runs).map(\.points.count) == [1, 1, 1])
    #expect(
      try archive.trends(of: [run(1, rate: 1), run(2, rate: 2), runs[1]]).map(\.points.count) == [2, 1])
  }

  @Test func thePageSaysItAndHoldsNoMarkupFromNames() throws {
    let name = "<script>alert(1)</script>'\""
    let points = [10.0, 10, 10, 8].enumerated().map { index, rate in
      Trend.Point(run: run(Int64(index), rate: rate, text: name), rate: rate, parts: [name: 1e9 / rate])
    }
    let trend = Trend(key: Trend.Key(host: name, model: name), points)
    let html = TrendsPage(
      folder: "dir/\(name)", runs: points.map(\.run), trends: [trend], failures: [(name, name)],
      analyzer: "test 1"
    ).html
    #expect(!html.contains("<script>alert") && !html.contains("'\"\""))
    #expect(html.contains("&lt;script&gt;alert(1)"))
    #expect(html.contains("20.0 % slower") && html.contains("+25.00 ms"))
  }

  /// What cannot be is left out, and does no harm.
  @Test func inventedTimesAreNoHarm() throws {
    let scratch = try Scratch()
    let archive = try Archive(writing: scratch.path)
    for (index, share) in ["1e300", "-1e300", "9e999", "'text'", "x'ff'", "NULL"].enumerated() {
      try add(summary("\(index)"), to: archive, path: "\(index)")
      try archive.write {
        try $0.execute(sql: "UPDATE operators SET decode_share = \(share) WHERE run = \(index + 1)")
      }
    }
    try archive.write { db in
      try db.execute(sql: "UPDATE runs SET decode_tokens_per_s = 9e999 WHERE run = 3")
      try db.execute(sql: "UPDATE phases SET tokens = 9223372036854775807, setup_ns = -5 WHERE run = 4")
    }
    let runs = try archive.runs()
    let trends = try archive.trends(of: runs)
    #expect(trends.map(\.points.count) == [5])
    #expect(trends[0].points.allSatisfy { $0.parts.values.allSatisfy { $0 > 0 && $0 < 1e18 } })
    let page = TrendsPage(folder: "d", runs: runs, trends: trends, failures: [], analyzer: "a")
    #expect(!page.html.contains(/[ >"](nan|inf|NaN)[ <"%]/))
  }

  @Test func anEmptyArchiveIsAPage() {
    let html = TrendsPage(folder: "d", runs: [], trends: [], failures: [], analyzer: "a").html
    #expect(html.contains("No run differs") && html.contains("Every trace gave results"))
  }
}
