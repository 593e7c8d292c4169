/// Tokens routed to each expert over time, in at most `limit` windows of equally many token steps: when they are
/// used up, pairs of them become one.
struct ExpertWindows: Sendable {
  struct Window: Sendable, Equatable {
    /// Indices of the first and the last token step.
    var steps: ClosedRange<Int>
    /// By number of the expert in the model; what is not there is 0.
    var tokens: [UInt32]
  }

  static let limit = 64

  private(set) var windows: [Window] = []
  /// Token steps of a window; the last one may have fewer.
  private(set) var length = 1
  private var filled = 0

  /// A token step begins.
  mutating func begin(step: Int) {
    if filled < length, let last = windows.indices.last {
      filled += 1
      windows[last].steps = Self.including(step, windows[last].steps)
      return
    }
    if windows.count == Self.limit { mergePairs() }
    filled = 1
    windows.append(Window(steps: step...step, tokens: []))
  }

  /// Counts tokens in the step that began last.
  mutating func add(_ tokens: UInt32, expert: Int) {
    guard let last = windows.indices.last else { return }
    if windows[last].tokens.count <= expert {
      windows[last].tokens.append(
        contentsOf: repeatElement(0, count: expert + 1 - windows[last].tokens.count))
    }
    windows[last].tokens[expert] &+= tokens
  }

  private mutating func mergePairs() {
    var merged: [Window] = []
    for first in stride(from: 0, to: windows.count, by: 2) {
      var window = windows[first]
      if first + 1 < windows.count {
        let other = windows[first + 1]
        window.steps = Self.including(
          other.steps.upperBound, Self.including(other.steps.lowerBound, window.steps))
        if window.tokens.count < other.tokens.count {
          window.tokens.append(
            contentsOf: repeatElement(0, count: other.tokens.count - window.tokens.count))
        }
        for (expert, tokens) in other.tokens.enumerated() { window.tokens[expert] &+= tokens }
      }
      merged.append(window)
    }
    // The limit is even and all windows were full, and so are the pairs.
    windows = merged
    length *= 2
  }

  /// Steps may end in another order than they began.
  private static func including(_ step: Int, _ range: ClosedRange<Int>) -> ClosedRange<Int> {
    min(range.lowerBound, step)...max(range.upperBound, step)
  }
}
