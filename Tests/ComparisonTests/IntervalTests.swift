import Testing

@testable import Comparison

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

  /// Runs of one speed each, spread evenly over 8 %, few of them: 95 % of the intervals of 40 pairs hold 0, at least 33 with a
  /// probability of 99.7 %.
  @Test(arguments: [2, 3, 5]) func fewRunsAreNotTrustedMuch(runs: Int) {
    var random = Chance(state: 4711)
    var held = 0
    for _ in 0..<40 {
      let sides = (0..<2).map { _ in
        (0..<runs).map { _ -> ComparedRun in
          var run = MadeRun(nodes: base, steps: 40, noise: 100, seed: random.next())
          run.nodes[6].time += Int64(random.next() % 1100)
          return run.compared()
        }
      }
      if decode(RunComparison(sides[0], sides[1]))?.relativeInterval?.isClear == false { held += 1 }
    }
    #expect(held >= 33, "\(held) of 40")
  }

  /// One run of seven had to share its CPUs from begin to end, on each side: the 5 % that one operator costs are found. (Of
  /// five, one in seventeen replicates would have it thrice, and so in the faster half.)
  @Test func aDisturbedRunHidesNothing() throws {
    let sides = [Int64(0), 680].map { more in
      (0..<7).map { number -> ComparedRun in
        var run = MadeRun(nodes: base, steps: 100, noise: 100, seed: UInt64(number) + UInt64(more))
        run.nodes[3].time += more
        if number == 2 { for node in run.nodes.indices { run.nodes[node].time += run.nodes[node].time / 2 } }
        return run.compared()
      }
    }
    let phase = try #require(decode(RunComparison(sides[0], sides[1])))
    let interval = try #require(phase.relativeInterval)
    #expect(interval.low > 0.03 && interval.high < 0.07, "\(interval)")
    #expect(phase.culprits.first?.name == "MUL_MAT in ffn_out of layer 0")
  }

  @Test func wideningGoesAwayWithMoreRuns() {
    #expect(Interval.widening(runs: (1, 5)) == 1)
    // Three a side: 1.5 of the variance, t of 4 degrees of freedom.
    #expect(abs(Interval.widening(runs: (3, 3)) - 1.5.squareRoot() * 2.776 / 1.96) < 1e-9)
    #expect(Interval.widening(runs: (5, 5)) < Interval.widening(runs: (3, 3)))
    #expect(Interval.widening(runs: (200, 200)) < 1.01)
  }
}
