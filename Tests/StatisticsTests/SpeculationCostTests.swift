import Testing
import TraceModel

@testable import Statistics

/// Acceptance by place, and what rounds cost against plain decoding.
@Suite struct SpeculationCostTests {
  private func round(
    _ index: Int, _ drafted: Int?, _ accepted: Int?, start: UInt64 = 0, verify: Int? = nil, draft: Int64 = 40,
    sequences: Int = 1
  ) -> SpeculativeRound {
    SpeculativeRound(
      index: index, thread: ThreadID(100), range: range(start, start + 100), draftTime: draft, draftCalls: 1,
      draftSteps: 3, verifyStep: verify, drafted: drafted, accepted: accepted, sequences: sequences)
  }

  @Test func acceptanceByPlace() {
    var statistics = SpeculationStatistics()
    // Accepted up to: 2 of 3, none of 3, all of 1, nothing drafted; one of two sequences, one unknown.
    statistics.speculativeRound(round(0, 3, 2))
    statistics.speculativeRound(round(1, 3, 0))
    statistics.speculativeRound(round(2, 1, 1))
    statistics.speculativeRound(round(3, 0, 0))
    statistics.speculativeRound(round(4, 6, 5, sequences: 2))
    statistics.speculativeRound(round(5, 4, nil))
    let positions = statistics.positions
    #expect(positions.map(\.place) == [1, 2, 3])
    #expect(positions.map(\.drafted) == [3, 2, 2])
    #expect(positions.map(\.accepted) == [2, 1, 0])
    // The second token was reached once, where the first was accepted and there was a second.
    #expect(positions.map(\.reached) == [3, 1, 1])
    #expect(positions.map(\.rate) == [2.0 / 3, 0.5, 0])
    #expect(positions.map(\.rateOnceReached) == [2.0 / 3, 1, 0])
    #expect((statistics.sharedRounds, statistics.unknownRounds) == (1, 1))
    // Eight accepted in rounds that gave six sequences one token more each.
    #expect(statistics.tokensPerRound == 1 + 8.0 / 6)
    let cells = AcceptanceTable(statistics).rows.map(AcceptanceTable.cells)
    #expect(cells[1] == [.integer(2), .integer(2), .integer(1), .integer(1), .decimal(0.5), .decimal(1)])
  }

  @Test func absurdLengthsAreBounded() {
    var statistics = SpeculationStatistics()
    statistics.speculativeRound(round(0, .max, .max))
    statistics.speculativeRound(round(1, .max, 1))
    statistics.speculativeRound(round(2, -5, -7))
    #expect(statistics.positions.count == SpeculationStatistics.longestDraft)
    #expect(statistics.positions.map(\.accepted).first == 2)
    #expect(SpeculationStatistics().positions.isEmpty)
  }

  /// Ten rounds of 1,000: drafting 40 (a step of 30 inside), verifying `verify`, feeding 20; then plain steps.
  private func run(
    verify: UInt64, plain: UInt64, plainSteps: Int, accepted: Int = 2, drafted: Int = 3
  ) -> SpeculationCost {
    var rounds: [SpeculativeRound] = []
    var steps = [step(0, .prefill, 0, 900, tokens: 14)]
    for number in 0..<10 {
      let start = UInt64(number + 1) * 1_000
      steps.append(step(steps.count, .draft, start + 5, start + 35, context: 0xd0))
      // A little longer each time, or nothing could be said about how far the mean is off.
      let end = start + 50 + verify + UInt64(number % 2)
      steps.append(step(steps.count, .verify, start + 50, end, tokens: drafted + 1))
      rounds.append(
        round(number, drafted, accepted - number % 2 * 2 + 1, start: start, verify: steps.count - 1))
      steps.append(step(steps.count, .draft, end, end + 20, tokens: drafted, context: 0xd0))
    }
    for number in 0..<plainSteps {
      let start = UInt64(20_000 + number * 1_000)
      steps.append(step(steps.count, .decode, start, start + plain + UInt64(number % 2)))
      // Fed behind plain steps, too: that belongs to no round.
      steps.append(step(steps.count, .draft, start + 800, start + 810, context: 0xd0))
    }
    return SpeculationCost(rounds, steps: steps.shuffled())
  }

