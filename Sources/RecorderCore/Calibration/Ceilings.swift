import CCalibration
import CRecorderShim

/// What CPUs can do together at most, as measured.
struct Ceiling {
  /// Of one kind of work. Bytes or operations a second.
  struct Rate {
    var work: calibration_work
    /// The best of the windows in which all had their CPUs, or of all where there was none.
    var best: UInt64
    var median: UInt64
    var worst: UInt64
    var windows: Int
    /// Windows in which nobody else took a CPU.
    var undisturbed: Int
  }

  var cpus: [Int]
  /// Of their last-level caches together; 0 where the kernel does not tell.
  var cacheBytes: UInt64
  var rates: [Rate]

  func rate(_ work: calibration_work) -> Rate? { rates.first { $0.work == work } }
}

extension Ceiling {
  static let works: [(work: calibration_work, key: StaticString)] = [
    (CALIBRATION_READ, "read"), (CALIBRATION_READ_HUGE, "read_huge"),
    (CALIBRATION_READ_CACHE, "read_cache"), (CALIBRATION_F32, "f32"), (CALIBRATION_F16, "f16"),
    (CALIBRATION_INT8, "int8"),
  ]

  static func isRead(_ work: calibration_work) -> Bool { work.rawValue <= CALIBRATION_READ_CACHE.rawValue }

  static func instructions(_ work: calibration_work) -> String? {
    calibration_instructions(work).map { String(cString: $0) }
  }

  /// Each thread reads memory of its own, twice: in pages of either size; one of them is together so many times
  /// the last-level caches.
  private static let cachesRead: UInt64 = 4
  /// And a part of them for what they read at most.
  private static let cachePart: UInt64 = 4
  private static let leastBytes: UInt64 = 32 << 20
  private static let mostBytes: UInt64 = 1 << 30
  /// A window is undisturbed when every worker had its CPU for so much of it.
  private static let wholeCPU = 0.98
  private static let enoughWindows = 5
  private static let mostWindows = 20

  private static var hasHugePages: Bool {
    guard let setting = System.line(of: "/sys/kernel/mm/transparent_hugepage/enabled") else { return false }
    return !setting.utf8.split(separator: UInt8(ascii: " ")).contains { $0.elementsEqual("[never]".utf8) }
  }

  /// Measures one set of CPUs: a few tenths of a second.
  static func measure(_ set: ProcessorSet) throws(RecorderError) -> Ceiling {
    let threads = UInt64(set.processors.count)
    let memory = shim_memory_bytes() / 8 / threads
    let readBytes = min(max(set.cacheBytes * cachesRead / threads, leastBytes), mostBytes, memory)
    let cacheBytes = set.cacheBytes / cachePart / threads
    guard let team = calibration_team_start(set.numbers, UInt32(threads), readBytes, cacheBytes) else {
      throw RecorderError(
        "cannot measure with \(threads) threads of \(readBytes >> 20) MiB each: \(System.lastErrorText)",
        hints: ["other programs may need the memory: end them, and try again"])
    }
    defer { calibration_team_end(team) }
    var rates: [Rate] = []
    for (work, _) in works where instructions(work) != nil {
      if work == CALIBRATION_READ_CACHE, cacheBytes == 0 { continue }
      if work == CALIBRATION_READ_HUGE, !hasHugePages { continue }
      rates.append(try measure(work, team))
    }
    return Ceiling(
      cpus: set.processors.map { $0.number }, cacheBytes: set.cacheBytes, rates: rates)
  }

  private static func measure(
    _ work: calibration_work, _ team: OpaquePointer
  ) throws(RecorderError) -> Rate {
    let duration: UInt64 = isRead(work) ? 20_000_000 : 5_000_000
    var all: [UInt64] = []
    var undisturbed: [UInt64] = []
    // The first one warms caches and clock rates up.
    for round in 0...mostWindows where undisturbed.count < enoughWindows {
      var window = calibration_window()
      guard calibration_team_work(team, work, duration, &window) == 0 else {
        throw RecorderError("a measuring process ended too early: \(System.lastErrorText)")
      }
      if round == 0 { continue }
      all.append(window.rate)
      if window.least_cpu >= wholeCPU { undisturbed.append(window.rate) }
    }
    var used = undisturbed.isEmpty ? all : undisturbed
    calibration_sort(&used, UInt32(used.count))
    return Rate(
      work: work, best: used[used.count - 1], median: used[used.count / 2], worst: used[0],
      windows: all.count, undisturbed: undisturbed.count)
  }
}
