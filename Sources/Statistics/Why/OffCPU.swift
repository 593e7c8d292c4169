import TraceModel

/// Who had the CPU while a thread of the target could have run.
enum Culprit: Hashable {
  case task(name: String, process: UInt32?)
  /// Another thread of the target, which left a CPU just when this one got it.
  case targetThread
  /// The thread had been woken, and it is not known who ran until it got a CPU.
  case unknown
  /// More than are told apart.
  case others
}

/// The last stretches in which each thread was off its CPU, kept until the operators and waits around them are known.
///
/// A thread that is off its CPU writes no records, so a stretch lies inside of one operator, wait or gap of it.
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

  private(set) var culprits: [Culprit] = [.unknown, .targetThread, .others]
  private var numbers: [Culprit: UInt16] = [:]
  /// When the target's threads last left a CPU each.
  private var departures = [(time: UInt64, thread: ThreadID)](repeating: (0, ThreadID(0)), count: 8)
  private var nextDeparture = 0
  private var threads: [ThreadID] = []
  private var indexOfThread: [ThreadID: Int] = [:]
  private var stretches: [[Stretch]] = []
  /// Until when stretches of each thread were given up for want of room.
  private var givenUpUntil: [UInt64] = []
  /// Intervals of which a stretch had been given up: a part of what happened in them is not explained.
  private(set) var incomplete = 0

  private(set) var found: [(stretch: Stretch, time: Int64)] = []

  private static let culpritLimit = 4096
  /// Number of `Culprit.others`.
  static let others: UInt16 = 2
  /// Between one thread's leaving a CPU and the next one's record. Nanoseconds.
  private static let switchTime: UInt64 = 5_000
  private static let threadLimit = 1024
  /// For one thread: seconds of one operator beside a competitor with short time slices.
  private static let stretchLimit = 1024

  /// False in a recording without the scheduler's events.
  var isRecorded: Bool { !threads.isEmpty }

  mutating func add(_ slice: ThreadSlice) {
    let index = threadIndex(slice.thread)
    if slice.activity == .running {
      departures[nextDeparture] = (slice.range.end.nanoseconds, slice.thread)
      nextDeparture = (nextDeparture + 1) % departures.count
      return
    }
    guard let index, slice.range.duration > 0 else { return }
    if stretches[index].count >= Self.stretchLimit {
      givenUpUntil[index] = stretches[index][Self.stretchLimit / 2 - 1].end
      stretches[index].removeFirst(Self.stretchLimit / 2)
    }
    let isRunnable = slice.activity == .runnable
    stretches[index].append(
      Stretch(
        start: slice.range.start.nanoseconds, end: slice.range.end.nanoseconds,
        culprit: isRunnable ? culprit(of: slice) : 0, isRunnable: isRunnable,
        // The kernel's own thread that moves others.
        isMigration: isRunnable && slice.preemptor?.name.hasPrefix("migration/") == true))
  }

  private mutating func culprit(of slice: ThreadSlice) -> UInt16 {
    guard let preemptor = slice.preemptor else {
      let end = slice.range.end.nanoseconds
      let isTarget = departures.contains { departure in
        departure.thread != slice.thread && departure.time <= end
          && end &- departure.time <= Self.switchTime && departure.time > slice.range.start.nanoseconds
      }
      return isTarget ? 1 : 0
    }
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

  /// Fills `found` with each stretch of a thread that overlaps an interval, and by how many nanoseconds, last one
  /// first.
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
