/// How often a cache of experts would have had what was used, for every size of it: with what was used longest ago
/// thrown out first (LRU), and with the best replacement there is (Belady's).
///
/// A use is the reading of one expert's weights for all tokens of a graph; the first use of each expert is a miss
/// in any cache.
public struct CacheCurve: Sendable {
  /// Uses in the recording.
  public private(set) var uses: UInt64 = 0
  /// Those of them that are the first of their expert.
  public private(set) var firstUses: UInt64 = 0
  /// Uses by the smallest cache that has the expert, from 1.
  private var lru: [UInt64] = []
  private var optimal: [UInt64] = []
  /// False where the best replacement was not worked out because there are too many experts.
  public private(set) var hasOptimal = true
  /// Bytes that an LRU cache needs for each use that it can have; nil where experts' sizes are not known.
  private var bytes: QuantileSketch?

  init(hasOptimal: Bool = true, hasBytes: Bool = false) {
    self.hasOptimal = hasOptimal
    bytes = hasBytes ? QuantileSketch() : nil
  }

  /// Counts one use.
  ///
  /// - Parameters:
  ///   - distance: from the last use; nil for the first.
  ///   - best: smallest cache that has it with the best replacement; nil where that is not worked out.
  mutating func add(_ distance: ReuseStack.Distance?, best: Int?) {
    uses &+= 1
    guard let distance else {
      firstUses &+= 1
      return
    }
    Self.count(distance.things, &lru)
    if let best { Self.count(best, &optimal) } else { hasOptimal = false }
    bytes?.add(distance.bytes)
  }

  /// Adds the uses of another cache, which is as large as this one.
  mutating func merge(_ other: CacheCurve) {
    uses &+= other.uses
    firstUses &+= other.firstUses
    Self.merge(other.lru, &lru)
    Self.merge(other.optimal, &optimal)
    hasOptimal = hasOptimal && other.hasOptimal
  }

  mutating func forgetBytes() { bytes = nil }

  private static func merge(_ other: [UInt64], _ counts: inout [UInt64]) {
    if counts.count < other.count {
      counts.append(contentsOf: repeatElement(0, count: other.count - counts.count))
    }
    for index in other.indices { counts[index] &+= other[index] }
  }

  private static func count(_ size: Int, _ counts: inout [UInt64]) {
    if size >= counts.count { counts.append(contentsOf: repeatElement(0, count: size + 1 - counts.count)) }
    counts[size] &+= 1
  }

  /// Share of the uses that are first uses: what every cache misses; nil without uses.
  public var firstUseShare: Double? { uses > 0 ? Double(firstUses) / Double(uses) : nil }

  /// Hit rates of the sizes 0, 1, 2 … `experts`, 0…1; empty without uses.
  public func lruHitRates(upTo experts: Int) -> [Double] { rates(lru, upTo: experts) }

  /// The same with the best replacement; nil where it was not worked out.
  public func optimalHitRates(upTo experts: Int) -> [Double]? {
    hasOptimal ? rates(optimal, upTo: experts) : nil
  }

  /// Experts that an LRU cache must hold to have this share of the uses; nil where no cache has.
  public func lruExperts(forHitRate rate: Double) -> Int? { size(lru, rate) }

  /// The same with the best replacement; nil where no cache has, or it was not worked out.
  public func optimalExperts(forHitRate rate: Double) -> Int? { hasOptimal ? size(optimal, rate) : nil }

  /// Bytes that an LRU cache must hold to have this share of the uses, within 0.4 %, where experts differ in size; nil
  /// where no cache has, or sizes are not known.
  public func lruBytes(forHitRate rate: Double) -> Int64? {
    guard let bytes, uses > firstUses else { return nil }
    let share = rate * Double(uses) / Double(uses - firstUses)
    return share <= 1 ? bytes.quantile(share) : nil
  }

  private func rates(_ counts: [UInt64], upTo experts: Int) -> [Double] {
    guard uses > 0, experts >= 0 else { return [] }
    var hits: UInt64 = 0
    return (0...experts).map { size in
      if size < counts.count { hits &+= counts[size] }
      return Double(hits) / Double(uses)
    }
  }

  private func size(_ counts: [UInt64], _ rate: Double) -> Int? {
    guard uses > 0 else { return nil }
    var hits: UInt64 = 0
    for (size, count) in counts.enumerated() {
      hits &+= count
      if Double(hits) >= rate * Double(uses) { return size }
    }
    return nil
  }
}
