import Testing
import TraceModel

@testable import Statistics

/// Makes the events of token steps as an import does, in its order: two layers of a product and attention,
/// and a head.
///
/// The threads of a graph leave each barrier together when the last of them arrives, each when it has a CPU.
struct TokenRun {
  /// What a token step does, in nanoseconds.
  struct Step {
    var phase = Phase.decode
    var context: UInt64 = 0xc0
    var position: Int?
    var cells = 256
    var tokens: Int? = 1
    /// Of each of the two products, of each attention, of the head; on every thread.
    var product: UInt64 = 1_000
    var attention: UInt64 = 500
    var head: UInt64 = 2_000
    var setup: UInt64 = 100
    var finish: UInt64 = 50
    var sampling: UInt64 = 30
    var outside: UInt64 = 20
    var threads = 1
    var taken: [Taken] = []
    var faults: [Fault] = []
    var isComplete = true
    var hasStructure = true
    var counters: CounterDelta?
  }

  /// Somebody has the CPU of a thread, from the begin of an operator (0…4) on.
  struct Taken {
    var time: UInt64
    /// nil: nobody is named.
    var by: String?
    var op = 0
    var thread: UInt32 = 100
    /// Instead of in the operator: at the barrier behind it, from the thread's arrival on.
    var isAtBarrier = false
    /// Instead of having no CPU.
    var isAsleep = false
    var process: UInt32 = 9
  }

  /// Page faults of a thread in an operator: column 0 counts all, column 1 those that read a disk.
  struct Fault {
    var op: Int
    var count: UInt64
    var major: UInt64 = 0
    var thread: UInt32 = 100
  }

  static let counters = [
    CounterColumn(index: 0, name: "page-faults"), CounterColumn(index: 1, name: "major-faults"),
  ]

  private(set) var run: RunStatistics
  private(set) var clock: UInt64 = 1_000_000
  private var steps = 0
  private var structures: Set<UInt32> = []
  private let hasCounters: Bool

  init(hasCounters: Bool = false) {
    self.hasCounters = hasCounters
    run = RunStatistics(counters: hasCounters ? Self.counters : [])
  }

  var accounts: StepAccounts { run.accounts }

  func explainer(_ facts: RecordingFacts = RecordingFacts()) -> Explainer {
    Explainer(run.accounts, facts: facts)
  }

  func summary(_ facts: RecordingFacts = RecordingFacts()) -> Summary { Summary(run, facts: facts) }

  mutating func visit(_ body: (inout RunStatistics) -> Void) { body(&run) }

  mutating func wait(_ time: UInt64) { clock += time }

  /// Steps that differ in their position only.
  mutating func steps(_ positions: Range<Int>, _ change: (inout Step) -> Void = { _ in }) {
    for position in positions {
      var step = Step(position: position)
      change(&step)
      add(step)
    }
  }

  mutating func add(_ step: Step) {
    let index = steps
    steps += 1
    let begin = clock
    let structure = UInt32(step.cells)
    if step.hasStructure, structures.insert(structure).inserted { run.structure(Self.structure(step.cells)) }
    gap(.setup, index, step.setup)
    let graph = clock
    let times = [step.product, step.attention, step.product, step.attention, step.head]
    for op in times.indices { add(op, times[op], step, index) }
    run.graphRun(
      GraphRun(
        index: index, step: index, thread: ThreadID(100), range: range(graph, clock),
        structure: step.hasStructure ? structure : nil, backend: "CPU", nodeCount: 5,
        threadCount: step.threads,
        isComplete: true))
    gap(.finish, index, step.finish)
    let end = clock
    gap(.sampling, index, step.sampling)
    gap(.outsideEngine, index, step.outside)
    run.tokenStep(
      TokenStep(
        index: index, thread: ThreadID(100), range: range(begin, end), phase: step.phase,
        tokenCount: step.tokens, position: step.position, context: step.context, graphCount: 1,
        operatorCount: 5, coverage: 1, isComplete: step.isComplete, counters: step.counters))
  }

  private mutating func gap(_ kind: GapKind, _ step: Int, _ time: UInt64) {
    guard time > 0 else { return }
    run.gap(
      GapSpan(kind: kind, step: step, thread: ThreadID(100), range: range(clock, clock + time)))
    clock += time
  }

