import Foundation
import Synchronization
import Testing

@testable import Archive

/// Batches with a worker that does what the trace says.
///
/// One after the other: a program that is being written is busy, and a process that another test makes just then has it
/// open too.
@Suite(.serialized) struct BatchTests {
  private let scratch: Scratch
  private let traces: String
  private let archive: Archive

  init() throws {
    scratch = try Scratch()
    traces = "\(scratch.path)/traces"
    archive = try Archive(writing: "\(scratch.path)/archive")
    try scratch.write(
      """
      #!/bin/bash
      # tables - -o FOLDER --name=NAME; the first line of the trace says what happens.
      content=$(cat; echo x); content=${content%x}
      echo "$5" >>"\(scratch.path)/log"
      case "${content%%$'\\n'*}" in
        crash) mkdir "${4%/*}/.half"; cp "\(scratch.path)"/tables/* "${4%/*}/.half"; kill -SEGV $$ ;;
        hang) exec sleep 60 ;;
        full) echo "prof-analyze: no room" >&2; exit 5 ;;
        flood) yes "prof-analyze: standard input: noise" | head -c 10000000 >&2; exit 3 ;;
        bad) echo "prof-analyze: standard input: this is no trace" >&2; exit 3 ;;
        nothing) exit 0 ;;
        odd) exit 77 ;;
      esac
      id=$(printf %s "$content" | sha256sum | cut -c1-32)
      [ "${content%%$'\\n'*}" = changed ] && id=00000000000000000000000000000000
      mkdir -p "$4"; cp "\(scratch.path)"/tables/* "$4"
      [ "${content%%$'\\n'*}" = unfit ] && printf 'step,phase\\r\\n,decode\\r\\n' >"$4/tokens.csv"
      sed "s/@id@/$id/" "\(scratch.path)/summary.json" >"$4/summary.json"
      """, "worker")
    chmod("\(scratch.path)/worker", 0o755)
    let json = String(decoding: try summary("template", losses: []).json, as: UTF8.self)
    try scratch.write(json.replacing(contentID("template").description, with: "@id@"), "summary.json")
    for (file, text) in tables { try scratch.write(text, "tables/\(file.rawValue)") }
    try FileManager.default.createDirectory(atPath: traces, withIntermediateDirectories: true)
  }

  private func run(jobs: Int = 2, seconds: Int = 30, again: Bool = false) throws -> [String: Batch.Result] {
    var options = Batch.Options(analyzer: "test 1")
    options.jobs = jobs
    options.secondsAllowed = seconds
    options.readsAgain = again
    options.program = "\(scratch.path)/worker"
    let outcome = try Batch(archive, options).run(TraceFinder([traces])) { _ in }
    return Dictionary(
      uniqueKeysWithValues: outcome.results.map {
        ("\($0.path)".replacing("\(traces)/", with: ""), $0.result)
      })
  }

  private var workersStarted: Int {
    ((try? String(contentsOfFile: "\(scratch.path)/log", encoding: .utf8)) ?? "").split(separator: "\n").count
  }

  @Test func aBadTraceStopsNoOther() throws {
    for (index, kind) in ["crash", "bad", "odd", "nothing2", "ok", "changed", "flood", "unfit", "nothing"]
      .enumerated()
    {
      try scratch.write("\(kind)\n\(index)", "traces/\(index)-\(kind).pitrace")
    }
    try scratch.write("never read", "traces/other.txt")
    mkfifo("\(traces)/fifo.pitrace", 0o600)
    let results = try run()
    #expect(results["4-ok.pitrace"] == .read(losses: []))
    #expect(results["3-nothing2.pitrace"] == .read(losses: []))
    #expect(results["1-bad.pitrace"] == .bad(reason: "this is no trace"))
    #expect(results["2-odd.pitrace"] == .bad(reason: "the analyzer ended with status 77"))
    #expect(results["6-flood.pitrace"] == .bad(reason: "noise; noise; noise"))
    guard case .bad(let unfit) = results["7-unfit.pitrace"],
      case .bad(let nothing) = results["8-nothing.pitrace"]
    else {
      Issue.record("not bad")
      return
    }
    #expect(unfit.contains("NOT NULL constraint failed: steps.step") && nothing.contains("is not there"))
    #expect(results["fifo.pitrace"] == .bad(reason: "this is no file"))
    guard case .bad(let crash) = results["0-crash.pitrace"],
      case .bad(let changed) = results["5-changed.pitrace"]
    else {
      Issue.record("not bad")
      return
    }
    #expect(crash.contains("signal 11") && changed.contains("changed while it was read"))
    #expect(results.count == 10)
    #expect(try archive.failures().count == 8)
    #expect(try archive.runs().count == 2)
    #expect(try FileManager.default.contentsOfDirectory(atPath: "\(archive.folder)/runs").count == 2)
  }

