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

/// Mean step of one side: of each stratum the steps of all its runs without the slowest, by their whole time. A run that was
/// disturbed from begin to end then counts as little as a disturbed step. The same steps count in every column, so that the
/// columns add up to the total as they do in each step.
struct SideMean: Sendable {
  private struct Stratum: Sendable {
    var weight: Double
    /// Run by run, each in order of time: what the blocks of the bootstrap are cut from.
    var steps: [AlignedStep] = []
    /// Where each run's are in `steps`.
    var runs: [Range<Int>] = []
    /// Places in `steps`, fastest first.
    var order: [Int] = []
  }
  private var strata: [Stratum]
  private let runCount: Int
  private let width: Int
  private let leftOut: Double

  /// - Parameters:
  ///   - runs: each with steps in every stratum.
  ///   - leftOut: share of the steps, the slowest, that do not count, 0..<1.
  init(_ runs: [[AlignedStep]], weights: [Double], width: Int, leftOut: Double) {
    self.width = width
    self.leftOut = leftOut
    runCount = runs.count
    strata = weights.enumerated().map { number, weight in
      var result = Stratum(weight: weight)
      for run in runs {
        let begin = result.steps.count
        result.steps += run.filter { $0.stratum == number }
        result.runs.append(begin..<result.steps.count)
      }
      let steps = result.steps
      result.order = steps.indices.sorted { (steps[$0].total, $0) < (steps[$1].total, $1) }
      return result
    }
  }

  /// Times by column, nanoseconds.
  func mean() -> [Double] {
    var result = [Double](repeating: 0, count: width)
    for stratum in strata {
      add(stratum, counts: Array(repeating: 1, count: stratum.steps.count), to: &result)
    }
    return result
  }

  /// The mean of steps drawn again: runs where there are several, in them blocks of neighbouring steps, since what
  /// disturbs one step often disturbs the next.
  func resampled(_ generator: inout SeededGenerator) -> [Double] {
    var result = [Double](repeating: 0, count: width)
    let drawn =
      runCount > 1 ? (0..<runCount).map { _ in Int.random(in: 0..<runCount, using: &generator) } : [0]
    for stratum in strata {
      var counts = [Int](repeating: 0, count: stratum.steps.count)
      for run in drawn { Self.draw(stratum.runs[run], into: &counts, &generator) }
      add(stratum, counts: counts, to: &result)
    }
    return result
  }

  /// As many steps of a run as it has, in blocks of the cube root of their number.
  private static func draw(_ run: Range<Int>, into counts: inout [Int], _ generator: inout SeededGenerator) {
    var block = 1
    while (block + 1) * (block + 1) * (block + 1) <= run.count { block += 1 }
    var drawn = 0
    while drawn < run.count {
      let start = Int.random(in: 0..<run.count, using: &generator)
      for offset in 0..<min(block, run.count - drawn) {
        counts[run.lowerBound + (start + offset) % run.count] += 1
      }
      drawn += block
    }
  }

  private func add(_ stratum: Stratum, counts: [Int], to result: inout [Double]) {
    let count = counts.reduce(0, +)
    let counted = count - Int(leftOut * Double(count))
    let scale = stratum.weight / Double(counted)
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
  ///
  /// - Parameters:
  ///   - estimate: the change itself.
  ///   - widening: of the distances from it.
  init(_ replicates: [Double], around estimate: Double = 0, widening: Double = 1) {
    let sorted = replicates.sorted()
    let cut = Int(0.025 * Double(sorted.count))
    low = estimate + (sorted[cut] - estimate) * widening
    high = estimate + (sorted[sorted.count - 1 - cut] - estimate) * widening
  }

  /// Whether it leaves out 0.
  public var isClear: Bool { low > 0 || high < 0 }

  /// What a bootstrap over few runs lacks: it draws from n runs as if their spread were that of all runs, of which it is
  /// (n - 1) / n, and as if it were known, for which Student's t stands (T. Hesterberg, "What Teachers Should Know about the
  /// Bootstrap", arXiv 1411.5279: the expanded percentile interval). 1 where a side has one run: then only steps are drawn.
  static func widening(runs: (first: Int, second: Int)) -> Double {
    guard min(runs.first, runs.second) > 1 else { return 1 }
    // The variance of both means, and what the bootstrap takes it for, of sides that spread alike.
    let (a, b) = (Double(runs.first), Double(runs.second))
    let spread = (1 / a + 1 / b) / ((a - 1) / (a * a) + (b - 1) / (b * b))
    return spread.squareRoot() * student(runs.first + runs.second - 2) / 1.96
  }

  /// The quantile 0.975 of Student's t.
  private static func student(_ freedom: Int) -> Double {
    let table = [
      12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
      2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ]
    return freedom <= table.count ? table[freedom - 1] : 1.96 + 2.4 / Double(freedom)
  }
}
