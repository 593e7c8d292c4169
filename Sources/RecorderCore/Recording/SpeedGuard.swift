/// `--qos-min-tps`: when decoding falls under a speed, the operator probes go; when it has recovered for a while, they
/// come back.
///
/// Probes that return only to go again would cost more than either, so each return that did not last doubles the
/// wait for the next.
struct SpeedGuard {
  enum Action { case drop, resume }

  /// Decoding must be this much faster than the limit before the probes come back.
  private static let recovery = 1.1
  private static let window: UInt64 = 1_000_000_000
  private static let shortestWait: UInt64 = 3_000_000_000
  private static let longestWait: UInt64 = 60_000_000_000
  /// A return that lasted this long was right.
  private static let lasting: UInt64 = 10_000_000_000

  /// Tokens per second.
  private let limit: Double
  /// Time and tokens of the decode steps of the last window.
  private var steps: [(end: UInt64, duration: UInt64, tokens: UInt32)] = []
  private var isDropped = false
  private var recoveredSince: UInt64?
  private var resumedAt: UInt64 = 0
  private var wait = SpeedGuard.shortestWait
  /// Of the last window.
  private(set) var tokensPerSecond = 0.0

  init(limit: Double) { self.limit = limit }

  /// A decode step has ended.
  mutating func step(begin: UInt64, end: UInt64, tokens: UInt32) {
    guard end > begin else { return }
    steps.append((end, end - begin, tokens))
  }

  /// - Returns: what is to be done now.
  mutating func decide(now: UInt64) -> Action? {
    steps.removeAll { now > $0.end && now - $0.end > Self.window }
    var time: UInt64 = 0
    var tokens: UInt64 = 0
    for step in steps {
      time += step.duration
      tokens += UInt64(step.tokens)
    }
    // A window without steps says nothing: nobody asks for tokens. Three steps are the least that is no accident.
    guard steps.count >= 3, time > 0 else {
      recoveredSince = nil
      return nil
    }
    tokensPerSecond = Double(tokens) * 1e9 / Double(time)
    if !isDropped {
      guard tokensPerSecond < limit else { return nil }
      isDropped = true
      recoveredSince = nil
      if resumedAt != 0, now - resumedAt < Self.lasting {
        wait = min(wait * 2, Self.longestWait)
      } else {
        wait = Self.shortestWait
      }
      steps.removeAll()
      return .drop
    }
    guard tokensPerSecond >= limit * Self.recovery else {
      recoveredSince = nil
      return nil
    }
    let since = recoveredSince ?? now
    recoveredSince = since
    guard now - since >= wait else { return nil }
    isDropped = false
    resumedAt = now
    steps.removeAll()
    return .resume
  }
}
