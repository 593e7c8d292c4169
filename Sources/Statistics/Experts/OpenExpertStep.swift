/// What a token step that is not over used of experts.
struct OpenExpertStep: Sendable {
  /// The reading of one expert's weights for all tokens of a graph.
  struct Use: Sendable, Equatable {
    var layer: Int
    var expert: Int
    var tokens: UInt64
  }

  /// Products with experts of one layer.
  struct Work: Sendable {
    /// Of the main thread, nanoseconds.
    var time: Int64 = 0
    var faults: UInt64 = 0
    var spans = 0
    /// Spans of all threads with known faults, and without.
    var counted = 0
    var uncounted = 0

    /// nil where one of the spans has none, and without counters.
    var knownFaults: UInt64? { counted > 0 && uncounted == 0 ? faults : nil }
  }

  let step: Int
  /// In the order in which the graphs read them: layer by layer, and in a layer by number, as ggml goes
  /// through them.
  private(set) var uses: [Use] = []
  /// By layer; nil for those without a span.
  private var work: [Work?] = []
  /// Of the layer that is being read: tokens by expert, and the experts that have any.
  private var current: [UInt64] = []
  private var touched: [Int] = []
  private var currentLayer = -1
  /// Routings of the layers read since the list was emptied, by layer.
  private(set) var routings: [UInt64] = []

  private static let limit = 1 << 17

  init(step: Int) { self.step = step }

  var isFull: Bool { uses.count >= Self.limit }

  /// Adds the experts of one token. Returns how many of them the layer does not have.
  mutating func add(_ experts: [Int32], layer: Int, experts count: Int) -> Int {
    if layer != currentLayer {
      endGraph()
      currentLayer = layer
      Self.grow(&current, to: count - 1, 0)
    }
    Self.grow(&routings, to: layer, 0)
    routings[layer] &+= 1
    var impossible = 0
    for expert in experts {
      guard expert >= 0, Int(expert) < count else {
        impossible += 1
        continue
      }
      if current[Int(expert)] == 0 { touched.append(Int(expert)) }
      current[Int(expert)] &+= 1
    }
    return impossible
  }

  /// The layer that was read is complete: another follows, or the same once more.
  mutating func endGraph() {
    guard currentLayer >= 0 else { return }
    for expert in touched.sorted() {
      uses.append(Use(layer: currentLayer, expert: expert, tokens: current[expert]))
      current[expert] = 0
    }
    touched.removeAll(keepingCapacity: true)
    currentLayer = -1
  }

  mutating func addTime(_ nanoseconds: Int64, layer: Int) {
    Self.grow(&work, to: layer, nil)
    var sum = work[layer] ?? Work()
    sum.time &+= nanoseconds
    sum.spans += 1
    work[layer] = sum
  }

  mutating func addFaults(_ faults: UInt64?, layer: Int) {
    Self.grow(&work, to: layer, nil)
    var sum = work[layer] ?? Work()
    if let faults {
      sum.faults &+= faults
      sum.counted += 1
    } else {
      sum.uncounted += 1
    }
    work[layer] = sum
  }

  /// nil where no span of the main thread was recorded.
  func work(ofLayer layer: Int) -> Work? {
    guard layer < work.count, let known = work[layer], known.spans > 0 else { return nil }
    return known
  }

  /// Begins anew; the step may go on.
  mutating func forget() {
    uses.removeAll(keepingCapacity: true)
    routings.removeAll(keepingCapacity: true)
    work.removeAll(keepingCapacity: true)
  }

  private static func grow<T>(_ array: inout [T], to index: Int, _ value: T) {
    if index >= array.count {
      array.append(contentsOf: repeatElement(value, count: index + 1 - array.count))
    }
  }
}
