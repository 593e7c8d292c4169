import TraceModel

/// Where a thread's counters stood at a moment; the difference of two is what it counted between them.
struct CounterMark {
  /// What the thread counted so far, as far as it is known.
  var sums = SIMD8<UInt64>()
  /// Stretches of which a counter is not known: the difference of two marks is known when these are equal.
  var breaks = SIMD8<UInt32>()
  /// Stretches that may include other tasks.
  var doubts: UInt32 = 0
}

/// Follows a thread from one record with counter values to the next.
///
/// A value counts what a CPU did, whoever ran there. So only differences on one CPU mean something, and what
/// was counted while the thread was off the CPU is not its own.
struct CounterState {
  private enum Place: UInt8 { case nowhere, onCPU, offCPU }

  private var place = Place.nowhere
  private var cpu: UInt16 = 0
  private var values = SIMD8<UInt64>()
  private var known: UInt8 = 0
  private(set) var now = CounterMark()
  /// Where the open operator, or the open barrier wait, began.
  var mark = CounterMark()
  /// Of the operator whose barrier wait is open.
  var operatorDelta = CounterDelta()

  enum Event { case running, switchedOut, switchedIn }

  /// - Parameters:
  ///   - known: bit i: `values[i]` could be read.
  ///   - isDoubtful: switches may be missing between the last record and this one.
  mutating func note(
    _ event: Event, cpu: UInt16, values: SIMD8<UInt64>, known: UInt8, columns: Int, isDoubtful: Bool
  ) {
    switch (place, event) {
    case (.nowhere, _): break
    case (.offCPU, .switchedIn): break
    case (.onCPU, .running), (.onCPU, .switchedOut):
      advance(cpu: cpu, values: values, known: known, columns: columns)
      if isDoubtful { now.doubts &+= 1 }
    case (.onCPU, .switchedIn), (.offCPU, .running), (.offCPU, .switchedOut):
      // A switch is missing: what the thread did since is not known.
      now.breaks &+= 1
    }
    place = event == .switchedOut ? .offCPU : .onCPU
    self.cpu = cpu
    self.values = values
    self.known = known
  }

  private mutating func advance(cpu: UInt16, values: SIMD8<UInt64>, known: UInt8, columns: Int) {
    guard cpu == self.cpu else {
      now.breaks &+= 1
      return
    }
    for i in 0..<columns {
      // A counter that goes backwards is no counter.
      if (self.known & known) >> UInt8(i) & 1 == 1, values[i] >= self.values[i] {
        now.sums[i] &+= values[i] &- self.values[i]
      } else {
        now.breaks[i] &+= 1
      }
    }
  }

  /// What was counted since a mark.
  func delta(since mark: CounterMark, columns: Int, hasScheduler: Bool) -> CounterDelta {
    var known: UInt8 = 0
    for i in 0..<columns where now.breaks[i] == mark.breaks[i] { known |= 1 << UInt8(i) }
    return CounterDelta(
      values: now.sums &- mark.sums, known: known,
      mayIncludeOtherTasks: !hasScheduler || now.doubts != mark.doubts)
  }
}
