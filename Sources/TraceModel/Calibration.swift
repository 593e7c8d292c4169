/// What a machine can do at most, measured on it by `pi-record calibrate`, and what a probe hit costs there.
public struct Calibration: Sendable, Equatable {
  /// What was measured of CPUs.
  public enum Work: String, Sendable, Hashable, CaseIterable {
    /// Reading memory behind the last-level cache, in pages of the usual size and in huge ones.
    case read
    case readHuge = "read_huge"
    /// Reading what fits into the last-level cache.
    case readCache = "read_cache"
    /// Multiply-adds of single and half precision; products of 8-bit integers, summed. Each is two operations.
    case f32, f16, int8
  }

  /// Of one kind of work, in bytes or operations a second.
  public struct Rate: Sendable, Equatable {
    public var best: Double
    public var median: Double
    public var worst: Double
    /// Measurements, and those of them in which nobody else took a CPU.
    public var windows: Int?
    public var undisturbed: Int?

    public init(best: Double, median: Double, worst: Double, windows: Int? = nil, undisturbed: Int? = nil) {
      self.best = best
      self.median = median
      self.worst = worst
      self.windows = windows
      self.undisturbed = undisturbed
    }
  }

  /// What a set of CPUs, one thread on each, can do together.
  public struct Ceiling: Sendable, Equatable {
    public var cpus: [Int]
    /// Of the last-level caches that they have; nil where the kernel did not tell.
    public var cacheBytes: Int64?
    public var rates: [Work: Rate]

    public init(cpus: [Int], cacheBytes: Int64? = nil, rates: [Work: Rate]) {
      self.cpus = cpus
      self.cacheBytes = cacheBytes
      self.rates = rates
    }
  }

  /// A hit of a probed instruction with the record that it leaves. Nanoseconds.
  public struct ProbePrice: Sendable, Equatable {
    /// CPU time of the thread.
    public var hit: Int64
    /// Wall time of it up to the record's time stamp, and behind it; nil where that was not measured.
    public var before: Int64?
    public var after: Int64?

    public init(hit: Int64, before: Int64? = nil, after: Int64? = nil) {
      self.hit = hit
      self.before = before
      self.after = after
    }
  }

  /// Prices on one kind of CPU.
  public struct Probes: Sendable, Equatable {
    public var cpu: Int?
    /// By the class of the instruction, as sites have it.
    public var classes: [String: ProbePrice]
    /// What the trap of a function's return adds to the hit at its entry.
    public var functionReturn: Int64?

    public init(cpu: Int? = nil, classes: [String: ProbePrice], functionReturn: Int64? = nil) {
      self.cpu = cpu
      self.classes = classes
      self.functionReturn = functionReturn
    }
  }

  public var architecture: String?
  public var cpuModel: String?
  public var kernel: String?
  /// CLOCK_REALTIME, nanoseconds.
  public var measuredAt: UInt64?
  /// Which instructions did the work, such as `AVX-512 FMA, 512 bits`.
  public var instructions: [Work: String] = [:]
  public var ceilings: [Ceiling] = []
  /// The fastest kind of CPU first.
  public var probes: [Probes] = []

  public init() {}
}

/// What probe hits add to the times of operators: a time stamp is taken inside of a hit, so what lies between two of
/// them holds what the first hit does behind its stamp, and what the second one does up to its own. Nanoseconds.
public struct ProbeCost: Sendable, Equatable {
  /// Wall time of a hit up to its time stamp, and behind it.
  public struct Hit: Sendable, Equatable {
    public var before: Int64
    public var after: Int64

    public init(before: Int64, after: Int64) {
      self.before = before
      self.after = after
    }
  }

  /// At the begin of an operator, and of a fused one.
  public var begin: Hit
  public var fused: Hit
  /// At the barrier that ends it; nil where barriers are not probed.
  public var barrier: Hit?

  public init(begin: Hit, fused: Hit, barrier: Hit?) {
    self.begin = begin
    self.fused = fused
    self.barrier = barrier
  }

  /// In the time of an operator.
  ///
  /// - Parameter hasBarrier: it ends at a probed barrier; else where the next operator begins.
  public func insideOperator(isFused: Bool, hasBarrier: Bool) -> Int64 {
    (isFused ? fused : begin).after &+ (hasBarrier ? barrier ?? begin : begin).before
  }

  /// In the wait at a probed barrier, up to the next operator.
  public var insideWait: Int64 { barrier.map { $0.after &+ begin.before } ?? 0 }
}
