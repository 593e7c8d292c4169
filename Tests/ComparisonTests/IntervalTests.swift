import Comparison
import Testing

@Suite struct IntervalTests {
  @Test func theSameSeedGivesTheSameInterval() {
    let (a, b) = (MadeRun(nodes: base, noise: 900), MadeRun(nodes: base, noise: 900, seed: 5))
    let once = decode(RunComparison([a.compared()], [b.compared()]))?.relativeInterval
    #expect(once != nil)
    #expect(once == decode(RunComparison([a.compared()], [b.compared()]))?.relativeInterval)
  }

  /// Of 60 pairs of the same distribution, 95 % of the intervals hold 0: at least 50 with a probability of 99.9 %.
  @Test func intervalsHoldTheTruth() {
    var held = 0
    for seed in 0..<60 {
      let a = MadeRun(nodes: base, steps: 100, noise: 2000, seed: UInt64(1000 + 2 * seed))
      let b = MadeRun(nodes: base, steps: 100, noise: 2000, seed: UInt64(1001 + 2 * seed))
      if decode(RunComparison([a.compared()], [b.compared()]))?.relativeInterval?.isClear == false {
        held += 1
      }
    }
    #expect(held >= 50)
  }

  /// Runs that differ among themselves: groups of five, whose own speeds spread over 6 %.
  @Test func groupsOfUnequalRunsGiveNoAlarm() {
    var random = Chance(state: 77)
    for _ in 0..<10 {
      let sides = (0..<2).map { _ in
        (0..<5).map { _ -> ComparedRun in
          var run = MadeRun(nodes: base, steps: 60, noise: 200, seed: random.next())
          let more = Int64(random.next() % 850)
          run.nodes[6].time += more
          return run.compared()
        }
      }
      let comparison = RunComparison(sides[0], sides[1])
      #expect(decode(comparison)?.isSlower(byMoreThan: 0.05) == false)
      #expect(decode(comparison)?.runs.first == 5)
    }
  }
}
