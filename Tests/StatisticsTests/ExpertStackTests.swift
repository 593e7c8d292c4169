import Testing

@testable import Statistics

/// Reuse distances and best caches, against caches that are played through, one for each size.
@Suite struct ExpertStackTests {
  /// Hits of a cache that throws out what was used longest ago.
  private func lruHits(_ uses: [Int], size: Int) -> [Bool] {
    var cache: [Int] = []
    return uses.map { thing in
      let place = cache.firstIndex(of: thing)
      if let place { cache.remove(at: place) } else if cache.count == size { cache.removeLast() }
      cache.insert(thing, at: 0)
      return place != nil
    }
  }

  /// Number of hits of a cache that throws out what is used again latest.
  private func optimalHits(_ uses: [Int], size: Int) -> Int {
    var nextUses: [Int] = []
    var seen: [Int: Int] = [:]
    for (now, thing) in uses.enumerated().reversed() {
      nextUses.append(seen[thing] ?? .max)
      seen[thing] = now
    }
    // What is kept, with its next use.
    var cache: [Int: Int] = [:]
    var hits = 0
    for (thing, nextUse) in zip(uses, nextUses.reversed()) {
      if cache[thing] != nil {
        hits += 1
      } else if cache.count == size, let victim = cache.max(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
        cache[victim.key] = nil
      }
      cache[thing] = nextUse
    }
    return hits
  }

  private func randomUses(_ things: Int, _ count: Int, _ generator: inout Generator) -> [Int] {
    // Some things are used far more than others, and sometimes the same come again in order, as layers do.
    var uses: [Int] = []
    while uses.count < count {
      if uses.count > 8, generator.next() % 4 == 0 {
        let length = Int(generator.next() % 6) + 1
        uses += uses.suffix(min(length + 2, uses.count)).prefix(length)
      } else {
        uses.append(min(Int(generator.next() % UInt64(things)), Int(generator.next() % UInt64(things))))
      }
    }
    return uses
  }

  /// SplitMix64: the same sequences in every run.
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9e37_79b9_7f4a_7c15
      var z = state
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      return z ^ (z >> 31)
    }
  }

  @Test func distancesByHand() {
    var stack = ReuseStack(sizes: [10, 20, 30])
    // a b c a: between the two a lie b and c. Then a again, then b behind c and a.
    #expect(stack.use(0) == nil && stack.use(1) == nil && stack.use(2) == nil)
    #expect(stack.use(0) == ReuseStack.Distance(things: 3, bytes: 60))
    #expect(stack.use(0) == ReuseStack.Distance(things: 1, bytes: 10))
    #expect(stack.use(2) == ReuseStack.Distance(things: 2, bytes: 40))
    #expect(stack.use(1) == ReuseStack.Distance(things: 3, bytes: 60))
    stack.append(sizes: [5])
    #expect(stack.use(3) == nil)
    #expect(stack.use(1) == ReuseStack.Distance(things: 2, bytes: 25))
  }

  /// a b c a b c with two places: a stays, b goes for c, a is a hit, then b is a miss that replaces a, c is a hit.
  @Test func bestCachesByHand() {
    var stack = OptimalStack(things: 3)
    #expect([0, 1, 2, 0, 1, 2].map { stack.use($0) } == [nil, nil, nil, 2, 3, 2])
    #expect(optimalHits([0, 1, 2, 0, 1, 2], size: 2) == 2)
    // LRU has none of them with two places.
    #expect(lruHits([0, 1, 2, 0, 1, 2], size: 2).allSatisfy { !$0 })
  }

  @Test(arguments: [(1, 20), (2, 60), (3, 60), (5, 150), (9, 200), (30, 400), (150, 700)])
  func everySizeIsThatOfACachePlayedThrough(things: Int, count: Int) {
    for seed in 1...(things < 10 ? 60 : 4) {
      var generator = Generator(state: UInt64(seed * 1_000 + things))
      let uses = randomUses(things, count, &generator)
      var lru = ReuseStack(sizes: Array(repeating: 3, count: things))
      var optimal = OptimalStack(things: things)
      let distances = uses.map { lru.use($0) }
      let best = uses.map { optimal.use($0) }
      for size in 1...things {
        #expect(distances.map { ($0?.things ?? .max) <= size } == lruHits(uses, size: size))
        #expect(best.count { ($0 ?? .max) <= size } == optimalHits(uses, size: size))
      }
      #expect(distances.allSatisfy { $0 == nil || $0?.bytes == Int64(($0?.things ?? 0) * 3) })
      // No cache does better than the best, use by use of the whole.
      #expect(zip(distances, best).allSatisfy { ($0 == nil) == ($1 == nil) })
    }
  }

  /// Bytes of a distance are those of the different things in between.
  @Test func distancesInBytes() {
    var generator = Generator(state: 7)
    let sizes: [Int64] = (0..<40).map { _ in Int64(generator.next() % 1_000) }
    var stack = ReuseStack(sizes: Array(sizes[..<10]))
    stack.append(sizes: Array(sizes[10...]))
    var recent: [Int] = []
    for thing in randomUses(40, 600, &generator) {
      let distance = stack.use(thing)
      let place = recent.firstIndex(of: thing)
      #expect(distance?.things == place.map { $0 + 1 })
      #expect(distance?.bytes == place.map { recent[...$0].reduce(0) { $0 + sizes[$1] } })
      if let place { recent.remove(at: place) }
      recent.insert(thing, at: 0)
    }
  }

  @Test func curve() throws {
    // Six uses, three of them first ones; two need a cache of two, one a cache of three.
    var curve = CacheCurve(hasBytes: true)
    for _ in 0..<3 { curve.add(nil, best: nil) }
    curve.add(.init(things: 3, bytes: 30), best: 2)
    curve.add(.init(things: 2, bytes: 20), best: 2)
    curve.add(.init(things: 2, bytes: 20), best: 1)
    #expect(curve.lruHitRates(upTo: 4) == [0, 0, 2.0 / 6, 0.5, 0.5])
    #expect(curve.optimalHitRates(upTo: 3) == [0, 1.0 / 6, 0.5, 0.5])
    #expect((curve.uses, curve.firstUses, curve.firstUseShare) == (6, 3, 0.5))
    #expect(curve.lruExperts(forHitRate: 0.5) == 3 && curve.optimalExperts(forHitRate: 0.5) == 2)
    #expect(curve.lruBytes(forHitRate: 0.3) == 20 && curve.lruBytes(forHitRate: 0.5) == 30)
    // Half of the uses are first ones.
    #expect(curve.lruExperts(forHitRate: 0.51) == nil && curve.lruBytes(forHitRate: 0.51) == nil)
    var sum = CacheCurve()
    #expect(sum.firstUseShare == nil && sum.lruHitRates(upTo: 3).isEmpty)
    #expect(sum.lruExperts(forHitRate: 0) == nil)
    sum.merge(curve)
    sum.merge(curve)
    #expect(sum.lruHitRates(upTo: 4) == curve.lruHitRates(upTo: 4))
    // One reuse of which the best cache is not known is enough to say nothing.
    curve.add(.init(things: 2, bytes: 20), best: nil)
    #expect(curve.optimalHitRates(upTo: 3) == nil && curve.optimalExperts(forHitRate: 0.1) == nil)
  }
}
