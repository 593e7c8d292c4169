import TraceModel
import Testing

@testable import TraceImport

@Suite struct SchedulerTests {
  private func text(_ slice: ThreadSlice) -> String {
    var text =
      "\(slice.thread.rawValue) \(slice.activity.rawValue) \(slice.range.start.nanoseconds)-"
      + "\(slice.range.end.nanoseconds)"
    if slice.activity == .running { text += " cpu \(slice.cpu ?? -1)" }
    if slice.isMigration { text += " migrated" }
    if let inside = slice.inside { text += " in \(inside.rawValue)" }
    if let step = slice.step { text += " of step \(step)" }
    if let preemptor = slice.preemptor {
      text += " by \(preemptor.name) \(preemptor.thread.rawValue)/\(preemptor.process.map(Int.init) ?? -1)"
    }
    if let successor = slice.successor { text += " then \(successor.thread.rawValue)" }
    if let cpu = slice.nextCPU { text += " on \(cpu)" }
    return text
  }

  @Test func runningRunnableBlocked() throws {
    let trace = TraceBuilder()
    trace.structure(900, number: 7, nodes: smallGraph, constants: smallConstants)
    trace.decode(1000, tokens: 1)
    trace.graph(1010, structure: 7, nodes: 4, threads: 2)
    trace.op(1020, 1, 0x1000)
    trace.switchOut(1030, 1, next: 77, tgid: 70, comm: Array("cc1plus".utf8))
    trace.switchIn(1050, 1)
    trace.barrier(1060, 1)
    trace.switchOut(1062, 1, next: 78, tgid: .max, comm: [0xff, 0x22])
    trace.cpu = 5
    trace.switchIn(1064, 1)
    trace.op(1070, 1, 0x12a0)
    trace.barrier(1075, 1, final: true)
    trace.graphEnd(1080)
    trace.decodeEnd(1090)
    // Sleeps, is woken, and waits for the CPU.
    trace.switchOut(1100, 1, state: 1, next: 0)
    trace.wakeup(1200, 1)
    trace.wakeup(1205, 1)
    trace.switchIn(1210, 1)
    trace.switchOut(1220, 1, state: 3)
    trace.end(1300)
    let run = try trace.run()
    #expect(
      run.slices.map(text) == [
        "1 running 900-1030 cpu 1 then 77",
        "1 runnable 1030-1050 in operator of step 0 by cc1plus 77/70 on 1",
        "1 running 1050-1062 cpu 1 in operator of step 0 then 78",
        "1 runnable 1062-1064 in barrier of step 0 by \u{fffd}\" 78/-1 on 5",
        "1 running 1064-1100 cpu 5 migrated in barrier of step 0",
        "1 blocked 1100-1200",
        "1 runnable 1200-1210 on 5",
        "1 running 1210-1220 cpu 5",
      ])
    #expect(run.statistics.oddities.occurred.isEmpty)
  }

  @Test func whatGoesOnAtTheEndGoesOnUntilThen() throws {
    let trace = TraceBuilder()
    trace.wakeup(1000, 2)
    trace.switchIn(1010, 2)
    trace.switchOut(1020, 2, state: 2)
    trace.switchIn(1015, 3)
    trace.decode(2000, 1, tokens: 1)
    trace.decodeEnd(3000, 1)
    let run = try trace.run()
    #expect(
      run.slices.map(text) == [
        "2 runnable 1000-1010 on 2", "2 running 1010-1020 cpu 2", "2 blocked 1020-3000",
        "3 running 1015-3000 cpu 3",
        "1 running 2000-3000 cpu 1",
      ])
  }

  @Test func missingSwitchesLeaveHolesAndNoGuesses() throws {
    let trace = TraceBuilder()
    trace.switchIn(1000, 1)
    trace.switchIn(1100, 1)
    trace.switchOut(1200, 1, state: 1)
    trace.switchOut(1300, 1, state: 1)
    trace.decode(1400, 1, tokens: 1)
    trace.switchOut(1500, 1, state: 255)
    trace.switchIn(1600, 1)
    trace.switchOut(1700, 1, state: 3)
    let run = try trace.run()
    #expect(
      run.slices.map(text) == [
        "1 running 1100-1200 cpu 1", "1 running 1400-1500 cpu 1", "1 running 1600-1700 cpu 1 of step 0",
      ])
    #expect(run.statistics[.missingSwitch] == 3)
  }

  @Test func withoutEventsThereIsNothing() throws {
    let trace = TraceBuilder()
    trace.decode(1000, 1, tokens: 1)
    trace.decodeEnd(1100, 1)
    #expect(try trace.run().slices.isEmpty)
  }
}
