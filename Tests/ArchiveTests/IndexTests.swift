import Foundation
import GRDB
import Statistics
import Testing

@testable import Archive

@Suite struct IndexTests {
  private let scratch: Scratch
  private let archive: Archive

  init() throws {
    scratch = try Scratch()
    archive = try Archive(writing: "\(scratch.path)/archive")
  }

  private func rows(_ sql: String) throws -> [Row] { try archive.read { try Row.fetchAll($0, sql: sql) } }
  private func number(_ sql: String) throws -> Int? { try archive.read { try Int.fetchOne($0, sql: sql) } }
  private func texts(_ sql: String) throws -> [String] {
    try archive.read { try String.fetchAll($0, sql: sql) }
  }

  /// What the tables of the index take from a file is what the commands write.
  @Test func columnsAreThoseOfTheTables() throws {
    let written: [RunFolder.File: [Statistics.Column]] = [
      .tokens: TokenTable.columns, .operators: OperatorTable.columns + [Statistics.Column("kind")],
      .nodes: NodeTable.columns,
      .threads: ThreadTable.columns, .expertUse: ExpertHistogramTable.columns + [Statistics.Column("model")],
    ]
    for table in IndexTable.all {
      let names = try #require(written[table.file]).map(\.name)
      #expect(Set(table.columns).isSubset(of: names))
      let stored = Set(try texts("SELECT name FROM pragma_table_info('\(table.name)')"))
      #expect(stored.isSuperset(of: table.columns))
    }
    #expect(try number("PRAGMA user_version") == Archive.schemaVersion)
  }

  @Test func rowsOfTheFilesAreInTheIndex() throws {
    try add(summary("x"), to: archive, path: "t/x.pitrace")
    #expect(try number("SELECT sum(duration_ns) FROM steps") == 400)
    #expect(try number("SELECT sum(total_ns) FROM operators") == 310)
    // The counter that is called as a column of the table is not taken for it.
    #expect(try number("SELECT max(count) FROM operators") == 3)
    #expect(try texts("SELECT DISTINCT kind FROM operators") == ["cpu"])
    #expect(try texts("SELECT typeof(share) FROM operators ORDER BY place") == ["real", "null"])
    // Names stay text, whatever they look like, and may be empty.
    #expect(try texts("SELECT name FROM nodes ORDER BY place") == ["", "0012"])
    #expect(try texts("SELECT typeof(p50_ns) FROM operators") == ["null", "null"])
    #expect(try rows("SELECT * FROM decode_operators").map { $0["ns_per_token"] as Double? } == [50, nil])
    #expect(try texts("SELECT path FROM run_list") == ["t/x.pitrace"])
    #expect(try number("SELECT max_over_mean FROM expert_layers") == 1)
  }

  @Test func whatNobodyShouldTrustIsTextAndNothingElse() throws {
    try add(summary("x", text: hostile, losses: [hostile]), to: archive, path: hostile)
    #expect(try texts("SELECT host FROM runs") == [hostile])
    #expect(try texts("SELECT op FROM operators WHERE type IS NULL") == [hostile])
    #expect(try texts("SELECT path FROM files") == [hostile])
    #expect(try texts("SELECT problem FROM problems") == [hostile])
    #expect(try texts("SELECT value FROM runs, json_each(command) LIMIT 1") == [hostile])
    var filter = RunFilter()
    filter.model = "%'; --"
    #expect(try archive.runs(filter).isEmpty)
    filter.model = "DROP TABLE runs"
    #expect(try archive.runs(filter).map(\.modelFile) == [hostile])
  }

  @Test func pathsThatAreNoTextStayApart() throws {
    let paths = [FilePath(bytes: [0xff]), FilePath(bytes: [0xfe])]
    #expect(paths[0].description == paths[1].description)
    for path in paths { try archive.fail(path, nil, analyzer: "test 1", isPermanent: false, reason: "r") }
    #expect(try archive.failures().count == 2)
    for (path, content) in zip(paths, ["a", "b"]) { try archive.note(path, stamp(1), contentID(content)) }
    #expect(try archive.content(of: paths[1], stamp(1)) == contentID("b"))
    #expect(try number("SELECT count(*) FROM failures") == 0)
  }

  @Test func contentAndAnalyzerDecideWhatIsKnown() throws {
    let id = contentID("x")
    #expect(try archive.standing(id, analyzer: "test 1", withReport: false) == .unknown)
    try add(summary("x", losses: ["lost"]), to: archive, path: "x")
    #expect(try archive.standing(id, analyzer: "test 1", withReport: false) == .read(losses: ["lost"]))
    #expect(try archive.standing(id, analyzer: "test 2", withReport: false) == .unknown)
    #expect(try archive.standing(id, analyzer: "test 1", withReport: true) == .unknown)
    RunFolder.remove(archive.runFolder(id))
    #expect(try archive.standing(id, analyzer: "test 1", withReport: false) == .unknown)
    #expect(try archive.content(of: FilePath("x"), stamp(1)) == id)
    #expect(try archive.content(of: FilePath("x"), stamp(2)) == nil)
    #expect(try archive.content(of: FilePath("y"), stamp(1)) == nil)
  }