  private mutating func add(_ op: Int, _ time: UInt64, _ step: Step, _ index: Int) {
    let threads = (0..<step.threads).map { UInt32(100 + $0) }
    var ends: [UInt32: UInt64] = [:]
    for thread in threads {
      var end = clock + time
      for taken in step.taken where taken.op == op && taken.thread == thread && !taken.isAtBarrier {
        slice(taken, from: clock, index, .operator)
        end += taken.time
      }
      ends[thread] = end
    }
    let release = ends.values.max() ?? clock
    var goesOn = release
    for taken in step.taken where taken.op == op && taken.isAtBarrier {
      let start = ends[taken.thread] ?? clock
      slice(taken, from: start, index, .barrier)
      if taken.thread == 100 { goesOn = max(goesOn, start + taken.time) }
    }
    // The main thread's span comes last or first as its next operator does.
    for thread in threads.reversed() {
      let end = ends[thread] ?? clock
      let span = OperatorSpan(
        graph: Int32(index), step: Int32(index), structure: step.hasStructure ? UInt32(step.cells) : 0,
        node: step.hasStructure ? Int32(op) : -1, lastNode: step.hasStructure ? Int32(op) : -1,
        thread: ThreadID(thread), range: range(clock, end),
        barrier: range(end, thread == 100 ? goesOn : release), isMainThread: thread == 100, isRepaired: false)
      run.operatorSpan(span)
      guard hasCounters else { continue }
      let fault = step.faults.first { $0.op == op && $0.thread == thread }
      run.operatorCounters(
        Self.delta(fault?.count ?? 0, fault?.major ?? 0), barrier: Self.delta(0, 0), of: span)
    }
    clock = goesOn
  }

  private mutating func slice(
    _ taken: Taken, from start: UInt64, _ step: Int, _ inside: ThreadSlice.Inside
  ) {
    let preemptor = taken.by.map {
      Preemptor(thread: ThreadID(taken.process), process: taken.process, name: $0)
    }
    run.threadSlice(
      ThreadSlice(
        thread: ThreadID(taken.thread), range: range(start, start + taken.time),
        activity: taken.isAsleep ? .blocked : .runnable, cpu: Int(taken.thread) - 100,
        preemptor: taken.isAsleep ? nil : preemptor, step: step, inside: inside))
  }

  static func delta(_ faults: UInt64, _ major: UInt64) -> CounterDelta {
    CounterDelta(values: SIMD8(faults, major, 0, 0, 0, 0, 0, 0), known: 3, mayIncludeOtherTasks: false)
  }

  private static func structure(_ cells: Int) -> GraphStructure {
    let layers = (0..<2).flatMap { layer in
      let base = UInt64(0x100 * (layer + 1))
      return [
        node(
          base, "MUL_MAT", "up-\(layer)", shape: [16, 1, 1, 1], sources: [0x90, 0x91], layer: layer,
          part: .ffn),
        node(
          base + 1, "FLASH_ATTN_EXT", "node_\(layer)", sources: [base, 0x92, 0x93], layer: layer,
          part: .attention),
      ]
    }
    return GraphStructure(
      number: UInt32(cells),
      nodes: layers + [
        node(
          0x500, "MUL_MAT", "result_output", shape: [4_000, 1, 1, 1], sources: [0x94, 0x100], part: .head)
      ],
      constants: [
        node(0x90, "NONE", "blk.0.ffn_up.weight", type: "q8_0", shape: [8, 16, 1, 1], executed: false),
        node(0x91, "NONE", "inp", executed: false),
        node(0x92, "NONE", "cache_k", type: "f16", shape: [8, Int64(cells), 1, 1], executed: false),
        node(0x93, "NONE", "cache_v", type: "f16", shape: [8, Int64(cells), 1, 1], executed: false),
        node(
          0x94, "NONE", "output.weight", type: "q8_0", shape: [8, 4_000, 1, 1], executed: false, bytes: 34_000
        ),
      ], isComplete: true)
  }
}

/// The parts that are known add up to the excess, whatever they are.
func expectExact(_ explanation: Explanation, _ location: SourceLocation = #_sourceLocation) {
  guard let excess = explanation.excess else { return }
  let sum = explanation.parts.reduce(Int64(0)) { $0 + ($1.time ?? 0) }
  #expect(sum == excess, sourceLocation: location)
  #expect(excess == explanation.explained - (explanation.typical ?? 0), sourceLocation: location)
}

func explain(
  _ run: TokenRun, _ step: Int, facts: RecordingFacts = RecordingFacts(),
  _ location: SourceLocation = #_sourceLocation
) throws -> Explanation {
  let explainer = run.explainer(facts)
  for explanation in explainer.all() { expectExact(explanation, location) }
  return try #require(explainer.explanation(ofStep: step), sourceLocation: location)
}

func causes(_ explanation: Explanation) -> [Cause: Int64] {
  var result: [Cause: Int64] = [:]
  for part in explanation.parts { if let time = part.time, time != 0 { result[part.cause] = time } }
  return result
}