  @Test func whatIsKnownIsNotReadAgain() throws {
    for name in ["a", "b/c", "bad"] { try scratch.write("\(name)\n", "traces/\(name).pitrace") }
    _ = try run()
    #expect(workersStarted == 3)
    #expect(
      try run() == [
        "a.pitrace": .known(losses: []), "b/c.pitrace": .known(losses: []),
        "bad.pitrace": .bad(reason: "this is no trace"),
      ])
    // Another place, another time: the content is the same.
    rename("\(traces)/a.pitrace", "\(traces)/z.pitrace")
    utime("\(traces)/b/c.pitrace", nil)
    #expect(try run()["z.pitrace"] == .known(losses: []))
    #expect(workersStarted == 3)
    try scratch.write("new\n", "traces/b/c.pitrace")
    #expect(try run()["b/c.pitrace"] == .read(losses: []))
    #expect(workersStarted == 4)
    #expect(try run(again: true)["z.pitrace"] == .read(losses: []))
  }

  @Test func equalContentsAreReadOnce() throws {
    for index in 0..<12 { try scratch.write("same\n", "traces/\(index).pitrace") }
    let results = try run(jobs: 4)
    #expect(results.values.count { $0 == .known(losses: []) } == 11)
    #expect(results.values.count { $0 == .read(losses: []) } == 1)
    #expect(workersStarted == 1)
  }

  @Test func crashesAreTriedAgain() throws {
    try scratch.write("crash\n", "traces/x.pitrace")
    for _ in 0..<2 { _ = try run() }
    #expect(workersStarted == 2)
  }

  @Test func aTraceThatTakesTooLongIsGivenUp() throws {
    try scratch.write("hang\n", "traces/x.pitrace")
    try scratch.write("ok\n", "traces/y.pitrace")
    let results = try run(seconds: 1)
    #expect(results["x.pitrace"] == .bad(reason: "not read within 1 s; --timeout allows it more"))
    #expect(results["y.pitrace"] == .read(losses: []))
  }

  @Test func aFullDiskEndsIt() throws {
    for index in 0..<20 { try scratch.write("full\n\(index)", "traces/\(index).pitrace") }
    let error = #expect(throws: ArchiveError.self) { try run(jobs: 1) }
    #expect(error?.isAboutWriting == true && error?.description.contains("no room") == true)
    #expect(workersStarted == 1)
  }

  /// As a process has it that another batch is just starting, up to its exec.
  @Test func aLockThatIsLetGoIsFreeWhoeverHasItsDescriptor() throws {
    let lock = try BatchLock(archive.folder)
    let copy = dup(lock.descriptor)
    defer { close(copy) }
    lock.release()
    try BatchLock(archive.folder).release()
  }

  @Test func twoBatchesKeepApart() throws {
    let lock = try BatchLock(archive.folder)
    #expect(throws: ArchiveError.self) { try run() }
    lock.release()
    #expect(try run().isEmpty)
  }

  @Test func namesMayBeAnything() throws {
    let names: [[UInt8]] = [
      Array("-o.pitrace".utf8), Array("a\n\"'$(x)<b>.pitrace".utf8), [0xff, 0xfe] + Array(".pitrace".utf8),
    ]
    for (index, name) in names.enumerated() {
      let file = FilePath(traces).appending(name).withCString { open($0, O_WRONLY | O_CREAT, 0o600) }
      let text = Array("ok\n\(index)".utf8)
      #expect(write(file, text, text.count) == text.count)
      close(file)
    }
    #expect(try run().values.allSatisfy { $0 == .read(losses: []) })
    #expect(try archive.runs().count == 3)
    #expect(try run().values.allSatisfy { $0 == .known(losses: []) })
  }

  @Test func foldersAreSearchedAndLinksBackAreNot() throws {
    try scratch.write("a", "traces/deep/er/a.pitrace")
    try scratch.write("b", "traces/.hidden/b.pitrace")
    try scratch.write("c", "elsewhere/named")
    symlink(traces, "\(traces)/deep/back")
    symlink("\(scratch.path)/elsewhere/named", "\(traces)/link.pitrace")
    symlink("nowhere", "\(traces)/broken.pitrace")
    let found = TraceFinder([
      traces, "\(scratch.path)/elsewhere/named", "\(traces)/deep/er/a.pitrace", "missing",
    ])
    let paths = found.traces.map { "\($0.path)".replacing("\(scratch.path)/", with: "") }
    #expect(
      Set(paths) == [
        "elsewhere/named", "missing", "traces/.hidden/b.pitrace", "traces/broken.pitrace",
        "traces/deep/er/a.pitrace",
        "traces/link.pitrace",
      ])
    #expect(paths.count == 6)
  }
}
