import Testing

@testable import Statistics

@Suite struct QuantileSketchTests {
  @Test func noSamplesHaveNoQuantile() {
    #expect(QuantileSketch().quantile(0.5) == nil)
  }

  @Test func fewSamplesAreExact() {
    var sketch = QuantileSketch()
    for value: Int64 in [4_000_003, 17, 90, 12] { sketch.add(value) }
    // Nearest rank: the second of four is the median, the fourth the 95th percentile.
    #expect(sketch.quantile(0.5) == 17)
    #expect(sketch.quantile(0.51) == 90)
    #expect(sketch.quantile(0.95) == 4_000_003)
    #expect(sketch.quantile(0) == 12)
    #expect(sketch.quantile(1) == 4_000_003)
  }

  @Test func everyBucketIsWithinTheError() {
    var value: Int64 = 0
    while value < Int64.max / 3 {
      let middle = QuantileSketch.middle(ofBucket: QuantileSketch.bucket(of: value))
      #expect(abs(Double(middle - value)) <= Double(value) * QuantileSketch.relativeError)
      value += value / 37 + 1
    }
    #expect(QuantileSketch.bucket(of: .max) < 7296)
    #expect(QuantileSketch.relativeError <= 0.005)
  }

  /// Distributions of which every quantile is known: 1…n shuffled, and powers.
  @Test(arguments: [1, 3, 1_000, 50_000_000])
  func uniformQuantilesAreWithinTheError(scale: Int64) {
    let count: Int64 = 99_991  // a prime, so that the stride below visits every value once
    var sketch = QuantileSketch()
    for i in 0..<count { sketch.add((i * 7919 % count + 1) * scale) }
    #expect(sketch.count == UInt64(count))
    for q in [0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999] {
      let exact = (q * Double(count)).rounded(.up) * Double(scale)
      let found = Double(sketch.quantile(q)!)
      #expect(abs(found - exact) <= exact * 0.005, "q \(q): \(found) for \(exact)")
    }
    #expect(sketch.quantile(0) == scale)
    #expect(sketch.quantile(1) == count * scale)
  }

  @Test func twoPointDistribution() {
    var sketch = QuantileSketch()
    for i in 0..<10_000 { sketch.add(i % 10 == 0 ? 1_000_000_000 : 100) }
    #expect(sketch.quantile(0.5) == 100)
    #expect(sketch.quantile(0.9) == 100)
    #expect(sketch.quantile(0.901).map { abs(Double($0) / 1e9 - 1) <= 0.005 } == true)
  }

  @Test func mergingIsLikeAddingAll() {
    var (all, low, high) = (QuantileSketch(), QuantileSketch(), QuantileSketch())
    for value: Int64 in 1...5_000 {
      all.add(value * 1_000)
      if value <= 300 { low.add(value * 1_000) } else { high.add(value * 1_000) }
    }
    var highFirst = high
    highFirst.merge(low)
    low.merge(high)
    for q in [0.0, 0.03, 0.5, 0.95, 1.0] {
      #expect(low.quantile(q) == all.quantile(q))
      #expect(highFirst.quantile(q) == all.quantile(q))
    }
    #expect(low.count == 5_000)
  }

  @Test func negativeAndLargestValuesAreTaken() {
    var sketch = QuantileSketch()
    for _ in 0..<2_000 {
      sketch.add(-5)
      sketch.add(.max)
    }
    #expect(sketch.quantile(0.25) == 0)
    #expect(sketch.quantile(1) == .max)
  }
}
