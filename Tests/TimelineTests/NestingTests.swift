import Testing
import TraceModel

@testable import Timeline

@Suite struct NestingTests {
  @Test func partialOverlapMovesToAnotherLane() throws {
    var counts: (Int, Int)?
    let timeline = try ChromeTimeline { writer in
      writer.operatorSpan(span(0, 10, 20))
      writer.operatorSpan(span(0, 15, 25))
      writer.operatorSpan(span(0, 25, 30))
      writer.lossGap(LossGap(cpu: 100, range: range(5, 17), lostRecords: 3))
      counts = (writer.overlappingCount, writer.refusedCount)
    }
    #expect(counts! == (1, 0))
    #expect(timeline.badlyNested.isEmpty)
    #expect(timeline.slices.map(\.start) == [10, 15, 25, 5])
    #expect(timeline.slices.map(\.duration) == [10, 10, 5, 12])
    #expect(Set(timeline.slices.map(\.track)).count == 3)
    #expect(
      Set(timeline.trackNames.values) == ["thread 100", "thread 100, overlapping", "lost on CPU 100"])
  }

  @Test func backwardSlicesAreCountedNotWritten() throws {
    let timeline = try ChromeTimeline { writer in
      writer.operatorSpan(span(0, 20, 10))
      writer.tokenStep(step(0, UInt64.max, 0))
      #expect(writer.refusedCount == 2)
    }
    #expect(timeline.slices.isEmpty)
  }

  @Test func hugeThreadNumbersKeepTheirOwnTracks() throws {
    let timeline = try ChromeTimeline { writer in
      for thread in [1_000_000_001, 1_000_000_000, 5, UInt32.max] as [UInt32] {
        writer.operatorSpan(span(0, 10, 20, thread: thread))
        writer.operatorSpan(span(0, 15, 25, thread: thread))
      }
      #expect(writer.overlappingCount == 4)
    }
    #expect(Set(timeline.slices.map(\.track)).count == 8)
    #expect(timeline.badlyNested.isEmpty)
  }

  @Test func innerSlicesComeFirst() {
    let nesting = Lane()
    for (start, end) in [
      (10, 20), (40, 50), (20, 40), (60, 100), (0, 10), (50, 50), (10, 50), (0, 100), (0, 100), (100, 100),
      (120, 130),
      (110, 115),
    ] {
      #expect(nesting.insert(start: UInt64(start), end: UInt64(end)), "\(start)..<\(end)")
    }
    for (start, end) in [(15, 25), (0, 11), (59, 61), (99, 101), (61, 101), (61, 62), (50, 50), (114, 125)] {
      #expect(!nesting.insert(start: UInt64(start), end: UInt64(end)), "\(start)..<\(end)")
    }
  }

  @Test func nothingEntersASealedSlice() {
    let nesting = Lane()
    #expect(nesting.insert(start: 20, end: 30))
    #expect(nesting.insert(start: 10, end: 50))
    nesting.seal(start: 10, end: 50)
    #expect(!nesting.insert(start: 31, end: 32))
    #expect(nesting.insert(start: 50, end: 60))
    // What is sealed is written, and must not be written before what begins with it.
    #expect(!nesting.insert(start: 10, end: 60))
    #expect(nesting.insert(start: 0, end: 60))
  }

  /// Random slices: accepted is exactly what every slice before is disjoint from or inside of.
  @Test(arguments: [UInt64](1...40)) func acceptsExactlyWhatNests(seed: UInt64) {
    var generator = SplitMix(state: seed)
    let nesting = Lane()
    var accepted: [(UInt64, UInt64)] = []
    for _ in 0..<300 {
      let start = generator.next() % 64
      let end = start + generator.next() % (seed % 2 == 0 ? 8 : 40)
      let nests = accepted.allSatisfy { a, b in end <= a || start >= b || (start <= a && end >= b) }
      #expect(nesting.insert(start: start, end: end) == nests, "\(start)..<\(end) in \(accepted)")
      if nests { accepted.append((start, end)) }
    }
    #expect(accepted.count > 4)
  }

  @Test func memoryIsBounded() {
    var nesting = Lane(capacity: 64)
    for index in 0..<10_000 as Range<UInt64> {
      #expect(nesting.insert(start: index * 10, end: index * 10 + 9))
      #expect(nesting.rememberedCount <= 64)
    }
    // The old part is closed, the new one is not.
    #expect(!nesting.insert(start: 9, end: 10))
    #expect(nesting.insert(start: 99_999, end: 100_000))
    #expect(nesting.insert(start: 99_989, end: 99_990))
    // Each around the one before.
    nesting = Lane(capacity: 64)
    for index in 0..<1_000 as Range<UInt64> {
      #expect(nesting.insert(start: 5_000 - index, end: 5_000 + index))
      #expect(nesting.rememberedCount <= 65)
    }
  }
}

/// `Nesting` by reference: an expectation cannot hold a mutating call.
private final class Lane {
  private var nesting = Nesting()
  private let capacity: Int

  init(capacity: Int = 1 << 18) { self.capacity = capacity }

  var rememberedCount: Int { nesting.rememberedCount }
  /// As the lanes do it: the usual case first.
  func insert(start: UInt64, end: UInt64) -> Bool {
    nesting.append(start: start, end: end, capacity: capacity)
      || nesting.insert(start: start, end: end, capacity: capacity)
  }
  func seal(start: UInt64, end: UInt64) { nesting.seal(start: start, end: end) }
}

private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
