import TraceModel

/// What limits the speed of something.
public enum Bound: String, Sendable, Hashable, CaseIterable {
  /// Reading and writing memory.
  case memory
  /// The cores' own work.
  case compute
  /// Neither: waiting for each other, starting, everything around the operators.
  case overhead
  /// Cannot tell.
  case unclear
}

/// How fast an operator, several, or a phase of a run was, beside what the machine can do.
public struct Performance: Sendable, Equatable {
  /// Wall time: of operators from the main thread's start to the end of its wait at the barrier. What probes added
  /// is taken out where that is known. Nanoseconds.
  public var elapsed: Int64
  /// What probes added to the time in operators, without the waits; nil where that is not known.
  public var probeTime: Int64?
  /// Moved and computed in that time, by all threads together; nil where unknown.
  public var bytes: Int64?
  public var flops: Int64?
  /// Bytes and floating-point operations a second; nil where unknown, and where probes are most of the time.
  public var bytesPerSecond: Double?
  public var flopsPerSecond: Double?
  /// Of what the machine can do; nil where that was not measured. A speed above 1 comes from nearer caches.
  public var memoryShare: Double?
  public var computeShare: Double?
  /// The slowest thread's time over the mean of all; nil with one thread.
  public var imbalance: Double?
  /// nil where the machine's ceilings are not known.
  public var bound: Bound?

  /// Floating-point operations for each byte moved; nil where unknown.
  public var intensity: Double? {
    guard let bytes, let flops, bytes > 0 else { return nil }
    return Double(flops) / Double(bytes)
  }

  init(elapsed: Int64) { self.elapsed = elapsed }
}

/// From which share of a ceiling on it is what limits, and other limits of judgement.
enum Judgement {
  /// Real kernels reach 60 to 95 % of what one that does nothing else reads.
  static let atCeiling = 0.6
  /// Something faster than this above its ceiling does not come from there.
  static let pastCeiling = 1.15
  /// Under this share of the memory's rate memory cannot be what limits.
  static let farFromMemory = 0.25
  /// Of wall time outside of operators, or of an operator's time in the wait behind it.
  static let outside = 0.4
  /// An operator as short as this is about as long as the start of one and a meeting at a barrier. Nanoseconds.
  static let short: Double = 2000
  /// And of this length it is mostly its own work.
  static let long: Double = 10_000
  /// Where more than this is outside of operators or in short ones, what is left over is not all there is.
  static let fewOutside = 0.25
  /// Less of a time than this is not enough to calculate with, when probes were the rest.
  static let leastOwnShare = 0.25
  /// Instructions a cycle of cores that are busy, and of cores that wait.
  static let busyCycle = 1.5
  static let waitingCycle = 0.7
  /// Of the operators that must have been seen, and of their time that must have known work.
  static let coverage = 0.9
  static let known = 0.8
  /// Of wall time on other backends than the CPU's.
  static let elsewhere = 0.1
}
