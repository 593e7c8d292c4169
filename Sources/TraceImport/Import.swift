import CTraceRecords
import TraceContainer
import TraceModel

/// Reads a trace once from begin to end and hands its run to a visitor.
///
/// Memory depends on the graphs and on the size of one chunk, not on the length of the trace. Damage, losses and
/// records that make no sense are counted in the result and passed over; what can be vouched for is handed on.
///
/// - Parameters:
///   - info: of the same trace, if it was read already.
///   - threads: to use, 1 or 2; the results do not depend on it. By default two where there are two processors, and
///     the trace is long enough.
/// - Throws: `TraceFileError` when the file header is wrong.
public func importRun(
  _ trace: TraceFile, info: TraceInfo? = nil, threads: Int? = nil, into visitor: inout some RunVisitor
) throws(TraceFileError) -> ImportStatistics {
  let info = if let info { info } else { try TraceInfo(trace) }
  var builder = RunBuilder(RunContext(info), draftContexts: findDraftContexts(trace, info))
  var merger = RecordMerger()
  let source = try ChunkSource(trace, threads: threads ?? usualThreads(info))
  var sequences = SequenceAccount()
  var damage: [Damage] = []
  var nextNumber: UInt32 = 0
  var wasLossy = false
  // Of chunks near a loss: what is held back of them is near it whenever it is handed on.
  var latestNearLoss: UInt64 = 0
  while let prepared = source.next(&damage), let chunk = prepared.chunk {
    var isLossy = chunk.number != nextNumber
    if isLossy {
      builder.oddities.count(.missingChunk, Int(clamping: Int64(chunk.number) - Int64(nextNumber)))
    }
    nextNumber = chunk.number &+ 1
    guard chunk.kind.holdsRecords else { continue }
    for range in chunk.cpus where sequences.add(range) { isLossy = true }
    if let failure = prepared.failure {
      damage.append(
        Damage(
          offset: failure.offset, skippedBytes: UInt64(chunk.storedBytes), description: failure.reason))
      wasLossy = true
      continue
    }
    if isLossy || wasLossy { latestNearLoss = max(latestNearLoss, prepared.order.latest) }
    builder.isNearLoss = isLossy || wasLossy || merger.holds(upTo: latestNearLoss)
    wasLossy = isLossy
    builder.oddities.count(.shortRecord, prepared.order.shortRecords)
    prepared.rows.withUnsafeBytes { bytes in
      builder.losses.note(chunk.cpus, prepared.order, in: bytes)
      let limit = merger.limit(with: prepared.order)
      while !merger.drain(prepared.order, in: bytes, upTo: limit, into: &builder) {
        builder.output.handOver(to: &visitor)
      }
      merger.keep(prepared.order, in: bytes)
    }
    builder.losses.endBatch(&builder.output)
    builder.output.handOver(to: &visitor)
  }
  builder.isNearLoss = merger.holds(upTo: latestNearLoss)
  let none = RecordOrder()
  let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
  while !merger.drain(none, in: nothing, upTo: .max, into: &builder) {
    builder.output.handOver(to: &visitor)
  }
  builder.finish()
  for cpu in info.cpus {
    let seen = sequences.cpus[cpu.cpu]?.numbersGiven ?? 0
    let tail = cpu.records &+ cpu.missing
    if tail > seen {
      builder.losses.addTail(cpu: cpu.cpu, lost: tail - seen, end: builder.context.end, &builder.output)
    }
  }
  builder.output.handOver(to: &visitor)
  return builder.result(merger, damage)
}

/// A thread for a handful of chunks costs more than it saves.
private func usualThreads(_ info: TraceInfo) -> Int {
  info.chunks.events < 4 ? 1 : min(ChunkSource.processors, 2)
}

extension RunContext {
  init(_ info: TraceInfo) {
    self.init()
    names = info.metadata.operatorNames
    layout = info.metadata.tensorLayout
    hasSteps = info.count(RecordType.tokenBegin) > 0
    hasGraphs = info.count(RecordType.graphBegin) > 0
    hasOperators = info.count(RecordType.operatorBegin) + info.count(RecordType.operatorFused) > 0
    hasBarriers = info.count(RecordType.barrier) > 0
    hasSamples = info.count(RecordType.sampleBegin) > 0
    counterColumns = info.metadata.counterColumns.map { $0.index + 1 }.max() ?? 0
    hasAccepts = info.count(RecordType.accept) > 0
    hasScheduler =
      info.count(RecordType.switchOut) + info.count(RecordType.switchIn) + info.count(RecordType.wakeup) > 0
    end = info.range?.end.nanoseconds ?? 0
  }
}

extension RunBuilder {
  consuming func result(_ merger: borrowing RecordMerger, _ damage: [Damage]) -> ImportStatistics {
    var result = statistics
    result.operatorSpans = output.handedOver
    result.distinctStructures = structures.distinctCount
    result.carriedRecords = merger.carriedRecords
    result.lostRecords = losses.lost
    result.damage = damage
    result.oddities = oddities
    result.oddities[.holdBackOverflow] += merger.overflows
    result.oddities[.repeatedSequence] += losses.repeated
    result.oddities[.damagedChunk] += damage.count
    return result
  }
}
