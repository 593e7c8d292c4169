import TraceModel

/// What the machine can do at most with as many threads as a run had, on such CPUs.
public struct RunCeilings: Sendable, Equatable {
  public var threads: Int
  /// The CPUs that were measured, of the same kinds as those of the run.
  public var cpus: [Int]
  /// Reading memory, bytes a second: in huge pages where that is faster.
  public var memory: Double
  /// The same in pages of the usual size, as files are mapped; nil where not measured.
  public var usualPages: Double?
  /// Reading what fits into the last-level cache; nil where not measured.
  public var cache: Double?
  public var cacheBytes: Int64?
  /// Operations a second.
  public var arithmetic: [Calibration.Work: Double]
  /// How far the worst measurement of `memory` was from the best, 0…1.
  public var spread: Double
  /// True when other programs took CPUs in every measurement of `memory`.
  public var isDisturbed: Bool
  /// Said of it where other numbers of threads were measured than the run had; nil where it is as measured.
  public var remark: String?

  /// - Parameters:
  ///   - threads: that computed.
  ///   - allowed: CPUs of the run; empty: any.
  ///   - kinds: of CPUs, by number: those of a kind are as fast as each other. Those not told are all of one kind.
  /// - Returns: nil where nothing was measured that says something of such a run.
  public init?(_ calibration: Calibration, threads: Int, allowed: [Int] = [], kinds: [Int: Int] = [:]) {
    func count(_ cpus: some Sequence<Int>) -> [Int: Int] {
      cpus.reduce(into: [:]) { $0[kinds[$1] ?? -1, default: 0] += 1 }
    }
    let available = count(Set(allowed))
    func fits(_ ceiling: Calibration.Ceiling) -> Bool {
      available.isEmpty || count(ceiling.cpus).allSatisfy { $1 <= available[$0] ?? 0 }
    }
    let measured = calibration.ceilings.filter { Self.memory($0) != nil && fits($0) }
    let fewer = measured.filter { $0.cpus.count <= max(threads, 1) }
    guard
      let lower = fewer.max(by: {
        ($0.cpus.count, Self.memory($0)?.best ?? 0) < ($1.cpus.count, Self.memory($1)?.best ?? 0)
      }), let memory = Self.memory(lower)
    else { return nil }
    self.threads = threads
    cpus = lower.cpus
    self.memory = memory.best
    usualPages = lower.rates[.read]?.best
    cache = lower.rates[.readCache]?.best
    cacheBytes = lower.cacheBytes
    arithmetic = lower.rates.filter { [.f32, .f16, .int8].contains($0.key) }.mapValues(\.best)
    spread = max(1 - memory.worst / memory.best, 0)
    isDisturbed = memory.undisturbed == 0
    guard lower.cpus.count < threads else { return }
    let more = measured.filter { $0.cpus.count > threads && Set($0.cpus).isSuperset(of: lower.cpus) }
    guard let upper = more.min(by: { $0.cpus.count < $1.cpus.count }), let most = Self.memory(upper) else {
      remark = "measured with \(lower.cpus.count)"
      return
    }
    // Between two numbers of threads that were measured.
    let part = Double(threads - lower.cpus.count) / Double(upper.cpus.count - lower.cpus.count)
    func between(_ a: Double, _ b: Double?) -> Double { a + ((b ?? a) - a) * part }
    self.memory = between(memory.best, most.best)
    usualPages = usualPages.map { between($0, upper.rates[.read]?.best) }
    cache = cache.map { between($0, upper.rates[.readCache]?.best) }
    arithmetic = Dictionary(
      uniqueKeysWithValues: arithmetic.map { ($0, between($1, upper.rates[$0]?.best)) })
    remark = "between those measured with \(lower.cpus.count) and \(upper.cpus.count)"
  }

  private static func memory(_ ceiling: Calibration.Ceiling) -> Calibration.Rate? {
    [ceiling.rates[.read], ceiling.rates[.readHuge]].compactMap { $0 }.max { $0.best < $1.best }
  }

  /// Operations a second of an arithmetic; half precision is calculated as single where the processor has none. nil
  /// where not measured.
  public func peak(_ work: Calibration.Work) -> Double? {
    arithmetic[work] ?? (work == .f16 ? arithmetic[.f32] : nil)
  }
}
