import Foundation
import TraceModel

extension Calibration {
  /// Reads a file that `pi-record calibrate -o` wrote.
  ///
  /// - Returns: nil where it holds nothing of the kind.
  public init?(json: [UInt8]) {
    var reader = MetadataReader()
    reader.add(json, at: 0)
    guard let calibration = reader.calibration(), !calibration.ceilings.isEmpty else { return nil }
    self = calibration
  }
}

extension MetadataReader {
  /// More sets of CPUs than a machine can have of interest.
  private static let ceilingLimit = 1024

  /// nil where the metadata has none.
  mutating func calibration() -> Calibration? {
    let root = object("calibration")
    guard !root.isEmpty else { return nil }
    var result = Calibration()
    if let machine = root["machine"] as? [String: Any] {
      result.architecture = string(machine, "architecture")
      result.cpuModel = string(machine, "cpu_model")
      result.kernel = string(machine, "kernel")
    }
    result.measuredAt = integer(root, "measured_realtime_ns").flatMap { UInt64(exactly: $0) }
    if let names = root["instructions"] as? [String: Any] {
      for work in Calibration.Work.allCases { result.instructions[work] = string(names, work.rawValue) }
    }
    for ceiling in objects(root, "ceilings").prefix(Self.ceilingLimit) {
      let cpus = integers(ceiling, "cpus").filter { $0 >= 0 }
      guard !cpus.isEmpty else { continue }
      var rates: [Calibration.Work: Calibration.Rate] = [:]
      for work in Calibration.Work.allCases {
        guard let object = ceiling[work.rawValue] as? [String: Any] else { continue }
        rates[work] = rate(object)
      }
      result.ceilings.append(
        Calibration.Ceiling(
          cpus: cpus, cacheBytes: integer(ceiling, "cache_bytes").flatMap { $0 > 0 ? Int64($0) : nil },
          rates: rates))
    }
    for probes in objects(root, "probes").prefix(Self.ceilingLimit) {
      var classes: [String: Calibration.ProbePrice] = [:]
      for price in objects(probes, "classes").prefix(64) {
        guard let name = string(price, "class"), let hit = nanoseconds(price, "hit_ns") else { continue }
        classes[name] = Calibration.ProbePrice(
          hit: hit, before: nanoseconds(price, "before_ns"), after: nanoseconds(price, "after_ns"))
      }
      result.probes.append(
        Calibration.Probes(
          cpu: integer(probes, "cpu"), classes: classes,
          functionReturn: nanoseconds(probes, "return_ns")))
    }
    return result
  }

  /// nil for what cannot be a rate.
  private mutating func rate(_ object: [String: Any]) -> Calibration.Rate? {
    func positive(_ key: String) -> Double? {
      guard let value = (object[key] as? NSNumber)?.doubleValue, value > 0, value < 1e18 else { return nil }
      return value
    }
    guard let best = positive("best") else { return nil }
    return Calibration.Rate(
      best: best, median: positive("median") ?? best, worst: positive("worst") ?? best,
      windows: integer(object, "windows"), undisturbed: integer(object, "undisturbed"))
  }

  /// nil for what no probe hit takes.
  private mutating func nanoseconds(_ object: [String: Any], _ key: String) -> Int64? {
    integer(object, key).flatMap { (0..<1_000_000_000).contains($0) ? Int64($0) : nil }
  }

  /// Elements that are no integers are left out.
  mutating func integers(_ object: [String: Any], _ key: String) -> [Int] {
    (object[key] as? [Any] ?? []).prefix(4096).compactMap { ($0 as? NSNumber).flatMap { Int(exactly: $0) } }
  }
}
