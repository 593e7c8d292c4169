import Testing
import TraceModel

@testable import Statistics

@Suite struct SpeedTests {
  private let ms: UInt64 = 1_000_000

  @Test func oneRequest() throws {
    // Prefill of 30 + 10 tokens in 80 ms of work over 90 ms; four decode steps of 20 ms, 25 ms apart.
    let steps =
      [
        step(0, .warmup, 0, 500 * ms, tokens: 2),
        step(1, .prefill, 1000 * ms, 1060 * ms, tokens: 30),
        step(2, .prefill, 1070 * ms, 1090 * ms, tokens: 10),
      ] + (0..<4).map { step(3 + $0, .decode, (1100 + 25 * UInt64($0)) * ms, (1120 + 25 * UInt64($0)) * ms) }
    let speed = Speed(steps: steps.reversed())
    let request = try #require(speed.requests.first)
    #expect(speed.requests.count == 1)
    #expect(request.timeToFirstToken == 90_000_000)
    #expect(request.promptTokens == 40)
    #expect(request.decodeSteps == 4)
    #expect(speed.prefillTokensPerSecond == 500)
    #expect(speed.decodeTokensPerSecond == 50)
    #expect(speed.generatedTokensPerSecond == 40)
    #expect(speed.timePerOutputToken.count == 3)
    #expect(speed.timePerOutputToken.quantile(0.5) == 25_000_000)
    #expect(speed.decodeStep.quantile(0.95) == 20_000_000)
  }

  @Test func waitingBetweenRequestsIsNoTimePerToken() {
    let steps = [
      step(0, .prefill, 0, 10, tokens: 5), step(1, .decode, 10, 20), step(2, .decode, 30, 40),
      step(3, .prefill, 5_000, 5_030, tokens: 7), step(4, .decode, 5_030, 5_040),
      step(5, .decode, 5_050, 5_060),
    ]
    let speed = Speed(steps: steps)
    #expect(speed.requests.map(\.timeToFirstToken) == [10, 30])
    #expect(speed.requests.map(\.promptTokens) == [5, 7])
    #expect(speed.timePerOutputToken.count == 2)
    #expect(speed.timePerOutputToken.quantile(1) == 20)
  }

  @Test func contextsAreKeptApart() {
    let steps = [
      step(0, .prefill, 0, 10, tokens: 5, context: 1), step(1, .prefill, 20, 50, tokens: 5, context: 2),
      step(2, .decode, 60, 70, context: 1), step(3, .decode, 75, 80, context: 2),
      step(4, .decode, 90, 99, context: 1),
    ]
    let speed = Speed(steps: steps)
    #expect(speed.requests.map(\.context) == [1, 2])
    #expect(speed.requests.map(\.timeToFirstToken) == [10, 30])
    #expect(speed.timePerOutputToken.count == 1)
    #expect(speed.timePerOutputToken.quantile(0.5) == 30)
  }

  @Test func whatIsNotRecordedIsNotInvented() {
    let decodeOnly = Speed(steps: [
      step(0, .decode, 0, 10, tokens: nil), step(1, .decode, 20, 30, tokens: nil),
    ])
    #expect(decodeOnly.requests.map(\.timeToFirstToken) == [nil])
    #expect(decodeOnly.requests.map(\.promptTokens) == [nil])
    #expect(decodeOnly.decodeTokensPerSecond == nil)
    #expect(decodeOnly.prefillTokensPerSecond == nil)
    #expect(decodeOnly.timePerOutputToken.quantile(0.5) == 20)
    let cut = Speed(steps: [step(0, .prefill, 0, 10, tokens: 5, complete: false)])
    #expect(cut.requests.map(\.timeToFirstToken) == [nil])
    #expect(cut.prefillTokensPerSecond == nil)
    #expect(Speed(steps: []).requests.isEmpty)
  }
}
