import CTraceRecords
import Foundation
import TraceContainer
import TraceModel
import Testing

@testable import TraceImport

@Suite struct FileTests {
  private func path(_ bytes: [UInt8]) throws -> String {
    let path = NSTemporaryDirectory() + "/file-\(UUID().uuidString).pitrace"
    try Data(bytes).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func error(_ path: String) -> TraceFileError? {
    do {
      _ = try TraceFile(path: path)
      return nil
    } catch { return error }
  }

  @Test func whatIsNoTrace() throws {
    let missing = try #require(error("/nowhere/x.pitrace"))
    #expect(missing.kind == .unreadable(ENOENT))
    #expect(missing.description.hasPrefix("/nowhere/x.pitrace: "))
    #expect(error(NSTemporaryDirectory())?.kind == .directory)
    let empty = try path([])
    #expect(error(empty)?.kind == .empty)
    #expect(error(empty)?.offset == 0)
    let text = try path(
      Array("step,phase,start_ns\n0,prefill,1\n and so on, for more than sixty-four bytes".utf8))
    #expect(error(text)?.kind == .container(.notATrace))
    #expect(error(text)?.description.contains("looks like text") == true)
    #expect(error(text)?.description.contains(text) == true)
    var future = TraceBuilder().bytes
    future[8] = 2
    let futurePath = try path(future)
    #expect(error(futurePath)?.kind == .container(.unsupportedVersion(major: 2, minor: 1)))
    #expect(error(futurePath)?.offset == 8)
    for path in [empty, text, futurePath] { try FileManager.default.removeItem(atPath: path) }
  }

  @Test func aPipeIsSpooled() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    trace.decodeEnd(1100)
    let bytes = trace.bytes
    let path = NSTemporaryDirectory() + "/pipe-\(UUID().uuidString)"
    #expect(mkfifo(path, 0o600) == 0)
    defer { unlink(path) }
    let writer = Thread { try? Data(bytes).write(to: URL(fileURLWithPath: path), options: []) }
    writer.start()
    let file = try TraceFile(path: path)
    #expect(Array(file.bytes) == bytes)
  }

  @Test func informationOfATrace() throws {
    let trace = TraceBuilder(
      metadata: """
        {"recorder":{"name":"pi-record","version":"0.1.0","arguments":["-o"],"options":{"level":"op"}},
         "machine":{"architecture":"x86_64","cpu_model":7,"memory_bytes":1.5,"cpus":[{"number":0,"capacity":1024},3]},
         "target":{"pid":42,"command":["a","b"],"started_by_recorder":true},"notes":["one"],"unknown":{"x":[]},
         "libraries":[{"index":0,"path":"/lib/x.so","load_address":"0x7f00"}]}
        """)
    trace.add(
      metadata: """
        {"notes":["two"],"engine":{"op_names":["NONE",5,"ADD"],"version":"0.9","commit":"unknown"},"recorder":{"name":"other"},
         "sites":[{"index":0,"role":"op_begin","function":"f","address":"0x10","file_offset":"zz","expected_ns":830}]}
        """)
    trace.add(metadata: "[1,2]")
    trace.decode(1000, 1, tokens: 1)
    trace.decodeEnd(1100, 1)
    var thread = pi_thread(
      head: trace.user(RecordType.thread, 1100, tid: 1), tgid: 42, reserved: 0,
      comm: (0x70, 0x79, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
    thread.reserved = 0
    trace.append(thread)
    trace.append(pi_site(head: trace.user(RecordType.site, 1100, ref: 0), hits: 17))
    trace.append(
      pi_cost(
        head: trace.user(RecordType.cost, 1100), cpu_ns: 5, resident_bytes: 6, written_bytes: 7, records: 8))
    trace.append(
      pi_clock(head: trace.user(RecordType.clock, 1100), boottime_ns: 9, realtime_ns: 10))
    trace.append(trace.user(RecordType.exit, 1100, tid: 42, ref: 256))
    trace.end(1200, reason: 2)
    let name = try path(trace.bytes)
    defer { try? FileManager.default.removeItem(atPath: name) }
    let info = try TraceInfo(TraceFile(path: name))
    #expect(info.file == name)
    #expect(info.metadata.recorderName == "other" && info.metadata.recorderVersion == "0.1.0")
    #expect(info.metadata.level == "op" && info.metadata.command == ["a", "b"] && info.metadata.pid == 42)
    #expect(info.metadata.notes == ["one", "two"])
    #expect(info.metadata.cpuModel == nil && info.metadata.memoryBytes == nil)
    #expect(info.metadata.cpus.map(\.capacity) == [1024])
    #expect(info.metadata.libraries.map(\.loadAddress) == [0x7f00])
    #expect(info.metadata.operatorNames.operators == ["NONE", "", "ADD"])
    #expect(info.metadata.engineVersion == "0.9" && info.metadata.engineCommit == nil)
    #expect(info.metadata.sites.map(\.address) == [0x10])
    #expect(info.metadata.sites.map(\.fileOffset) == [nil])
    #expect(info.metadata.hasSite("op_begin") && !info.metadata.hasSite("graph"))
    #expect(info.warnings.count == 5)
    #expect(info.damage.map(\.description) == ["the metadata is no JSON object in UTF-8"])
    #expect(info.threads.map(\.name) == ["py"] && info.threads.map(\.process) == [42])
    #expect(info.siteHits == [0: 17])
    #expect(info.cost?.writtenBytes == 7)
    #expect(info.clocks.map(\.realtimeNanoseconds) == [10])
    #expect(info.waitStatus == 256)
    #expect(info.end?.reason == .interrupted)
    #expect(!info.isComplete)
    #expect(info.range?.duration == 100)
    #expect(info.recordCounts[1] == 1 && info.recordCounts[134] == 1)
    #expect(info.chunks.metadata == 3 && info.chunks.events == 2)
  }

  @Test func traceWithoutEndIsIncomplete() throws {
    let trace = TraceBuilder()
    trace.decode(1000, tokens: 1)
    let name = try path(trace.bytes)
    defer { try? FileManager.default.removeItem(atPath: name) }
    let info = try TraceInfo(TraceFile(path: name))
    #expect(info.end == nil && !info.isComplete)
  }
}
