/// How long ago experts were used before, and whether the products with experts (MUL_MAT_ID) of a layer take longer
/// when it was long ago: then their weights come from the disk, or from memory instead of a cache.
///
/// Distances are in token steps of the model with any expert: 1 is the step before, 0 a graph before in the same step. A step
/// that decodes is one token, so while decoding they are the paper's distance in tokens.
public struct ExpertReuse: Sendable {
  /// Distances of 0, 1, 2…3, 4…7 and so on, and the first uses.
  public struct Bucket: Sendable, Equatable {
    /// nil for first uses.
    public var distances: ClosedRange<Int>?
    /// Uses of single experts at these distances, in all steps.
    public var uses: UInt64 = 0
    /// Layers computed in decode steps whose expert that was used longest ago is at these distances.
    public var samples: UInt64 = 0
    /// Of the samples: main-thread time of all MUL_MAT_ID of the layer. Nanoseconds.
    public var time: Int64 = 0
    /// Samples of which the major faults are known, and their faults on all threads.
    public var faultSamples: UInt64 = 0
    public var majorFaults: UInt64 = 0

    /// nil without samples.
    public var meanTime: Int64? { samples > 0 ? time / Int64(clamping: samples) : nil }
    public var meanMajorFaults: Double? {
      faultSamples > 0 ? Double(majorFaults) / Double(faultSamples) : nil
    }
  }

  /// What a layer did in one step.
  struct Sample {
    /// Largest distance of its experts; nil when one of them was used for the first time.
    var distance: Int?
    /// nil where no span was recorded.
    var time: Int64?
    /// nil where not all spans have them.
    var majorFaults: UInt64?
  }

  private var firsts = Bucket()
  private var byPower: [Bucket] = []
  /// By layer.
  private var timeMoments: [Correlation.Moments] = []
  private var faultMoments: [Correlation.Moments] = []
  private var faultTimeMoments: [Correlation.Moments] = []

  /// Nearest first, first uses last; only those with uses.
  public var buckets: [Bucket] { (byPower + [firsts]).filter { $0.uses > 0 } }

  /// Time of a layer's MUL_MAT_ID in decode steps with the power of two of the largest distance of its experts. First
  /// uses are left out.
  public var timeByDistance: Correlation { Correlation(timeMoments) }
  /// Major faults inside of them with that distance.
  public var majorFaultsByDistance: Correlation { Correlation(faultMoments) }
  /// Their time with their major faults, first uses too.
  public var timeByMajorFaults: Correlation { Correlation(faultTimeMoments) }

  /// Major faults in all samples; nil where they were not recorded.
  public var majorFaults: UInt64? {
    let all = byPower + [firsts]
    guard all.contains(where: { $0.faultSamples > 0 }) else { return nil }
    return all.reduce(0) { $0 &+ $1.majorFaults }
  }

  /// Share of the uses, first ones left out, whose expert was used in the step before; nil without any.
  public var nextStepShare: Double? {
    let reuses = byPower.reduce(0) { $0 &+ $1.uses }
    guard reuses > 0 else { return nil }
    return Double(byPower.count > 1 ? byPower[1].uses : 0) / Double(reuses)
  }

  mutating func addUse(distance: Int?) {
    guard let distance else {
      firsts.uses &+= 1
      return
    }
    let power = Self.power(distance)
    grow(to: power)
    byPower[power].uses &+= 1
  }

  mutating func add(_ sample: Sample, layer: Int) {
    guard let time = sample.time else { return }
    let power = sample.distance.map(Self.power)
    if let power {
      grow(to: power)
      Self.add(time, sample.majorFaults, to: &byPower[power])
      Self.add(Double(power), Double(time), layer, &timeMoments)
      if let faults = sample.majorFaults { Self.add(Double(power), Double(faults), layer, &faultMoments) }
    } else {
      Self.add(time, sample.majorFaults, to: &firsts)
    }
    if let faults = sample.majorFaults { Self.add(Double(faults), Double(time), layer, &faultTimeMoments) }
  }

  private static func add(_ time: Int64, _ faults: UInt64?, to bucket: inout Bucket) {
    bucket.samples &+= 1
    bucket.time &+= time
    if let faults {
      bucket.faultSamples &+= 1
      bucket.majorFaults &+= faults
    }
  }

  private static func add(_ x: Double, _ y: Double, _ layer: Int, _ moments: inout [Correlation.Moments]) {
    if layer >= moments.count {
      moments.append(contentsOf: repeatElement(Correlation.Moments(), count: layer + 1 - moments.count))
    }
    moments[layer].add(x, y)
  }

  /// 0 for 0, 1 for 1, 2 for 2…3, 3 for 4…7.
  static func power(_ distance: Int) -> Int { Int.bitWidth - max(distance, 0).leadingZeroBitCount }

  private mutating func grow(to power: Int) {
    while byPower.count <= power {
      let next = byPower.count
      byPower.append(
        Bucket(distances: next == 0 ? 0...0 : 1 << (next - 1)...(1 << (next - 1)) &* 2 &- 1))
    }
  }
}
