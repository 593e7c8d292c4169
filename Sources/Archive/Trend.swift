/// How fast the runs of one model are over time, on one device with as many threads, recorded at one level: what else
/// differs between them is what one looks for.
public struct Trend: Sendable {
  public struct Key: Sendable, Hashable {
    public var host: String?
    public var cpuModel: String?
    public var model: String?
    public var threads: Int?
    public var level: String?
  }

  public struct Point: Sendable {
    public var run: ArchivedRun
    /// Decoded tokens a second.
    public var rate: Double
    /// Nanoseconds that a decoded token takes, by part; empty where operators were not recorded.
    public var parts: [String: Double]
    /// nil where the run is as fast as those before.
    public var change: Change?
  }

  /// A run that is slower or faster than those before it.
  public struct Change: Sendable, Equatable {
    public struct Cause: Sendable, Equatable {
      public var part: String
      /// Nanoseconds a token more than before; less where negative.
      public var difference: Double
    }

    /// Median of the runs before, tokens a second, and how many there are.
    public var before: Double
    public var runs: Int
    /// Of the rate: -0.05 is five per cent slower.
    public var ratio: Double
    /// What carries most of it, the most first.
    public var causes: [Cause]
    /// nil where the engine is the same as in the run before, or not known.
    public var otherBuild: String?
    /// The same of its version.
    public var otherVersion: String?

    public var isSlower: Bool { ratio < 0 }
  }

  public var key: Key
  /// The oldest first.
  public var points: [Point]

  /// A change is at least as large as this, and as three times the spread of the runs before.
  public static let leastChange = 0.05
  /// Runs before that are looked at, and how many there must be: of fewer no spread can be told.
  public static let window = 8
  public static let leastBefore = 3

  /// - Parameter points: of runs with one key, the oldest first; their changes are found here.
  init(key: Key, _ points: [Point]) {
    self.key = key
    self.points = points
    var first = 0
    for index in points.indices {
      let before = Array(points[max(first, index - Self.window)..<index])
      guard let change = Self.change(points[index], before) else { continue }
      self.points[index].change = change
      // What follows is compared with the new speed.
      first = index
    }
  }

  private static func change(_ point: Point, _ before: [Point]) -> Change? {
    guard before.count >= leastBefore else { return nil }
    let typical = median(before.map(\.rate))
    // Of a normal distribution the median of the deviations is 0.6745 of the standard deviation.
    let spread = median(before.map { ($0.rate - typical).magnitude }) / 0.6745 / typical
    let ratio = point.rate / typical - 1
    guard ratio.isFinite, ratio.magnitude >= max(leastChange, 3 * spread) else { return nil }
    var causes: [Change.Cause] = []
    for part in Set(before.flatMap(\.parts.keys)).union(point.parts.keys) {
      let difference = (point.parts[part] ?? 0) - median(before.map { $0.parts[part] ?? 0 })
      if (difference < 0) == (ratio > 0) { causes.append(Change.Cause(part: part, difference: difference)) }
    }
    causes.sort { ($1.difference.magnitude, $0.part) < ($0.difference.magnitude, $1.part) }
    let hasParts = !point.parts.isEmpty && before.allSatisfy { !$0.parts.isEmpty }
    func other(_ value: (ArchivedRun) -> String?) -> String? {
      guard let last = before.last.flatMap({ value($0.run) }), let own = value(point.run) else { return nil }
      return last != own ? last : nil
    }
    return Change(
      before: typical, runs: before.count, ratio: ratio, causes: hasParts ? Array(causes.prefix(3)) : [],
      otherBuild: other(\.engineBuild), otherVersion: other(\.engineVersion))
  }

  private static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
  }
}

extension Archive {
  /// One trend for each model, device, number of threads and level, those with most runs first.
  public func trends(of runs: [ArchivedRun]) throws(ArchiveError) -> [Trend] {
    let parts = try decodeParts()
    var points: [Trend.Key: [Trend.Point]] = [:]
    for run in runs {
      guard let rate = run.decodeTokensPerSecond, rate > 0, rate < 1e12 else { continue }
      let key = Trend.Key(
        host: run.host, cpuModel: run.cpuModel, model: run.model ?? run.modelFile, threads: run.threads,
        level: run.level)
      points[key, default: []].append(Trend.Point(run: run, rate: rate, parts: parts[run.run] ?? [:]))
    }
    func text(_ key: Trend.Key) -> String {
      [key.model, key.host, key.cpuModel, key.threads.map(String.init), key.level].map { $0 ?? "" }
        .joined(separator: "\n")
    }
    return points.sorted { ($1.value.count, text($0.key)) < ($0.value.count, text($1.key)) }
      .map { Trend(key: $0.key, $0.value) }
  }
}
