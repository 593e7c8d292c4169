import CTraceRecords
import TraceContainer

/// The course of the long trace: what came before the repeated part, that part as often as it takes, what came after.
struct Repetition {
  private let before: Part
  private let repeated: Part
  /// The same without the walks of new graphs, which are recorded once.
  private let again: Part
  private let after: Part
  private let rounds: Int
  /// Of the repeated part: nanoseconds, and tokens by which positions go on.
  private let duration: UInt64
  private let tokens: Int32
  /// Sequence numbers given out so far, by CPU.
  private var given: [UInt16: UInt32] = [:]

  private(set) var operatorCount = 0
  private(set) var recordCount = 0

  /// - Throws: `RepeatError` when there are too few decode steps.
  init(_ run: RecordedRun, operators: Int) throws {
    let records = run.records
    // The first that decodes has a graph of its own.
    let decoding = Self.decodeSteps(records).dropFirst()
    guard let first = decoding.first, let last = decoding.last, first < last else {
      throw RepeatError("the trace has fewer than three decode steps")
    }
    before = Part(records[..<first])
    repeated = Part(records[first..<last])
    again = Part(records[first..<last].filter { !$0.isStructure })
    after = Part(records[last...])
    duration = records[last].head.time_ns - records[first].head.time_ns
    tokens = Int32(decoding.count - 1)
    guard again.operators > 0 else { throw RepeatError("the trace has no operators") }
    let others = before.operators + after.operators
    rounds = max(1, (operators - others + again.operators - 1) / again.operators)
  }

  /// Where steps of one token begin. How many tokens a step has is told by the call or by its micro-batches.
  private static func decodeSteps(_ records: [StoredRecord]) -> [Int] {
    let begins = [PI_RECORD_TOKEN_BEGIN.rawValue, PI_RECORD_UBATCH_BEGIN.rawValue]
    let places = records.indices.filter { begins.contains(records[$0].type) }
    return zip(places, places.dropFirst()).compactMap { begin, next in
      guard records[begin].type == begins[0] else { return nil }
      let tokens = records[begin].head.ref
      if tokens != PI_UNKNOWN_COUNT { return tokens == 1 ? begin : nil }
      return records[next].type == begins[1] && records[next].head.ref == 1 ? begin : nil
    }
  }

  mutating func write(to writer: TraceFileWriter) {
    put(before, round: 0, writer)
    put(repeated, round: 0, writer)
    for round in 1..<max(rounds, 1) { put(again, round: round, writer) }
    put(after, round: rounds - 1, writer)
  }

  private mutating func put(_ part: Part, round: Int, _ writer: TraceFileWriter) {
    let base = given
    for (cpu, count) in part.numbers { given[cpu, default: 0] &+= count }
    for (record, number) in zip(part.records, part.ranks) {
      var record = record
      let head = record.head
      record.set(head.time_ns &+ UInt64(round) &* duration, at: 0)
      if record.isTargets { record.set((base[head.cpu] ?? 0) &+ number, at: 16) }
      switch record.type {
      case PI_RECORD_UBATCH_BEGIN.rawValue:
        if let begin = record.read(pi_ubatch_begin.self), begin.position >= 0 {
          record.set(begin.position &+ Int32(truncatingIfNeeded: round) &* tokens, at: 32)
        }
      case PI_RECORD_LOSS.rawValue: record.set(UInt64(given[head.cpu] ?? 0), at: 48)
      case PI_RECORD_END.rawValue:
        writer.seal()
        record.set(UInt64(recordCount), at: 24)
        record.set(writer.chunkCount, at: 40)
      default: break
      }
      writer.append(record)
      recordCount += 1
    }
    operatorCount += part.operators
  }
}

/// Some records, with what is needed to number them anew.
private struct Part {
  let records: [StoredRecord]
  /// The place of each record in the order of its CPU's sequence numbers.
  let ranks: [UInt32]
  /// Records by CPU.
  let numbers: [UInt16: UInt32]
  let operators: Int

  init(_ records: some Sequence<StoredRecord>) {
    let records = Array(records)
    var ranks = [UInt32](repeating: 0, count: records.count)
    var numbers: [UInt16: UInt32] = [:]
    for i in records.indices.filter({ records[$0].isTargets }).sorted(by: {
      records[$0].head.sequence < records[$1].head.sequence
    }) {
      ranks[i] = numbers[records[i].head.cpu, default: 0]
      numbers[records[i].head.cpu] = ranks[i] + 1
    }
    self.records = records
    self.ranks = ranks
    self.numbers = numbers
    operators = records.count(where: \.isOperator)
  }
}
