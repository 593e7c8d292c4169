import Testing
import TraceModel

@testable import Timeline

@Suite struct PerfettoTests {
  @Test func slicesTimesAndTracks() throws {
    let options = TimelineOptions.with {
      $0.processName = "llama-cli -m \"x\""
      $0.threadNames = [ThreadID(100): "llama-cli", ThreadID(101): ""]
      $0.bootTimeOffset = 5
    }
    let timeline = try PerfettoTimeline(options) { decodeOnTwoThreads(&$0) }
    let found = timeline.slices.map {
      "\(timeline.path($0)) \($0.depth) \($0.start)+\(($0.end ?? 0) - $0.start) \($0.category): \($0.name)"
    }
    // Children come before their parents, which begin at the same time; here they are in order.
    #expect(
      found == [
        "llama-cli 0 1000000005+4007 token step: decode 0",
        "llama-cli 1 1000000005+500 gap: setup",
        "llama-cli 1 1000000505+2500 graph: graph CPU",
        "llama-cli 2 1000000505+500 gap: graph overhead",
        "llama-cli 2 1000001005+333 operator: attn_norm-0 RMS_NORM+MUL",
        "thread 101 0 1000001055+350 operator: attn_norm-0 RMS_NORM+MUL",
        "llama-cli 2 1000001338+67 barrier: barrier wait",
        "llama-cli 2 1000001405+601 operator: Qcur-0 MUL_MAT",
        "thread 101 0 1000001406+598 operator: Qcur-0 MUL_MAT",
        "thread 101 0 1000002004+3 barrier: barrier wait",
        "llama-cli 1 1000003005+1007 gap: finish",
        "llama-cli 0 1000004105+900 gap: sampling",
      ])
    #expect(timeline.processName == "llama-cli -m \"x\"")
    #expect(timeline.tracks.values.compactMap(\.thread).sorted() == [100, 101])
  }

  @Test func arguments() throws {
    let timeline = try PerfettoTimeline { decodeOnTwoThreads(&$0) }
    #expect(
      timeline["Qcur-0 MUL_MAT"].first?.facts == [
        "node": "Qcur-0", "op": "MUL_MAT", "type": "f32", "shape": "576×2", "layer": "0", "part": "attention",
        "source 0": "blk.0.attn_q.weight q4_1 576×576", "source 1": "attn_norm-0 f32 8×1",
        "source 2": "not recorded",
      ])
    #expect(
      timeline["decode 0"].first?.facts == [
        "phase": "decode", "tokens": "1", "position": "41", "graphs": "1", "operators": "3",
        "coverage": "1.0", "context": "0xffff800000000010",
      ])
  }

  @Test func arrowsGoFromTheStepToEachOfItsGraphs() throws {
    let timeline = try PerfettoTimeline { twoGraphs(&$0) }
    #expect(timeline["decode 0"].map(\.flowsOut) == [[8, 9]])
    #expect(timeline["graph CPU"].map(\.flowsIn) == [[8], [9], []])
  }

  /// Both formats show the same.
  @Test func sameAsChrome() throws {
    let options = TimelineOptions.with { $0.counters = [CounterColumn(index: 2, name: "cycles")] }
    func run(_ writer: inout TimelineWriter) {
      decodeOnTwoThreads(&writer)
      twoGraphs(&writer, from: 2_000_000_000, step: 1)
      writer.threadSlice(
        ThreadSlice(thread: ThreadID(100), range: range(7, 9), activity: .blocked, cpu: nil))
      writer.lossGap(LossGap(cpu: 3, range: range(1, 2), lostRecords: 5))
    }
    let chrome = try ChromeTimeline(options, run)
    let perfetto = try PerfettoTimeline(options, run)
    let a = chrome.slices.map { "\($0.start) \($0.duration) \($0.category) \($0.name) \($0.facts.count)" }
    let b = perfetto.slices.map {
      "\($0.start) \(($0.end ?? 0) - $0.start) \($0.category) \($0.name) \($0.facts.count)"
    }
    #expect(a.sorted() == b.sorted())
    #expect(chrome.points.map(\.value) == perfetto.points.map(\.value))
    #expect(chrome.points.map(\.name) == perfetto.points.map(\.name))
  }

  @Test func hostileNames() throws {
    let names = [
      "\"}],\"x\":[{\"", "line\nbreak\u{1}", "ünïcödé 🙂", "a\0b", String(repeating: "x", count: 700_000),
    ]
    var structure = smallStructure
    structure.nodes = names.enumerated().map { index, name in
      node(name, name, address: UInt64(index + 1) * 16, sources: [UInt64(index) * 16], type: name)
    }
    let timeline = try PerfettoTimeline(.with { $0.threadNames = [ThreadID(100): names[1]] }) { writer in
      writer.structure(structure)
      for index in names.indices { writer.operatorSpan(span(Int32(index), UInt64(index), UInt64(index) + 1)) }
    }
    #expect(timeline.slices.map { $0.facts["node"] } == names)
    #expect(timeline.tracks.values.contains { $0.name == names[1] })
  }

  @Test func extremeTimesAndNumbers() throws {
    let moments: [UInt64] = [0, 1, 127, 128, 1 << 14, 1 << 32, 1 << 63, .max]
    let timeline = try PerfettoTimeline { writer in
      for (index, moment) in moments.enumerated() {
        writer.operatorSpan(
          span(0, moment, moment, thread: index % 2 == 0 ? UInt32(index) : .max - UInt32(index)))
      }
    }
    #expect(timeline.slices.map(\.start) == moments)
  }

  /// Slices of a thread that nothing encloses are written long before the end.
  @Test func workersDoNotWait() throws {
    var before = 0
    let timeline = try PerfettoTimeline { writer in
      writer.structure(smallStructure)
      for index in 0..<20_000 as Range<UInt64> {
        writer.operatorSpan(span(2, index * 10, index * 10 + 9, barrier: index * 10 + 10, isMain: false))
      }
      before = writer.byteCount
    }
    #expect(before > timeline.byteCount / 2)
    #expect(timeline.slices.count == 40_000 && timeline.slices.allSatisfy { $0.depth == 0 })
  }

  /// A main thread in no token step: at some point what it did is written, and what comes around it later must not
  /// be taken for something inside.
  @Test func whatWasWrittenEarlyIsNeverEntered() throws {
    let timeline = try PerfettoTimeline { writer in
      writer.structure(smallStructure)
      let count: UInt64 = 300_000
      for index in 0..<count { writer.operatorSpan(span(2, 1000 + index * 10, 1009 + index * 10, step: -1)) }
      writer.graphRun(graph(1000, 1000 + count * 10, step: nil))
      #expect(writer.overlappingCount + writer.refusedCount == 0 || writer.overlappingCount == 1)
    }
    let graphs = timeline["graph CPU"]
    #expect(graphs.count == 1 && graphs[0].depth == 0)
  }

  private func twoGraphs(_ writer: inout TimelineWriter, from start: UInt64 = 0, step number: Int = 0) {
    writer.graphRun(graph(start, start + 10, step: number, index: 7))
    writer.graphRun(graph(start + 10, start + 20, step: number, index: 8))
    writer.tokenStep(step(number, start, start + 30))
    writer.graphRun(graph(start + 40, start + 50, step: nil, index: 9))
  }
}
