/// Quantiles of a stream of durations in bounded memory.
///
/// Up to `exactLimit` samples are kept and quantiles are exact. Beyond that they are counted
/// in logarithmic buckets: below 256 one bucket per value, above that 128 buckets per power
/// of two, so that the middle of a bucket is within 1/256 (0.39 %) of every value in it.
/// At most 7,296 buckets (57 KiB) exist, and only those between the smallest and the largest
/// value seen are allocated.
public struct QuantileSketch: Sendable {
  /// Samples up to which quantiles are exact.
  public static let exactLimit = 1024
  /// Largest relative error of a quantile beyond `exactLimit` samples.
  public static let relativeError = 1.0 / 256

  public private(set) var count: UInt64 = 0
  private var minimum = Int64.max
  private var maximum = Int64.min
  private var samples: [Int64] = []
  private var buckets = Buckets()

  private static let stride = 128

  public init() {}

  /// Counts one value; negative ones count as 0.
  public mutating func add(_ value: Int64) {
    buckets.own()
    addOwned(value)
  }

  /// For many values: after this, `addOwned` can be called as long as the sketch is not copied.
  mutating func own() { buckets.own() }

  /// As `add`, after `own`.
  @inline(__always)
  mutating func addOwned(_ value: Int64) {
    let value = Swift.max(value, 0)
    count &+= 1
    minimum = Swift.min(minimum, value)
    maximum = Swift.max(maximum, value)
    let bucket = Self.bucket(of: value)
    if buckets.count(bucket) { return }
    addOutside(value, bucket)
  }

  /// A value that is to be kept exactly, or beyond the buckets that there are.
  @inline(never)
  private mutating func addOutside(_ value: Int64, _ bucket: Int) {
    if buckets.isEmpty {
      if samples.count < Self.exactLimit {
        samples.append(value)
        return
      }
      spill()
    }
    buckets.add(1, to: bucket)
  }

  /// Counts everything that `other` has counted.
  public mutating func merge(_ other: QuantileSketch) {
    guard other.count > 0 else { return }
    minimum = Swift.min(minimum, other.minimum)
    maximum = Swift.max(maximum, other.maximum)
    count &+= other.count
    if buckets.isEmpty && other.buckets.isEmpty && samples.count + other.samples.count <= Self.exactLimit {
      samples.append(contentsOf: other.samples)
      return
    }
    buckets.own()
    if buckets.isEmpty { spill() }
    for value in other.samples { buckets.add(1, to: Self.bucket(of: value)) }
    for (bucket, hits) in other.buckets.occupied { buckets.add(hits, to: bucket) }
  }

  /// The smallest value that at least the fraction `q` (0…1) of the samples does not exceed
  /// (nearest rank); nil without samples.
  public func quantile(_ q: Double) -> Int64? {
    guard count > 0 else { return nil }
    let wanted = Swift.min(Swift.max(q, 0), 1) * Double(count)
    // Rounded up, without the C library that `rounded` needs. 2^63 counts cannot be reached.
    let below = UInt64(Swift.min(wanted, 0x1p62))
    let rank = Swift.max(1, Swift.min(Double(below) < wanted ? below + 1 : below, count))
    if rank == 1 { return minimum }
    if rank == count { return maximum }
    if buckets.isEmpty { return samples.sorted()[Int(rank) - 1] }
    var seen: UInt64 = 0
    for (bucket, hits) in buckets.occupied {
      seen &+= hits
      if seen >= rank { return Swift.min(Swift.max(Self.middle(ofBucket: bucket), minimum), maximum) }
    }
    return maximum
  }

  private mutating func spill() {
    for value in samples { buckets.add(1, to: Self.bucket(of: value)) }
    samples = []
  }

  /// `value` is not negative.
  static func bucket(of value: Int64) -> Int {
    let bits = 63 - value.leadingZeroBitCount
    if bits < 8 { return Int(value) }
    let shift = bits - 7
    return shift * stride + Int(value >> Int64(shift))
  }

  static func middle(ofBucket bucket: Int) -> Int64 {
    if bucket < 256 { return Int64(bucket) }
    let shift = Int64(bucket / stride - 1)
    let low = Int64(bucket - Int(shift) * stride) << shift
    return low + (Int64(1) << shift) / 2
  }
}
