/// How two measurements go together, over samples of several groups: each sample is compared with its own group, so
/// that a difference between groups (a larger layer takes longer) is no relation.
public struct Correlation: Sendable, Equatable {
  public enum Verdict: Sendable, Equatable {
    /// Fewer samples than `leastSamples`.
    case tooFewSamples
    /// One of the two measurements is the same in every sample of a group.
    case nothingVaries
    /// What is seen would be seen by chance once in a hundred times, or more often.
    case notSeen
    case seen
  }

  public private(set) var samples = 0
  /// Pearson's coefficient within the groups, -1…1; nil with too few samples and where nothing varies.
  public private(set) var coefficient: Double?
  public private(set) var verdict = Verdict.tooFewSamples

  public static let leastSamples = 30
  /// Beyond this many standard errors chance is ruled out at 99 %.
  private static let limit = 2.6

  init(_ groups: [Moments]) {
    let used = groups.filter { $0.count > 1 }
    samples = used.reduce(0) { $0 &+ $1.count }
    let freedom = samples - used.count - 1
    guard samples >= Self.leastSamples, freedom > 0 else { return }
    let xx = used.reduce(0) { $0 + $1.xx }
    let yy = used.reduce(0) { $0 + $1.yy }
    let xy = used.reduce(0) { $0 + $1.xy }
    guard xx > 0, yy > 0 else {
      verdict = .nothingVaries
      return
    }
    let r = min(max(xy / (xx.squareRoot() * yy.squareRoot()), -1), 1)
    coefficient = r
    let error = (max(1 - r * r, 0) / Double(freedom)).squareRoot()
    verdict = r.magnitude > Self.limit * error ? .seen : .notSeen
  }

  /// Means and sums of squares about them, in one pass (Welford).
  struct Moments: Sendable, Equatable {
    private(set) var count = 0
    private var x = 0.0
    private var y = 0.0
    private(set) var xx = 0.0
    private(set) var yy = 0.0
    private(set) var xy = 0.0

    mutating func add(_ a: Double, _ b: Double) {
      count += 1
      let dx = a - x
      let dy = b - y
      x += dx / Double(count)
      y += dy / Double(count)
      xx += dx * (a - x)
      yy += dy * (b - y)
      xy += dx * (b - y)
    }
  }
}
