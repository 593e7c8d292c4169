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
  private var buckets: [UInt64] = []
  /// Bucket number of `buckets[0]`, a multiple of `stride`.
  private var firstBucket = 0

  private static let stride = 128

  public init() {}

  /// Counts one value; negative ones count as 0.
  public mutating func add(_ value: Int64) {
    let value = Swift.max(value, 0)
    count &+= 1
    minimum = Swift.min(minimum, value)
    maximum = Swift.max(maximum, value)
    if buckets.isEmpty {
      if samples.count < Self.exactLimit {
        samples.append(value)
        return
      }
      spill()
    }
    addToBucket(Self.bucket(of: value), 1)
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
    if buckets.isEmpty { spill() }
    for value in other.samples { addToBucket(Self.bucket(of: value), 1) }
    for (index, hits) in other.buckets.enumerated() where hits > 0 {
      addToBucket(other.firstBucket + index, hits)
    }
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
    for (index, hits) in buckets.enumerated() {
      seen &+= hits
      if seen >= rank {
        return Swift.min(Swift.max(Self.middle(ofBucket: firstBucket + index), minimum), maximum)
      }
    }
    return maximum
  }

  private mutating func spill() {
    for value in samples { addToBucket(Self.bucket(of: value), 1) }
    samples = []
  }

  private mutating func addToBucket(_ bucket: Int, _ hits: UInt64) {
    if buckets.isEmpty { firstBucket = bucket / Self.stride * Self.stride }
    if bucket < firstBucket {
      let first = bucket / Self.stride * Self.stride
      buckets.insert(contentsOf: repeatElement(0, count: firstBucket - first), at: 0)
      firstBucket = first
    }
    let index = bucket - firstBucket
    if index >= buckets.count {
      let needed = (index / Self.stride + 1) * Self.stride
      buckets.append(contentsOf: repeatElement(0, count: needed - buckets.count))
    }
    buckets[index] &+= hits
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
