/// SplitMix64: small, and the same everywhere, so that an interval can be had again.
struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

/// Mean step of one side: of each run and stratum the steps without the slowest, by their whole time. The same steps count in every column, so that the columns add up to the total as they do in each step.
struct SideMean: Sendable {
  private struct Stratum: Sendable {
    var weight: Double
    /// In order of time of occurrence: what the blocks of the bootstrap are cut from.
    var steps: [AlignedStep]
    /// Places in `steps`, fastest first.
    var order: [Int]
  }
  private var runs: [[Stratum]]
  private let width: Int
  private let leftOut: Double

  /// - Parameter leftOut: share of the steps, the slowest, that do not count, 0..<1.
  init(_ runs: [[AlignedStep]], weights: [Double], width: Int, leftOut: Double) {
    self.width = width
    self.leftOut = leftOut
    self.runs = runs.map { steps in
      weights.enumerated().map { number, weight in
        let own = steps.filter { $0.stratum == number }
        let order = own.indices.sorted { (own[$0].total, $0) < (own[$1].total, $1) }
        return Stratum(weight: weight, steps: own, order: order)
      }
    }
  }

  /// Times by column, nanoseconds.
  func mean() -> [Double] {
    var result = [Double](repeating: 0, count: width)
    for run in runs {
      for stratum in run {
        add(stratum, counts: Array(repeating: 1, count: stratum.steps.count), to: &result)
      }
    }
    return result
  }

  /// The mean of steps drawn again: runs where there are several, in them blocks of neighbouring steps, since what
  /// disturbs one step often disturbs the next.
  func resampled(_ generator: inout SeededGenerator) -> [Double] {
    var result = [Double](repeating: 0, count: width)
    for index in runs.indices {
      let run = runs.count > 1 ? runs[Int.random(in: runs.indices, using: &generator)] : runs[index]
      for stratum in run {
        let count = stratum.steps.count
        let block = Self.block(count)
        var counts = [Int](repeating: 0, count: count)
        var drawn = 0
        while drawn < count {
          let start = Int.random(in: 0..<count, using: &generator)
          for offset in 0..<min(block, count - drawn) { counts[(start + offset) % count] += 1 }
          drawn += block
        }
        add(stratum, counts: counts, to: &result)
      }
    }
    return result
  }

  /// The cube root of the number of steps.
  private static func block(_ count: Int) -> Int {
    var size = 1
    while (size + 1) * (size + 1) * (size + 1) <= count { size += 1 }
    return size
  }

  private func add(_ stratum: Stratum, counts: [Int], to result: inout [Double]) {
    let count = stratum.steps.count
    let counted = count - Int(leftOut * Double(count))
    let scale = stratum.weight / Double(counted) / Double(runs.count)
    var passed = 0
    for place in stratum.order where counts[place] > 0 {
      let kept = min(counts[place], counted - passed)
      guard kept > 0 else { break }
      passed += kept
      let factor = scale * Double(kept)
      stratum.steps[place].times.withUnsafeBufferPointer { times in
        result.withUnsafeMutableBufferPointer { sums in
          for column in 0..<times.count { sums[column] += factor * times[column] }
        }
      }
    }
  }
}

/// Where a change lies with 95 % confidence.
public struct Interval: Sendable, Equatable {
  public var low: Double
  public var high: Double

  /// From the values of the replicates.
  init(_ replicates: [Double]) {
    let sorted = replicates.sorted()
    let cut = Int(0.025 * Double(sorted.count))
    low = sorted[cut]
    high = sorted[sorted.count - 1 - cut]
  }

  /// Whether it leaves out 0.
  public var isClear: Bool { low > 0 || high < 0 }
}
