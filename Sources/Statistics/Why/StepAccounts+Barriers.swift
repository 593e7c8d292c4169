import TraceModel

extension StepAccounts {
  /// Accounts for the main thread's waits at the meetings of a graph that are whole.
  ///
  /// The threads leave a barrier together when the last of them arrives, but one without a CPU goes on later.
  /// Of the main thread's wait, this much is not the barrier's:
  ///
  /// - what it had no CPU for after the release: that is its own preemption;
  /// - what another thread came too late for want of a CPU. Without the time that it had none since the
  ///   release before (and did not sleep in an operator with page faults), each thread would have arrived
  ///   earlier by that. The wait was longer by the distance from the last of those arrivals, or the main
  ///   thread's own, to the release. It goes to whoever had the CPU of the thread that came last, from its
  ///   last such stretch backwards;
  /// - of the rest, what a thread whose operator had page faults came behind everybody else.
  mutating func settle(graph: Int32, isOver: Bool) {
    guard let index = meetings.index(ofGraph: graph) else { return }
    while let count = meetings.next(index, isOver: isOver) {
      var meeting = Meeting()
      for place in 0..<count { meeting.add(meetings.graphs[index].arrivals[place], at: place) }
      if meeting.main >= 0 { settle(meeting, in: index) }
      meetings.remove(count, of: index, release: meeting.release)
    }
    if isOver { meetings.end(index) }
  }

  private mutating func settle(_ meeting: Meeting, in graph: Int) {
    let main = meetings.graphs[graph].arrivals[meeting.main]
    let last = meetings.graphs[graph].arrivals[meeting.last]
    let begin = meetings.graphs[graph].release ?? main.start
    var wait = Int64(clamping: main.waitEnd &- main.end)
    var late: Int64 = 0
    let step = main.step >= 0 ? openIndex(Int(main.step)) : -1
    if offCPU.isRecorded {
      late = min(lateness(meeting, in: graph, since: begin, step), wait)
      if step >= 0 {
        blame(last, for: late, since: begin, kind: main.kind, into: step)
        wait &-= late
        wait &-= take(
          main.thread,
          TimeRange(start: .init(nanoseconds: meeting.release), end: .init(nanoseconds: main.waitEnd)),
          from: .barrier, into: step, waits: false)
      }
    }
    if meeting.count > 1 { threads.add(meeting, kind: Int(main.kind), last: last.thread, heldUp: late) }
    guard step >= 0 else { return }
    if last.hadFaults, !last.isMain {
      let fault = min(max(Int64(clamping: meeting.release &- meeting.secondEnd) &- late, 0), max(wait, 0))
      open[step].addPeerFault(fault, kind: main.kind, use: .peerFault)
      wait &-= fault
    }
    open[step][.barrier] &+= wait
  }

  /// By how much the threads were released later than if all of them had had a CPU, nanoseconds.
  private mutating func lateness(_ meeting: Meeting, in graph: Int, since begin: UInt64, _ step: Int) -> Int64
  {
    let main = meetings.graphs[graph].arrivals[meeting.main]
    var earliest = main.end
    var isOversubscribed = false
    var longest: (time: UInt64, culprit: UInt16) = (0, 0)
    for place in 0..<meeting.count {
      let arrival = meetings.graphs[graph].arrivals[place]
      offCPU.find(arrival.thread, from: begin, to: meeting.release)
      var taken: UInt64 = 0
      for (stretch, _) in offCPU.found {
        if stretch.isRunnable, stretch.end > meeting.firstEnd { isOversubscribed = true }
        guard stretch.countsAsLate(in: arrival) else { continue }
        taken &+= Self.overlap(stretch, begin, arrival.end)
        guard place != meeting.main, stretch.isRunnable else { continue }
        let meanwhile = Self.overlap(stretch, main.start, main.end)
        if meanwhile > longest.time { longest = (meanwhile, stretch.culprit) }
      }
      // It cannot have begun before the release.
      let worked = arrival.end > begin ? arrival.end &- begin : 0
      if place != meeting.main { earliest = max(earliest, arrival.end &- min(taken, worked)) }
      offCPU.forget(arrival.thread, upTo: min(begin, meeting.release))
    }
    if isOversubscribed { threads.addOversubscribed(meeting) }
    if longest.time > 0, step >= 0 {
      open[step].addPeer(Int64(clamping: longest.time), kind: main.kind, culprit: longest.culprit)
    }
    return meeting.release > earliest ? Int64(clamping: meeting.release &- earliest) : 0
  }

  private static func overlap(_ stretch: OffCPU.Stretch, _ start: UInt64, _ end: UInt64) -> UInt64 {
    let (from, to) = (max(stretch.start, start), min(stretch.end, end))
    return from < to ? to &- from : 0
  }

  private mutating func blame(
    _ last: Arrival, for late: Int64, since begin: UInt64, kind: UInt16, into step: Int
  ) {
    guard late > 0 else { return }
    offCPU.find(last.thread, from: begin, to: last.end)
    var rest = late
    for (stretch, overlap) in offCPU.found where stretch.countsAsLate(in: last) {
      let time = min(overlap, rest)
      guard time > 0 else { break }
      rest &-= time
      if stretch.isRunnable {
        open[step].add(
          time, culprit: stretch.culprit, use: stretch.isMigration ? .peerMigration : .peerPreemption)
      } else {
        open[step].addPeerFault(time, kind: kind, use: .blockedInFault)
      }
    }
    // Nothing is left: the last thread alone lost at least as much.
    open[step][.barrier] &+= rest
  }
}

extension OffCPU.Stretch {
  /// Whether a thread came later because of it. One that slept may have slept for the others, in the middle
  /// of the operator or at the barrier; with page faults it slept for a page.
  fileprivate func countsAsLate(in arrival: Arrival) -> Bool {
    isRunnable || arrival.hadFaults && start >= arrival.start
  }
}

/// What the arrivals at one barrier say together.
struct Meeting {
  /// Places of the main thread's arrival, -1 where it was lost, and of the last one.
  var main = -1
  var last = 0
  var count = 0
  var firstEnd = UInt64.max
  /// Of the last arrival, and of the last but one.
  var release: UInt64 = 0
  var secondEnd: UInt64 = 0
  /// Work of the threads: together, and of the one that worked longest. Nanoseconds.
  var work: UInt64 = 0
  var longest: UInt64 = 0

  mutating func add(_ arrival: Arrival, at place: Int) {
    if arrival.isMain { main = place }
    if count == 0 || arrival.end > release {
      secondEnd = release
      release = arrival.end
      last = place
    } else {
      secondEnd = max(secondEnd, arrival.end)
    }
    count += 1
    firstEnd = min(firstEnd, arrival.end)
    work &+= arrival.end &- arrival.start
    longest = max(longest, arrival.end &- arrival.start)
  }
}
