import CCalibration
import CRecorderShim

/// A CPU as far as calibration tells CPUs apart.
struct Processor: Equatable {
  var number: Int
  /// Relative to the machine's fastest, 1024; nil where the kernel does not tell.
  var capacity: UInt64?
  var kilohertz: UInt64?
  /// The first of those that share a core.
  var isFirstOfCore = true
  /// The last-level cache: CPUs that share it have the same.
  var cache: Int?
  var cacheBytes: UInt64 = 0

  /// CPUs that this process may use.
  static func all() -> [Processor] { allowed(to: 0).map { read(Int($0)) } }

  /// Numbers of the CPUs that a process (0: this one) may use, at most 256; empty where that cannot be seen.
  static func allowed(to pid: Int32) -> [Int32] {
    var numbers = [Int32](repeating: 0, count: Int(CALIBRATION_WORKERS))
    let count = calibration_allowed_cpus(pid, &numbers, Int32(numbers.count))
    return Array(numbers.prefix(max(Int(count), 0)))
  }

  private static func read(_ number: Int) -> Processor {
    let folder = "/sys/devices/system/cpu/cpu\(number)"
    var processor = Processor(number: number)
    processor.capacity = System.number(of: folder + "/cpu_capacity")
    processor.kilohertz = System.number(of: folder + "/cpufreq/cpuinfo_max_freq")
    if let siblings = System.line(of: folder + "/topology/thread_siblings_list") {
      processor.isFirstOfCore = PMU.parseCPUList(siblings).min() ?? number == number
    }
    var deepest: UInt64 = 0
    for index in 0..<8 {
      let cache = folder + "/cache/index\(index)"
      guard let level = System.number(of: cache + "/level"), level > deepest,
        System.line(of: cache + "/type") == "Unified",
        let size = System.line(of: cache + "/size").flatMap(bytes)
      else { continue }
      deepest = level
      processor.cacheBytes = size
      processor.cache = System.line(of: cache + "/shared_cpu_list").flatMap { PMU.parseCPUList($0).min() }
    }
    return processor
  }

  /// "32768K"
  static func bytes(_ text: String) -> UInt64? {
    let digits = text.utf8.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    guard let number = UInt64(String(decoding: Array(digits), as: UTF8.self)), number < 1 << 40 else {
      return nil
    }
    switch text.utf8.dropFirst(digits.count).first {
    case UInt8(ascii: "K"): return number << 10
    case UInt8(ascii: "M"): return number << 20
    default: return number
    }
  }

  /// Whether both are of one kind. Clock rates tell on arm64 only: those of x86_64 differ a little from core to core.
  func isLike(_ other: Processor) -> Bool {
    if let capacity, let second = other.capacity { return capacity == second }
    #if arch(arm64)
      return kilohertz == other.kilohertz
    #else
      return true
    #endif
  }
}

/// CPUs that work together in one measurement.
struct ProcessorSet: Equatable {
  var processors: [Processor]

  var numbers: [Int32] { processors.map { Int32($0.number) } }

  /// Of the caches that they have, each once.
  var cacheBytes: UInt64 {
    var seen: [Int] = []
    var sum: UInt64 = 0
    for processor in processors {
      guard let cache = processor.cache, !seen.contains(cache) else { continue }
      seen.append(cache)
      sum += processor.cacheBytes
    }
    return sum
  }

  /// What is measured: 1, 2, 3 … of the fastest CPUs, a core's second one last, and where CPUs differ, 1, 2, 3 …
  /// of each slower kind. From 4 on in steps of about a third, up to all.
  static func toMeasure(_ processors: [Processor]) -> [ProcessorSet] {
    let ordered = inOrder(processors)
    var sets: [ProcessorSet] = counts(ordered.count).map { ProcessorSet(processors: Array(ordered[..<$0])) }
    for kind in kinds(ordered).dropFirst() {
      sets += counts(kind.count).map { ProcessorSet(processors: Array(kind[..<$0])) }
    }
    return sets
  }

  /// CPUs of one kind together, the fastest kind first.
  static func kinds(_ processors: [Processor]) -> [[Processor]] {
    var kinds: [[Processor]] = []
    for processor in inOrder(processors) {
      if let index = kinds.firstIndex(where: { $0[0].isLike(processor) }) {
        kinds[index].append(processor)
      } else {
        kinds.append([processor])
      }
    }
    return kinds
  }

  /// By hand: the standard library's sort takes 4 KB of the executable for each type.
  private static func inOrder(_ processors: [Processor]) -> [Processor] {
    var ordered: [Processor] = []
    for processor in processors {
      var place = ordered.count
      while place > 0, isBefore(processor, ordered[place - 1]) { place -= 1 }
      ordered.insert(processor, at: place)
    }
    return ordered
  }

  private static func isBefore(_ a: Processor, _ b: Processor) -> Bool {
    if a.isFirstOfCore != b.isFirstOfCore { return a.isFirstOfCore }
    if a.isLike(b) { return a.number < b.number }
    if a.capacity ?? 0 != b.capacity ?? 0 { return a.capacity ?? 0 > b.capacity ?? 0 }
    return a.kilohertz ?? 0 > b.kilohertz ?? 0
  }

  static func counts(_ limit: Int) -> [Int] {
    var counts: [Int] = []
    var next = 1
    while next < limit {
      counts.append(next)
      next += max(next / 3, 1)
    }
    if limit > 0 { counts.append(limit) }
    return counts
  }
}
