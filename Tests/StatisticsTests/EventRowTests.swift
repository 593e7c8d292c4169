import Foundation
import Testing
import TraceModel

@testable import Statistics

@Suite struct EventRowTests {
  private let counters = [CounterColumn(index: 0, name: "cycles"), CounterColumn(index: 2, name: "step")]

  @Test func operatorsOfNodesKnownAndUnknown() {
    var rows: [[Cell]] = []
    var operators = OperatorRows(counters: []) { rows.append($0) }
    operators.structure(structure1)
    operators.operatorSpan(span(0, 100, 130, barrier: 7))
    operators.operatorSpan(span(-1, 140, 141, step: -1, thread: 101, main: false, repaired: true))
    operators.flush()
    #expect(
      OperatorRows.columns([]).map(\.name).joined(separator: ",")
        == "step,graph,tid,main,node,op,type,layer,part,start_ns,duration_ns,barrier_ns,repaired")
    #expect(rows.count == 2)
    let known = structure1.nodes[0]
    #expect(rows[0][4] == .text(known.name))
    #expect(rows[0][9...12] == [.integer(100), .integer(30), .integer(7), .text("no")])
    // Nothing of the node, no step, no wait: missing, not 0.
    #expect(
      rows[1] == [
        .missing, .integer(0), .integer(101), .text("no"), .missing, .missing, .missing, .missing, .missing,
        .integer(140), .integer(1), .missing, .text("yes"),
      ])
  }

  @Test func countersOfAnOperatorAndOfOneWithout() {
    var rows: [[Cell]] = []
    var operators = OperatorRows(counters: counters) { rows.append($0) }
    // A counter may be called like a column.
    #expect(OperatorRows.columns(counters).suffix(2).map(\.name) == ["cycles", "step_counter"])
    let first = span(0, 100, 130)
    operators.operatorSpan(first)
    operators.operatorCounters(
      CounterDelta(values: [5, 9, 8, 0, 0, 0, 0, 0], known: 0b001, mayIncludeOtherTasks: false),
      barrier: CounterDelta(), of: first)
    operators.operatorSpan(span(1, 130, 150))
    operators.flush()
    #expect(rows.map { Array($0.suffix(2)) } == [[.integer(5), .missing], [.missing, .missing]])
  }

  @Test(arguments: EventRows.Kind.allCases) func rowsHaveTheirColumns(_ kind: EventRows.Kind) {
    var rows: [[Cell]] = []
    var events = EventRows(kind, counters: counters) { rows.append($0) }
    events.tokenStep(step(0, .decode, 0, 10))
    events.graphRun(graph(0, step: 0, 1, 9))
    events.gap(gap(.setup, step: nil, 0, 1))
    events.threadSlice(
      ThreadSlice(
        thread: ThreadID(100), range: range(0, 4), activity: .runnable, cpu: nil,
        preemptor: Preemptor(thread: ThreadID(7), process: nil, name: "a\"b,\n")))
    events.lossGap(LossGap(cpu: 1, range: range(2, 3), lostRecords: 5))
    events.reading(Reading(time: time(3), value: .frequency(cpu: 1, kilohertz: 1_800_000)))
    #expect(rows.count == 1)
    #expect(rows.first?.count == EventRows.columns(kind, counters: counters).count)
  }

  @Test func newlineDelimitedJSON() throws {
    var encoder = JSONTableEncoder(isArray: false)
    var text: [UInt8] = []
    encoder.begin([Column("a", isText: true), Column("b")], into: &text)
    encoder.row([.text("x\ny"), .missing], into: &text)
    encoder.row([.text("<b>"), .integer(2)], into: &text)
    encoder.end(into: &text)
    let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
    #expect(lines == [#"{"a":"x\ny","b":null}"#, #"{"a":"<b>","b":2}"#])
  }
}

@Suite struct FoldedStackTests {
  @Test func stacksAddUpToTheSteps() {
    var stacks = FoldedStacks()
    stacks.structure(structure1)
    stacks.gap(gap(.setup, step: 0, 0, 10))
    stacks.operatorSpan(span(0, 10, 40, barrier: 5))
    stacks.operatorSpan(span(1, 45, 60))
    stacks.graphRun(graph(0, step: 0, 10, 60))
    stacks.tokenStep(step(0, .decode, 0, 64))
    stacks.gap(gap(.sampling, step: 0, 64, 70))
    let lines = stacks.lines
    // 64 of the step and 6 of sampling behind it.
    #expect(lines.reduce(0) { $0 + $1.nanoseconds } == 70)
    #expect(lines.contains(.init(frames: ["decode", "[setup]"], nanoseconds: 10)))
    #expect(lines.contains(.init(frames: ["decode", "[sampling]"], nanoseconds: 6)))
    #expect(lines.contains { $0.frames.last == "[barrier]" && $0.nanoseconds == 5 })
    #expect(lines.contains(.init(frames: ["decode", "[without a name]"], nanoseconds: 4)))
  }

  @Test func namesFromTheTargetKeepTheFormat() {
    var stacks = FoldedStacks()
    stacks.structure(
      GraphStructure(
        number: 1, nodes: [node(1, "ADD", "a;b\nc 5")], constants: [], isComplete: true))
    stacks.operatorSpan(span(0, 10, 40))
    stacks.tokenStep(step(0, .decode, 10, 40))
    #expect(stacks.text == "decode;other;ADD;a,b?c 5 30\n")
  }
}
