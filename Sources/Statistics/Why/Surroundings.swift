import TraceModel

/// Which CPUs threads ran on, as moments at which it changed.
struct CPUResidence {
  struct Change {
    var time: UInt64
    var cpu: Int32
  }
  /// By thread, in order of time.
  private(set) var changes: [ThreadID: [Change]] = [:]
  private var count = 0

  private static let limit = 1 << 18

  mutating func add(_ slice: ThreadSlice) {
    guard slice.activity == .running, let cpu = slice.cpu, count < Self.limit else { return }
    let number = Int32(clamping: cpu)
    guard changes[slice.thread]?.last?.cpu != number else { return }
    count += 1
    changes[slice.thread, default: []].append(Change(time: slice.range.start.nanoseconds, cpu: number))
  }

  /// CPUs of a thread in an interval, in order, with the time on each, what it was off the CPU in between
  /// counted to the CPU before. Empty where not known.
  func cpus(of thread: ThreadID, in range: TimeRange) -> [(cpu: Int, time: Int64)] {
    guard let changes = changes[thread] else { return [] }
    let (start, end) = (range.start.nanoseconds, range.end.nanoseconds)
    // The last change up to the start.
    var (low, high) = (0, changes.count)
    while low < high {
      let middle = (low + high) / 2
      if changes[middle].time <= start { low = middle + 1 } else { high = middle }
    }
    var result: [(cpu: Int, time: Int64)] = []
    for place in max(low - 1, 0)..<changes.count {
      guard changes[place].time < end || place == low - 1 else { break }
      let from = max(changes[place].time, start)
      let to = place + 1 < changes.count ? min(changes[place + 1].time, end) : end
      if to > from { result.append((Int(changes[place].cpu), Int64(clamping: to &- from))) }
    }
    return result
  }
}

/// Clock frequencies as the recorder read them, about once a second.
struct ClockReadings {
  private struct Sample {
    var time: UInt64
    var cpu: Int32
    var kilohertz: UInt32
  }
  private var samples: [Sample] = []

  /// Nine hours of eight CPUs; later readings are left out.
  private static let limit = 1 << 18
  /// A reading says nothing about a moment that is further away. Nanoseconds.
  private static let reach: UInt64 = 2_500_000_000

  var isRecorded: Bool { !samples.isEmpty }

  mutating func add(_ reading: Reading) {
    guard case .frequency(let cpu, let kilohertz) = reading.value, kilohertz > 0, samples.count < Self.limit
    else { return }
    samples.append(
      Sample(time: reading.time.nanoseconds, cpu: Int32(truncatingIfNeeded: cpu), kilohertz: kilohertz))
  }

  /// The largest clock in kHz, at each of some moments, among CPUs: those that idle clock down. nil where no
  /// reading is near.
  ///
  /// - Parameter moments: in any order; the CPUs that matter, or none for all.
  func largest(at moments: [(time: TraceTime, cpus: Set<Int>)]) -> [UInt32?] {
    var result = [UInt32?](repeating: nil, count: moments.count)
    guard !samples.isEmpty else { return result }
    let sorted = samples.sorted { $0.time < $1.time }
    var latest: [Int32: Sample] = [:]
    var next = 0
    for place in moments.indices.sorted(by: { moments[$0].time < moments[$1].time }) {
      let time = moments[place].time.nanoseconds
      while next < sorted.count, sorted[next].time <= time {
        latest[sorted[next].cpu] = sorted[next]
        next += 1
      }
      for sample in latest.values where time &- sample.time <= Self.reach {
        guard moments[place].cpus.isEmpty || moments[place].cpus.contains(Int(sample.cpu)) else { continue }
        result[place] = max(result[place] ?? 0, sample.kilohertz)
      }
    }
    return result
  }
}

/// Which columns count page faults.
struct FaultCounters: Sendable {
  private var all: Int?
  private var minor: Int?
  private var majors: Int?

  init(_ counters: [CounterColumn]) {
    all = counters.first { $0.name == "page-faults" || $0.name == "faults" }?.index
    minor = counters.first { $0.name == "minor-faults" }?.index
    majors = counters.first { $0.name == "major-faults" }?.index
  }

  var any: Bool { all != nil || minor != nil || majors != nil }
  var countsMajor: Bool { majors != nil }

  /// Faults of both kinds, as far as counted; nil where not known.
  func faults(_ delta: CounterDelta) -> UInt64? {
    if let all { return delta[all] }
    guard let minor else { return major(delta) }
    guard let count = delta[minor] else { return nil }
    guard majors != nil else { return count }
    return major(delta).map { $0 &+ count }
  }

  /// Faults that read a disk; nil where not known.
  func major(_ delta: CounterDelta) -> UInt64? { majors.flatMap { delta[$0] } }

  static func sum(_ a: UInt64?, _ b: UInt64?) -> UInt64? {
    guard let a, let b else { return nil }
    return a &+ b
  }
}

/// Experts of each layer that have been used.
struct SeenExperts {
  private var seen: Set<UInt64> = []

  /// Some thousand experts in a hundred layers; a hostile trace may name any.
  private static let limit = 1 << 18

  /// - Returns: true for the first use.
  mutating func insert(layer: Int?, _ expert: Int32) -> Bool {
    guard seen.count < Self.limit else { return false }
    let layer = UInt64(truncatingIfNeeded: layer ?? -1)
    return seen.insert(layer << 32 | UInt64(UInt32(bitPattern: expert))).inserted
  }
}

extension GraphStructure {
  /// Cells of the key-value cache that the graph reads: of the layer that reads the most; nil where none
  /// shows.
  var cacheCells: Int64? {
    var shapes: [UInt64: [Int64]]?
    var cells: Int64?
    for node in nodes {
      switch node.op {
      case "FLASH_ATTN_EXT":
        guard node.sources.count > 1, let key = node.sources[1] else { continue }
        if shapes == nil {
          shapes = Dictionary((constants + nodes).map { ($0.address, $0.shape) }) { _, last in last }
        }
        guard let shape = shapes?[key], shape.count > 1 else { continue }
        cells = max(cells ?? 0, shape[1])
      case "SOFT_MAX":
        // Of the attention: with a mask. That of a router has none.
        guard node.sources.count > 1, node.sources[1] != nil, let length = node.shape.first else { continue }
        cells = max(cells ?? 0, length)
      default: break
      }
    }
    return cells
  }
}
