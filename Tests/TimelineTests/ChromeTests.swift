import Testing
import Timeline
import TraceModel

@Suite struct ChromeTests {
  @Test func slicesTimesAndTracks() throws {
    let options = TimelineOptions.with {
      $0.processName = "llama-cli -m \"x\""
      $0.origin = TraceTime(nanoseconds: 1_000_000_000)
      $0.threadNames = [ThreadID(100): "llama-cli", ThreadID(101): ""]
    }
    let timeline = try ChromeTimeline(options) { decodeOnTwoThreads(&$0) }
    let found = timeline.slices.map { "\($0.track) \($0.start)+\($0.duration) \($0.category): \($0.name)" }
    #expect(
      found == [
        "100 0+500 gap: setup",
        "100 500+500 gap: graph overhead",
        "100 1000+333 operator: attn_norm-0 RMS_NORM+MUL",
        "100 1333+67 barrier: barrier wait",
        "101 1050+350 operator: attn_norm-0 RMS_NORM+MUL",
        "100 1400+601 operator: Qcur-0 MUL_MAT",
        "101 1401+598 operator: Qcur-0 MUL_MAT",
        "101 1999+3 barrier: barrier wait",
        "100 500+2500 graph: graph CPU",
        "100 3000+1007 gap: finish",
        "100 0+4007 token step: decode 0",
        "100 4100+900 gap: sampling",
      ])
    #expect(timeline.badlyNested.isEmpty)
    #expect(timeline.trackNames == [100: "llama-cli", 101: "thread 101"])
    #expect(timeline.processName == "llama-cli -m \"x\"")
  }

  @Test func arguments() throws {
    let timeline = try ChromeTimeline { decodeOnTwoThreads(&$0) }
    let product = try #require(timeline["Qcur-0 MUL_MAT"].first?.facts)
    #expect(
      product == [
        "node": "Qcur-0", "op": "MUL_MAT", "type": "f32", "shape": "576×2", "layer": "0", "part": "attention",
        "source 0": "blk.0.attn_q.weight q4_1 576×576", "source 1": "attn_norm-0 f32 8×1",
        "source 2": "not recorded",
      ])
    let fused = try #require(timeline["attn_norm-0 RMS_NORM+MUL"].first?.facts)
    #expect(fused["source 0"] == "inp_embd f32 8×1")
    #expect(fused["source 1"] == "blk.0.attn_norm.weight f32 8×1")
    #expect(fused["source 2"] == nil)
    let graph = try #require(timeline["graph CPU"].first?.facts)
    #expect(graph == ["graph": "0", "backend": "CPU", "nodes": "3", "threads": "2", "structure": "1"])
    let step = try #require(timeline["decode 0"].first?.facts)
    #expect(
      step == [
        "phase": "decode", "tokens": "1", "position": "41", "graphs": "1", "operators": "3",
        "coverage": "1.0",
        "context": "0xffff800000000010",
      ])
  }

  @Test func whatWasNotRecordedIsLeftOut() throws {
    var bare = step(3, 10, 20, phase: .unknown)
    bare.tokenCount = nil
    bare.position = nil
    bare.coverage = nil
    bare.isComplete = false
    let timeline = try ChromeTimeline { writer in
      writer.operatorSpan(span(7, 11, 12, structure: 9))
      writer.operatorSpan(span(-1, 12, 13, isRepaired: true))
      writer.tokenStep(bare)
    }
    let arguments = try #require(timeline["token step 3"].first?.arguments)
    #expect(Set(arguments.keys) == ["phase", "graphs", "operators", "context", "end"])
    #expect(timeline["operator"].map { $0.arguments["end"] as? String } == [nil, "repaired"])
  }

  @Test(arguments: [(OperatorTitle.op, "MUL_MAT"), (.node, "Qcur-0"), (.nodeAndOp, "Qcur-0 MUL_MAT")])
  func titles(title: OperatorTitle, name: String) throws {
    let timeline = try ChromeTimeline(.with { $0.operatorTitle = title }) { writer in
      writer.structure(smallStructure)
      writer.operatorSpan(span(2, 1, 2, isRepaired: true))
    }
    #expect(timeline.slices.map(\.name) == [name])
    #expect(timeline.slices[0].arguments["end"] as? String == "repaired")
  }

  @Test func windowOfTokens() throws {
    let timeline = try ChromeTimeline(.with { $0.tokens = 1...2 }) { writer in
      writer.structure(smallStructure)
      writer.operatorSpan(span(0, 1, 2, step: -1))
      writer.gap(gap(.outsideEngine, 2, 3, step: nil))
      writer.lossGap(LossGap(cpu: 0, range: range(1, 2), lostRecords: 1))
      for index in 0..<4 {
        let base = UInt64(index + 1) * 1000
        writer.operatorSpan(span(2, base + 10, base + 20, step: Int32(index)))
        writer.graphRun(graph(base + 5, base + 30, step: index))
        writer.tokenStep(step(index, base, base + 100))
        writer.gap(gap(.sampling, base + 100, base + 200, step: index))
      }
      writer.graphRun(graph(9000, 9100, step: nil))
    }
    #expect(timeline.slices.filter { $0.category == "token step" }.map(\.name) == ["decode 1", "decode 2"])
    #expect(timeline.slices.count == 8)
    #expect(timeline.slices.allSatisfy { (2000...3200).contains($0.start) })
  }

  @Test func exactTimesOfAllSizes() throws {
    let moments: [UInt64] = [
      0, 1, 9, 10, 99, 100, 999, 1000, 1001, 9_999, 10_000, 99_999, 123_456_789, 1_000_000_000, 4_294_967_296,
      999_999_999_999, 1_234_567_890_123_457, 9_223_372_036_854_775_807,
    ]
    let timeline = try ChromeTimeline { writer in
      for (index, moment) in moments.enumerated() {
        writer.operatorSpan(span(0, moment, moment, thread: UInt32(index + 1)))
      }
    }
    let found = timeline.text.matches(of: /"ts":(\d+)\.(\d{3}),/).map { UInt64($0.output.1 + $0.output.2) }
    #expect(found == moments)
  }

  @Test func momentsBeforeTheOriginAreNegative() throws {
    let timeline = try ChromeTimeline(.with { $0.origin = TraceTime(nanoseconds: 2_000) }) {
      $0.operatorSpan(span(0, 499, 2_001))
    }
    #expect(timeline.text.contains("\"ts\":-1.501,\"dur\":1.502"))
  }

  @Test func hostileNames() throws {
    let names = [
      "\"}],\"x\":[{\"", "back\\slash\\", "line\nbreak\r\t\u{1}\u{1f}\u{7f}", "ünïcödé 🙂 \u{2028}",
      "</script>", "",
    ]
    var structure = smallStructure
    structure.nodes = names.enumerated().map { index, name in
      node(name, name, address: UInt64(index + 1) * 16, sources: [UInt64(index) * 16], type: name)
    }
    let options = TimelineOptions.with {
      $0.processName = names[0]
      $0.threadNames = [ThreadID(100): names[2]]
    }
    let timeline = try ChromeTimeline(options) { writer in
      writer.structure(structure)
      for index in names.indices { writer.operatorSpan(span(Int32(index), UInt64(index), UInt64(index) + 1)) }
      var run = graph(0, 100)
      run.backend = names[1]
      writer.graphRun(run)
    }
    #expect(timeline.slices.dropLast().map { $0.arguments["node"] as? String } == names)
    #expect(timeline.slices.dropLast().map { $0.arguments["type"] as? String } == names)
    #expect(timeline.slices.last?.name == "graph back\\slash\\")
    #expect(timeline.trackNames == [100: names[2]])
    #expect(timeline.processName == names[0])
  }

  @Test func nulBecomesAReplacementCharacter() throws {
    let timeline = try ChromeTimeline(.with { $0.processName = "a\0b" }) { _ in }
    #expect(timeline.processName == "a\u{fffd}b")
  }

  @Test func outputLargerThanTheBufferIsWhole() throws {
    // Longer names than an engine can have, so that single pieces exceed the buffer.
    var structure = smallStructure
    structure.nodes[0].name = String(repeating: "x", count: 1_500_000)
    let timeline = try ChromeTimeline { writer in
      writer.structure(structure)
      for index in 0..<20_000 {
        writer.operatorSpan(span(index == 7 ? 0 : 2, UInt64(index) * 10, UInt64(index) * 10 + 9))
      }
    }
    #expect(timeline.slices.count == 20_000)
    #expect(timeline.slices[7].arguments["node"] as? String == structure.nodes[0].name)
    #expect(timeline.slices.enumerated().allSatisfy { $0.element.start == $0.offset * 10 })
  }

  @Test func emptyRunIsValid() throws {
    #expect(try ChromeTimeline { _ in }.slices.isEmpty)
  }

  @Test func newVersionOfAStructureReplacesTheText() throws {
    let timeline = try ChromeTimeline { writer in
      writer.structure(smallStructure)
      writer.operatorSpan(span(2, 1, 2))
      var changed = smallStructure
      changed.nodes[2].name = "other"
      writer.structure(changed)
      writer.operatorSpan(span(2, 3, 4))
      // Fusions of one first node with different last ones, called as in the tables.
      writer.operatorSpan(span(0, 5, 6, last: 1))
      writer.operatorSpan(span(0, 7, 8, last: 2))
      writer.operatorSpan(span(0, 9, 10, last: 1))
    }
    #expect(
      timeline.slices.map(\.name) == [
        "Qcur-0 MUL_MAT", "other MUL_MAT", "attn_norm-0 RMS_NORM+MUL", "other RMS_NORM+MUL+MUL_MAT",
        "attn_norm-0 RMS_NORM+MUL",
      ])
  }
}