  @Test func partsOfARound() throws {
    let cost = run(verify: 200, plain: 190, plainSteps: 20)
    #expect(cost.rounds.count == 10 && cost.rounds.map(\.draft) == Array(repeating: 40, count: 10))
    #expect(cost.rounds.map(\.feed) == Array(repeating: 20, count: 10))
    #expect(cost.rounds.map(\.verify) == [200, 201, 200, 201, 200, 201, 200, 201, 200, 201])
    #expect(cost.round.value == 260.5 && cost.verify.value == 200.5)
    #expect(cost.plain.count == 20 && cost.plain.value == 190.5)
    // 1 + 3 and 1 + 1 in turns: 3 tokens a round.
    #expect(cost.tokens.value == 3)
    let speedUp = try #require(cost.speedUp)
    #expect(abs(speedUp.value - 3 * 190.5 / 260.5) < 1e-9)
    // Of ten rounds with 4 and 2 tokens: standard error 1/3, relative 1/9; the others hardly vary.
    #expect(abs(speedUp.uncertainty - 2 * speedUp.value / 9) < 0.01)
    #expect(speedUp.pays == true)
    // As fast when 1 + a * 3 tokens times 190.5 are 260.5.
    #expect(cost.breakEvenAcceptance.map { abs($0 - (260.5 / 190.5 - 1) / 3) < 1e-9 } == true)
  }

  @Test func verdicts() {
    #expect(run(verify: 900, plain: 190, plainSteps: 20).speedUp?.pays == false)
    #expect(run(verify: 540, plain: 200, plainSteps: 20).speedUp.map { $0.pays == nil } == true)
    #expect(run(verify: 900, plain: 190, plainSteps: 20).breakEvenAcceptance.map { $0 > 1 } == true)
    // Cheaper than a plain step: pays with nothing accepted.
    #expect(run(verify: 10, plain: 190, plainSteps: 20).breakEvenAcceptance == 0)
  }

  /// Without plain steps there is a bound and no guess.
  @Test func cannotTellWithoutPlainSteps() {
    let cost = run(verify: 200, plain: 190, plainSteps: SpeculationCost.leastPlainSteps - 1)
    #expect(cost.speedUp == nil && cost.breakEvenAcceptance == nil)
    #expect(cost.mostSpeedUp.map { abs($0 - 3 * 200.5 / 260.5) < 1e-9 } == true)
    let nothing = SpeculationCost([], steps: [step(0, .decode, 0, 10)])
    #expect(nothing.speedUp == nil && nothing.mostSpeedUp == nil && nothing.plain.count == 0)
  }

  /// A round that drafted nothing verifies one token: a plain step.
  @Test func roundsWithoutDraftArePlainSteps() {
    var rounds: [SpeculativeRound] = []
    var steps: [TokenStep] = []
    for number in 0..<12 {
      let start = UInt64(number) * 1_000
      let hasDraft = number % 4 == 0
      steps.append(
        step(
          number, .verify, start + 50, start + (hasDraft ? 300 : 150) + UInt64(number % 3),
          tokens: hasDraft ? 3 : 1))
      rounds.append(
        round(number, hasDraft ? 2 : 0, hasDraft ? 1 : 0, start: start, verify: number, draft: 30))
    }
    let cost = SpeculationCost(rounds, steps: steps)
    #expect(cost.plain.count == 9 && cost.plain.value > 99 && cost.plain.value < 103)
    #expect(cost.rounds.count == 12 && abs(cost.drafted.value - 0.5) < 1e-9 && cost.speedUp != nil)
  }

  /// Rounds for several sequences, without an end, or not known in full have no cost of their own.
  @Test func roundsThatCannotBeCounted() {
    let steps = [
      step(0, .verify, 10, 20, tokens: 8), step(1, .verify, 110, 120, tokens: 4, complete: false),
      step(2, .verify, 210, 220, tokens: 4),
    ]
    let rounds = [
      round(0, 6, 5, start: 0, verify: 0, sequences: 2), round(1, 3, 1, start: 100, verify: 1),
      round(2, 3, nil, start: 200, verify: 2), round(3, 3, 1, start: 300, verify: 77),
    ]
    let cost = SpeculationCost(rounds, steps: steps)
    #expect(cost.rounds.isEmpty && cost.round.count == 0)
    var statistics = SpeculationStatistics()
    for round in rounds { statistics.speculativeRound(round) }
    let cells = RoundTable(statistics, cost).rows.map(RoundTable.cells)
    #expect(cells.count == 4 && cells.allSatisfy { $0.count == RoundTable.columns.count })
    #expect(cells[0][9] == .missing && cells[0][10] == .missing)
  }
}
