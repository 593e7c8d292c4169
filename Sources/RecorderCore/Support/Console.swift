import CRecorderShim

/// What the user sees on standard error: one line refreshed while recording, then a summary.
public final class Console {
  private let verbosity: Int
  private let isTerminal = shim_is_terminal(2)
  private var hasProgressLine = false
  private var lastSteps: UInt64 = 0
  private var lastTime = shim_clock_monotonic()

  init(verbosity: Int) { self.verbosity = verbosity }

  func progress(steps: UInt64, events: UInt64, lost: UInt64, bytes: UInt64) {
    let now = shim_clock_monotonic()
    let tenths = (steps - lastSteps) * 10_000_000_000 / max(now - lastTime, 1)
    lastSteps = steps
    lastTime = now
    guard isTerminal, verbosity >= 0 else { return }
    hasProgressLine = true
    Console.write(
      "\r\u{1b}[Kpi-record: \(steps) token steps, \(tenths / 10).\(tenths % 10)/s, \(events) events, "
        + "\(lost) lost, \(bytes >> 10) KiB")
  }

  func note(_ text: String) {
    guard verbosity >= 0 else { return }
    clearProgress()
    Console.write("pi-record: \(text)\n")
  }

  func finish(_ summary: String) { note(summary) }

  private func clearProgress() {
    if hasProgressLine { Console.write("\r\u{1b}[K") }
    hasProgressLine = false
  }

  public static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { shim_write(2, $0.baseAddress, UInt64($0.count)) }
  }

  /// Where results that were asked for go: help and version.
  public static func print(_ text: String) {
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { shim_write(1, $0.baseAddress, UInt64($0.count)) }
  }
}