  @Test func whatIsNoTraceIsRememberedAndOtherFailuresAreNot() throws {
    try archive.fail(FilePath("x"), contentID("x"), analyzer: "test 1", isPermanent: true, reason: "no trace")
    try archive.fail(FilePath("y"), contentID("y"), analyzer: "test 1", isPermanent: false, reason: "crashed")
    #expect(
      try archive.standing(contentID("x"), analyzer: "test 1", withReport: false) == .bad(reason: "no trace"))
    #expect(try archive.standing(contentID("x"), analyzer: "test 2", withReport: false) == .unknown)
    #expect(try archive.standing(contentID("y"), analyzer: "test 1", withReport: false) == .unknown)
  }

  @Test func aRunIsReplacedNotDoubled() throws {
    for _ in 0..<2 { try add(summary("x"), to: archive, path: "x") }
    #expect(try number("SELECT count(*) FROM runs") == 1)
    for table in IndexTable.all.map(\.name) + ["models", "phases", "findings"] {
      #expect(try number("SELECT count(DISTINCT run) FROM \(table)") == 1)
    }
  }

  /// A trace that grows is one recording; one that is replaced by another recording is history.
  @Test func aRecordingThatGrewIsOneRun() throws {
    try add(summary("part", recording: "r1"), to: archive, path: "x")
    try add(summary("whole", recording: "r1"), to: archive, path: "x")
    #expect(try texts("SELECT id FROM runs") == [contentID("whole").description])
    try add(summary("other", recording: "r2"), to: archive, path: "x")
    #expect(try number("SELECT count(*) FROM runs") == 2)
  }

  @Test func leftoversGoAndOtherFilesStay() throws {
    try add(summary("x"), to: archive, path: "x")
    for name in ["0123", ".0123.new-1"] { try scratch.write("{}", "archive/runs/\(name)/summary.json") }
    let own = try scratch.write("mine", "archive/runs/mine/letter.txt")
    try archive.removeLeftovers()
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(archive.folder)/runs")
    #expect(Set(names) == [contentID("x").description, "mine"])
    #expect(FileManager.default.fileExists(atPath: own))
  }

  @Test func whoKeepsWritersOutIsSaid() throws {
    try archive.close()
    var configuration = Configuration()
    configuration.busyMode = .immediateError
    let reader = try DatabaseQueue(path: archive.indexFile, configuration: configuration)
    try reader.read { db in
      _ = try Int.fetchOne(db, sql: "SELECT count(*) FROM runs")
      let error = #expect(throws: ArchiveError.self) { try Archive(writing: archive.folder, patience: 0.1) }
      #expect(error?.description.contains("in the middle of a query") == true)
    }
    _ = try Archive(writing: archive.folder)
  }

  /// As version 1 left it: without two columns, and with its own view.
  @Test func anOlderIndexIsBroughtUpToDate() throws {
    try add(summary("x"), to: archive, path: "x")
    try archive.write {
      try $0.execute(
        sql: """
          DROP VIEW run_list; CREATE VIEW run_list AS SELECT run, id FROM runs;
          ALTER TABLE runs DROP COLUMN engine_version; ALTER TABLE runs DROP COLUMN engine_commit;
          PRAGMA user_version = 1;
          """)
    }
    try archive.close()
    let error = #expect(throws: ArchiveError.self) { try Archive(reading: archive.folder) }
    #expect(error?.description.contains("brings it up to date") == true)
    let again = try Archive(writing: archive.folder)
    let versions = try again.read { try String?.fetchAll($0, sql: "SELECT engine_version FROM run_list") }
    #expect(versions == [nil])
    try add(summary("y"), to: again, path: "y")
    let added = try again.read {
      try String?.fetchAll($0, sql: "SELECT engine_version FROM runs ORDER BY run")
    }
    #expect(added == [nil, "0.9"])
    try again.close()
    _ = try Archive(reading: archive.folder)
  }

  @Test func onlyArchivesAreOpened() throws {
    #expect(throws: ArchiveError.self) { try Archive(reading: scratch.path) }
    try archive.write { try $0.execute(sql: "PRAGMA user_version = 99") }
    let error = #expect(throws: ArchiveError.self) { try Archive(reading: archive.folder) }
    #expect(error?.description.contains("schema version 99") == true)
    try scratch.write("no database", "other/archive.sqlite")
    #expect(throws: ArchiveError.self) { try Archive(reading: "\(scratch.path)/other") }
    #expect(throws: ArchiveError.self) { try Archive(writing: "\(scratch.path)/other") }
  }
}

@Suite struct RunFolderTests {
  @Test func itAppearsWhole() throws {
    let scratch = try Scratch()
    let place = "\(scratch.path)/a/b"
    for text in ["first", "second"] {
      let folder = try RunFolder(creating: place)
      try text.write(toFile: folder.path(of: .summary), atomically: false, encoding: .utf8)
      let seen = try? String(contentsOfFile: "\(place)/summary.json", encoding: .utf8)
      #expect(seen == (text == "first" ? nil : "first"))
      try folder.commit()
      #expect(try String(contentsOfFile: "\(place)/summary.json", encoding: .utf8) == text)
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(scratch.path)/a") == ["b"])
  }

  @Test func nothingElseIsReplaced() throws {
    let scratch = try Scratch()
    let file = try scratch.write("mine", "home/letter.txt")
    #expect(throws: ArchiveError.self) { try RunFolder(creating: "\(scratch.path)/home") }
    #expect(throws: ArchiveError.self) { try RunFolder(creating: file) }
    #expect(FileManager.default.fileExists(atPath: file))
  }
}
