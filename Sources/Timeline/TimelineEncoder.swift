import TraceModel

/// Writes what a timeline consists of in a format of its own.
///
/// Slices of a lane come in any order until `complete`; of two that begin at the same time the outer one comes later.
/// Classes only: they own buffers, and a call of one costs no copy.
protocol TimelineEncoder: AnyObject {
  /// Bytes handed to the output so far.
  var byteCount: Int { get }

  /// Introduces a lane, before anything is drawn on it.
  func add(_ lane: Lane, of owner: TrackSet.Owner, title: String)
  /// Introduces a curve under the next number: 0, 1, 2 …
  func add(_ curve: Curve)
  /// Introduces an operator under the next number: 0, 1, 2 …
  func add(_ description: OperatorDescription)

  // Those that come by the million; they must not allocate.

  /// Draws the work of an operator; nil where its node is not known.
  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange)
  func operatorSlice(_ number: Int?, on lane: Lane, _ range: TimeRange, _ details: OperatorDetails)
  func barrierSlice(on lane: Lane, _ range: TimeRange, _ counters: CounterDelta)
  func gapSlice(_ kind: GapKind, on lane: Lane, _ range: TimeRange)

  func slice(_ slice: Slice, on lane: Lane)
  func point(curve: Int, _ time: TraceTime, _ value: Double)

  /// Nothing will be drawn around or between what the lane has.
  func complete(_ lane: Lane)
  /// Ends the output. `shown` has all lanes from top to bottom.
  func finish(_ shown: [TrackSet.Shown])
}

/// A row of slices that nest.
struct Lane {
  /// 0, 1, 2 … in the order of their making.
  var index: Int
  /// The thread's number, or one that no thread has.
  var number: UInt32
  /// Whether slices may come that enclose those before them.
  var isEnclosed: Bool
  /// A second lane of its owner, for slices that would partly overlap others.
  var isAdditional: Bool
}

/// Values over time. A point's value holds until the next one.
struct Curve: Hashable {
  var name: String
  var unit: String
}

/// What a slice shows under a name when it is looked at.
struct Argument {
  enum Value {
    case text(String)
    case integer(Int64)
    case count(UInt64)
    case number(Double)
    case flag(Bool)
    case address(UInt64)
  }

  var name: String
  var value: Value

  init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }

  init(_ name: String, _ value: Int) { self.init(name, .integer(Int64(value))) }
}

/// A slice that does not come by the million.
struct Slice {
  enum Category: String {
    case tokenStep = "token step"
    case graph, scheduler, enqueue, speculation, probes, loss
  }

  /// An arrow from a token step to each of its graphs.
  enum Flow {
    case fromStep(Int, toGraphs: [Int])
    case toGraph(Int, ofStep: Int)
  }

  var name: String
  /// Whether the name is one of a few, not one that counts up.
  var isNameCommon: Bool
  var category: Category
  var range: TimeRange
  var arguments: [Argument] = []
  var flow: Flow?

  init(common name: String, _ category: Category, _ range: TimeRange) {
    self.name = name
    isNameCommon = true
    self.category = category
    self.range = range
  }

  init(name: String, _ category: Category, _ range: TimeRange) {
    self.init(common: name, category, range)
    isNameCommon = false
  }
}

/// What is the same of all slices of an operator.
struct OperatorDescription {
  var title: String
  var arguments: [Argument]
}

/// What differs from slice to slice of an operator beside its time.
struct OperatorDetails {
  /// True when the end is a guess because records around it were lost.
  var isRepaired = false
  var counters = CounterDelta()
  var experts: String?
}

extension GapKind {
  /// Its place in what encoders keep for each kind.
  var position: Int {
    switch self {
    case .setup: 0
    case .betweenGraphs: 1
    case .finish: 2
    case .graphOverhead: 3
    case .notProbed: 4
    case .sampling: 5
    case .outsideEngine: 6
    }
  }

  static var inOrder: [GapKind] { allCases.sorted { $0.position < $1.position } }
}
