import TraceModel

/// Rows of one kind of event, handed on as they are read.
public struct EventRows: RunVisitor {
  public enum Kind: String, Sendable, CaseIterable {
    /// Token steps, in the order of their ends.
    case steps
    /// Computations of a graph on a backend.
    case graphs
    /// Named stretches of the calling thread outside of operators: set-up, sampling, outside the engine.
    case gaps
    /// What the scheduler did with each thread.
    case slices
    /// Stretches in which records of a CPU are missing.
    case losses
    /// Clock frequencies and temperatures.
    case readings
  }

  private let kind: Kind
  private let counters: [CounterColumn]
  private let row: ([Cell]) -> Void

  /// - Parameters:
  ///   - counters: of the recording.
  ///   - row: takes the cells of one row, in the order of `columns`.
  public init(_ kind: Kind, counters: [CounterColumn], row: @escaping ([Cell]) -> Void) {
    self.kind = kind
    self.counters = counters
    self.row = row
  }

  public static func columns(_ kind: Kind, counters: [CounterColumn]) -> [Column] {
    let time = [Column("start_ns", nil, .nanoseconds), Column("duration_ns", nil, .nanoseconds)]
    switch kind {
    case .steps:
      let columns =
        [Column("step"), Column("phase", isText: true), Column("context", isText: true), Column("tid")] + time
        + [
          Column("n_tokens"), Column("position"), Column("n_graphs"), Column("n_ops"),
          Column("coverage", nil, .share),
          Column("complete", isText: true),
        ]
      return columns + Column.counters(counters, behind: columns)
    case .graphs:
      let columns =
        [Column("graph"), Column("step"), Column("tid"), Column("backend", isText: true)] + time
        + [Column("n_nodes"), Column("n_threads"), Column("structure"), Column("complete", isText: true)]
      return columns + Column.counters(counters, behind: columns)
    case .gaps: return [Column("kind", isText: true), Column("step"), Column("tid")] + time
    case .slices:
      return [Column("tid"), Column("step"), Column("activity", isText: true)] + time
        + [
          Column("cpu"), Column("migration", isText: true), Column("inside", isText: true),
          Column("preemptor_tid"),
          Column("preemptor", isText: true),
        ]
    case .losses: return [Column("cpu")] + time + [Column("lost_records")]
    case .readings:
      return [
        Column("time_ns", nil, .nanoseconds), Column("kind", isText: true), Column("of"), Column("value"),
      ]
    }
  }

  private func times(_ range: TimeRange) -> [Cell] {
    [Cell(range.start.nanoseconds), .integer(range.duration)]
  }

  private func yes(_ value: Bool) -> Cell { .text(value ? "yes" : "no") }

  private func counted(_ delta: CounterDelta?) -> [Cell] { counters.map { Cell(counter: delta?[$0.index]) } }

  public mutating func tokenStep(_ step: TokenStep) {
    guard kind == .steps else { return }
    row(
      [
        .integer(Int64(step.index)), .text(step.phase.rawValue),
        .text("0x" + String(step.context, radix: 16)),
        .integer(Int64(step.thread.rawValue)),
      ] + times(step.range) + [
        Cell(step.tokenCount), Cell(step.position), Cell(step.graphCount), Cell(step.operatorCount),
        Cell(step.coverage), yes(step.isComplete),
      ] + counted(step.counters))
  }

  public mutating func graphRun(_ run: GraphRun) {
    guard kind == .graphs else { return }
    row(
      [
        .integer(Int64(run.index)), Cell(run.step), .integer(Int64(run.thread.rawValue)), .text(run.backend),
      ] + times(run.range) + [
        Cell(run.nodeCount), Cell(run.threadCount), Cell(run.structure.map { Int($0) }), yes(run.isComplete),
      ] + counted(run.counters))
  }

  public mutating func gap(_ gap: GapSpan) {
    guard kind == .gaps else { return }
    row([.text(gap.kind.rawValue), Cell(gap.step), .integer(Int64(gap.thread.rawValue))] + times(gap.range))
  }

  public mutating func threadSlice(_ slice: ThreadSlice) {
    guard kind == .slices else { return }
    row(
      [.integer(Int64(slice.thread.rawValue)), Cell(slice.step), .text(slice.activity.rawValue)]
        + times(slice.range) + [
          Cell(slice.cpu), yes(slice.isMigration), Cell(slice.inside?.rawValue),
          Cell(slice.preemptor.map { Int($0.thread.rawValue) }), Cell(slice.preemptor?.name),
        ])
  }

  public mutating func lossGap(_ gap: LossGap) {
    guard kind == .losses else { return }
    row([Cell(gap.cpu)] + times(gap.range) + [Cell(gap.lostRecords)])
  }

  public mutating func reading(_ reading: Reading) {
    guard kind == .readings else { return }
    let (name, of, value): (String, Int, Cell)
    switch reading.value {
    case .frequency(let cpu, let kilohertz): (name, of, value) = ("frequency_khz", cpu, Cell(Int(kilohertz)))
    case .temperature(let zone, let millicelsius):
      (name, of, value) = ("temperature_millicelsius", zone, Cell(Int(millicelsius)))
    // Totals of a CPU since the recording began, for whatever task: --pmc's values of operators are in their rows.
    case .counter: return
    }
    row([Cell(reading.time.nanoseconds), .text(name), .integer(Int64(of)), value])
  }
}
