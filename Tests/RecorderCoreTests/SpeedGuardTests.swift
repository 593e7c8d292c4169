import Testing

@testable import RecorderCore

/// `--qos-min-tps` against a decoding speed that is written down here, step by step.
@Suite struct SpeedGuardTests {
  private struct Engine {
    var speed: SpeedGuard
    var now: UInt64 = 1_000_000_000
    var actions: [(at: Double, action: SpeedGuard.Action)] = []

    /// Decodes for `seconds` at `rate` tokens per second.
    mutating func decode(seconds: Double, rate: Double) {
      let end = now + UInt64(seconds * 1e9)
      let step = UInt64(1e9 / rate)
      while now < end {
        now += step
        speed.step(begin: now - step, end: now, tokens: 1)
        if let action = speed.decide(now: now) { actions.append((Double(now) / 1e9, action)) }
      }
    }

    mutating func rest(seconds: Double) {
      now += UInt64(seconds * 1e9)
      if let action = speed.decide(now: now) { actions.append((Double(now) / 1e9, action)) }
    }
  }

  @Test func fastEnoughChangesNothing() {
    var engine = Engine(speed: SpeedGuard(limit: 10))
    engine.decode(seconds: 30, rate: 11)
    #expect(engine.actions.isEmpty)
    #expect(abs(engine.speed.tokensPerSecond - 11) < 0.1)
  }

  @Test func slowDownDropsAndRecoveryResumesAfterAWhile() {
    var engine = Engine(speed: SpeedGuard(limit: 10))
    engine.decode(seconds: 5, rate: 20)
    engine.decode(seconds: 5, rate: 6)
    #expect(engine.actions.map(\.action) == [.drop])
    let recovered = Double(engine.now) / 1e9
    engine.decode(seconds: 8, rate: 20)
    #expect(engine.actions.map(\.action) == [.drop, .resume])
    // Not at once: three seconds of good speed first, and the window must have forgotten the bad one.
    #expect(engine.actions[1].at >= recovered + 3)
    #expect(engine.actions[1].at < recovered + 5)
  }

  /// A speed between the limit and the recovery threshold is a reason neither to drop nor to resume.
  @Test func justAboveTheLimitDoesNotResume() {
    var engine = Engine(speed: SpeedGuard(limit: 10))
    engine.decode(seconds: 3, rate: 6)
    engine.decode(seconds: 30, rate: 10.5)
    #expect(engine.actions.map(\.action) == [.drop])
  }

  /// The probes themselves may be what slows the engine down: then they come back less and less often.
  @Test func returnsThatDoNotLastBecomeRare() {
    var engine = Engine(speed: SpeedGuard(limit: 10))
    engine.decode(seconds: 2, rate: 9)
    for _ in 0..<4 {
      let count = engine.actions.count
      while engine.actions.count == count { engine.decode(seconds: 0.5, rate: 12) }
      while engine.actions.count == count + 1 { engine.decode(seconds: 0.5, rate: 9) }
    }
    let times = engine.actions.map(\.at)
    let waits = stride(from: 1, to: times.count - 1, by: 2).map { times[$0] - times[$0 - 1] }
    #expect(waits.count == 4)
    // Doubled each time, and what it takes to see that the speed is good.
    for (wait, least) in zip(waits, [3.0, 6, 12, 24]) {
      #expect(wait >= least)
      #expect(wait < least + 3)
    }
  }

  @Test func silenceIsNoSlowness() {
    var engine = Engine(speed: SpeedGuard(limit: 10))
    engine.decode(seconds: 2, rate: 20)
    for _ in 0..<100 { engine.rest(seconds: 0.1) }
    #expect(engine.actions.isEmpty)
    // Two slow steps may be an accident.
    engine.decode(seconds: 0.3, rate: 5)
    #expect(engine.actions.isEmpty)
  }
}
