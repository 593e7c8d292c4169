import TraceModel

/// Who had the CPU while a thread of the target could have run.
enum Culprit: Hashable {
  case task(name: String, process: UInt32?)
  /// Another thread of the target.
  case targetThread
  /// The CPU had been idle: the thread had just been woken.
  case idle
  /// The thread had been woken, and it is not known who had the CPU.
  case unknown
  /// More than are told apart.
  case others
}

/// The last stretches in which each thread was off its CPU, kept until the operators and waits around them
/// are known.
///
/// A thread that is off its CPU writes no records, so it stays inside of one operator, wait or gap. Where
/// several tasks had the CPU one after the other, there is a stretch for each, as far as the target's own
/// threads tell: who got a CPU from them, and when they ran there themselves.
struct OffCPU {
  struct Stretch {
    var start: UInt64
    var end: UInt64
    /// Number in `culprits`.
    var culprit: UInt16
    /// False for a thread that waited for something.
    var isRunnable: Bool
    /// True when the kernel took the thread off its CPU to put it on another one.
    var isMigration: Bool
  }

  private(set) var culprits: [Culprit] = [.unknown, .targetThread, .others, .idle]
  private var numbers: [Culprit: UInt16] = [:]
  private var occupants = CPUOccupants()
  private var threads: [ThreadID] = []
  private var indexOfThread: [ThreadID: Int] = [:]
  private var stretches: [[Stretch]] = []
  /// Until when stretches of each thread were given up for want of room.
  private var givenUpUntil: [UInt64] = []
  /// Intervals of which a stretch had been given up: a part of what happened in them is not explained.
  private(set) var incomplete = 0

  private(set) var found: [(stretch: Stretch, time: Int64)] = []

  private static let culpritLimit = 4096
  /// Numbers of the culprits that are no task.
  private static let target: UInt16 = 1
  static let others: UInt16 = 2
  private static let idle: UInt16 = 3
  private static let threadLimit = 1024
  /// For one thread: seconds of one operator beside a competitor with short time slices.
  private static let stretchLimit = 1024

  /// False in a recording without the scheduler's events.
  var isRecorded: Bool { !threads.isEmpty }

  mutating func add(_ slice: ThreadSlice) {
    let index = threadIndex(slice.thread)
    let (start, end) = (slice.range.start.nanoseconds, slice.range.end.nanoseconds)
    if slice.activity == .running {
      let next = slice.successor.map { number(of: $0) } ?? Self.idle
      if let cpu = slice.cpu {
        occupants.add(Self.target, on: cpu, since: start)
        occupants.add(next, on: cpu, since: end)
      }
      return
    }
    guard let index, start < end else { return }
    if stretches[index].count >= Self.stretchLimit {
      givenUpUntil[index] = stretches[index][Self.stretchLimit / 2 - 1].end
      stretches[index].removeFirst(Self.stretchLimit / 2)
    }
    guard slice.activity == .runnable else {
      stretches[index].append(
        Stretch(start: start, end: end, culprit: 0, isRunnable: false, isMigration: false))
      return
    }
    // One that was preempted waits where it ran; one that was woken, for the CPU that it gets.
    let first = slice.preemptor.map { number(of: $0) }
    let cpu = first != nil ? slice.cpu : slice.nextCPU
    occupants.find(cpu ?? -1, from: start, to: end, first: first ?? 0)
    for (from, to, culprit) in occupants.found {
      var isMigration = false
      // The kernel's own thread that moves others.
      if case .task(let name, _) = culprits[Int(culprit)] { isMigration = name.hasPrefix("migration/") }
      stretches[index].append(
        Stretch(start: from, end: to, culprit: culprit, isRunnable: true, isMigration: isMigration))
    }
  }

  private mutating func number(of preemptor: Preemptor) -> UInt16 {
    let culprit = Culprit.task(name: preemptor.name, process: preemptor.process)
    if let known = numbers[culprit] { return known }
    guard culprits.count < Self.culpritLimit else { return Self.others }
    let number = UInt16(truncatingIfNeeded: culprits.count)
    culprits.append(culprit)
    numbers[culprit] = number
    return number
  }

  /// nil for a thread of which nothing is known.
  func index(of thread: ThreadID) -> Int? {
    for index in 0..<min(threads.count, 8) where threads[index] == thread { return index }
    return indexOfThread[thread]
  }

  private mutating func threadIndex(_ thread: ThreadID) -> Int? {
    if let known = index(of: thread) { return known }
    guard threads.count < Self.threadLimit else { return nil }
    indexOfThread[thread] = threads.count
    threads.append(thread)
    stretches.append([])
    givenUpUntil.append(0)
    return threads.count - 1
  }

  /// Fills `found` with each stretch of a thread that overlaps an interval, and by how many nanoseconds, last
  /// one first.
  mutating func find(_ thread: ThreadID, from start: UInt64, to end: UInt64) {
    found.removeAll(keepingCapacity: true)
    guard start < end, let index = index(of: thread) else { return }
    if givenUpUntil[index] > start { incomplete &+= 1 }
    for stretch in stretches[index].reversed() {
      if stretch.end <= start { break }
      let (first, last) = (max(stretch.start, start), min(stretch.end, end))
      if first < last { found.append((stretch, Int64(clamping: last &- first))) }
    }
  }

  /// Forgets what a thread did up to a moment.
  mutating func forget(_ thread: ThreadID, upTo end: UInt64) {
    guard let index = index(of: thread), let first = stretches[index].first, first.end <= end else { return }
    let rest = stretches[index].firstIndex { $0.end > end } ?? stretches[index].count
    stretches[index].removeFirst(rest)
  }
}

/// Who had each CPU last, as far as the target's threads tell.
private struct CPUOccupants {
  private struct Change {
    var time: UInt64
    var culprit: UInt16
  }
  private var changes: [Int: [Change]] = [:]
  /// Of the last `find`.
  private(set) var found: [(from: UInt64, to: UInt64, culprit: UInt16)] = []

  private static let cpuLimit = 1024
  private static let changeLimit = 32

  mutating func add(_ culprit: UInt16, on cpu: Int, since time: UInt64) {
    guard changes[cpu] != nil || changes.count < Self.cpuLimit else { return }
    var list = changes.removeValue(forKey: cpu) ?? []
    // Out of order only where switches were lost.
    while let last = list.last, last.time > time { list.removeLast() }
    if list.count >= Self.changeLimit { list.removeFirst(Self.changeLimit / 2) }
    list.append(Change(time: time, culprit: culprit))
    changes[cpu] = list
  }

  /// Fills `found` with who had a CPU in an interval, one after the other.
  ///
  /// - Parameter first: who had it at the begin, where nothing else is known.
  mutating func find(_ cpu: Int, from start: UInt64, to end: UInt64, first: UInt16) {
    found.removeAll(keepingCapacity: true)
    var (from, culprit) = (start, first)
    for change in changes[cpu] ?? [] {
      if change.time >= end { break }
      if change.time > from, change.culprit != culprit {
        found.append((from, change.time, culprit))
        from = change.time
      }
      culprit = change.culprit
    }
    found.append((from, end, culprit))
  }
}
