import TraceModel

extension RunBuilder {
  /// A thread starts an operator, or several fused into one when `last` is another reference.
  @inline(__always)
  mutating func beginOperator(_ thread: Int, _ now: UInt64, _ reference: UInt32, last: UInt32) {
    let state = threads + thread
    // The next in the graph's order, as nearly always.
    let cursor = Int(state.pointee.cursor)
    guard let run = currentRun(thread), let executed = run.pointee.executed,
      cursor < Int(run.pointee.executedCount), executed[cursor].reference == reference
    else { return beginIrregular(thread, now, reference, last: last) }
    var end = cursor
    if last != reference {
      // Fused with the one behind, and it is known that they are.
      end &+= 1
      guard end < Int(run.pointee.executedCount), executed[end].reference == last, executed[end].isAbsorbed
      else { return beginIrregular(thread, now, reference, last: last) }
    }
    closeOperator(thread, now, run, skipped: 0)
    begin(
      thread, now, run, node: executed[cursor].node, lastNode: executed[end].node,
      position: Int32(truncatingIfNeeded: cursor))
    state.pointee.cursor = Int32(truncatingIfNeeded: end &+ 1)
  }

  /// The run that a thread works on; nil when it is over.
  @inline(__always)
  func currentRun(_ thread: Int) -> UnsafeMutablePointer<RunSlot>? {
    let state = threads + thread
    guard state.pointee.run >= 0 else { return nil }
    let run = runs + Int(state.pointee.run)
    return run.pointee.generation == state.pointee.runGeneration ? run : nil
  }

  /// The general case: a thread's first operator of a run, a fused one, one out of order, one of nowhere.
  @inline(never)
  private mutating func beginIrregular(_ thread: Int, _ now: UInt64, _ reference: UInt32, last: UInt32) {
    let slot = attach(thread, reference, now)
    guard slot >= 0 else {
      closeOperator(thread, now, currentRun(thread), skipped: 0)
      oddities.count(.operatorOutsideGraph)
      begin(thread, now, nil, node: -1, lastNode: -1, position: -1)
      return
    }
    guard let structure = runs[slot].structure, let found = structure.find(reference) else {
      closeOperator(thread, now, currentRun(thread), skipped: 0)
      if runs[slot].structure != nil { oddities.count(.unknownOperator) }
      begin(thread, now, runs + slot, node: -1, lastNode: -1, position: -1)
      return
    }
    var skipped = 0
    let cursor = threads[thread].cursor
    if found.position >= 0, found.position < cursor {
      oddities.count(.operatorOutOfOrder)
    } else if found.position > cursor {
      skipped = structure.startable(from: cursor, to: found.position)
      oddities.count(.skippedOperator, skipped)
    }
    closeOperator(thread, now, currentRun(thread), skipped: skipped)
    var lastFound = found
    if last != reference {
      // A fused operator ends behind its start, in the same structure; anything else is garbage. ggml fuses
      // empty tensors too, which are not executed alone and so have no position.
      if let end = structure.find(last), end.node > found.node {
        lastFound = end
        structure.absorb(after: found.position, through: end.position)
      } else {
        oddities.count(.unknownOperator)
      }
    }
    begin(
      thread, now, runs + slot, node: found.node, lastNode: lastFound.node, position: found.position)
    let done = max(found.position, lastFound.position)
    if done >= 0 { threads[thread].cursor = done + 1 }
  }

  @inline(__always)
  private mutating func begin(
    _ thread: Int, _ now: UInt64, _ run: UnsafeMutablePointer<RunSlot>?, node: Int32, lastNode: Int32,
    position: Int32
  ) {
    let state = threads + thread
    if let run {
      let isMain = run.pointee.owner == Int32(truncatingIfNeeded: thread)
      if position < 0 {
        // Without a place in the structure the threads' shares cannot be told apart: the owner counts.
        if isMain { run.pointee.operators &+= 1 }
      } else {
        if position >= state.pointee.cursor { run.pointee.begun &+= 1 }
        let stamp = UInt32(bitPattern: run.pointee.index) &+ 1
        if let executed = run.pointee.executed, executed[Int(position)].stamp != stamp {
          executed[Int(position)].stamp = stamp
          run.pointee.operators &+= 1
        }
      }
      if isMain, !run.pointee.hasOwnerOperator { beginFirst(thread, now, run) }
    }
    if context.hasCounters { counters[thread].mark = counters[thread].now }
    state.pointee.activity = .inOperator
    state.pointee.position = position
    state.pointee.node = node
    state.pointee.lastNode = lastNode
    state.pointee.begin = now
  }

  /// The first operator of a graph on the thread that computes it.
  @inline(never)
  private mutating func beginFirst(_ thread: Int, _ now: UInt64, _ run: UnsafeMutablePointer<RunSlot>) {
    run.pointee.hasOwnerOperator = true
    account(
      Int(threads[thread].caller), run.pointee.hasOperatorProbes ? .graphOverhead : .notProbed, to: now)
  }

  /// The thread's next operator begins: this ends the wait at the barrier, or the operator itself where
  /// there is no barrier.
  ///
  /// - Parameters:
  ///   - run: the thread's current one.
  ///   - isOwnRecord: false when the wait's end was told by another thread, or not at all.
  @inline(__always)
  private mutating func closeOperator(
    _ thread: Int, _ now: UInt64, _ run: UnsafeMutablePointer<RunSlot>?, skipped: Int,
    isOwnRecord: Bool = true
  ) {
    let state = threads + thread
    if state.pointee.activity == .idle { return }
    let isAtBarrier = state.pointee.activity == .inBarrier
    if isNearLoss, skipped > 0 || !isAtBarrier && expectsBarrier(thread) {
      return repairOperator(thread, now, isOwnRecord: isOwnRecord)
    }
    if !isAtBarrier, context.hasCounters { endOperatorCounters(thread, isOwnRecord: isOwnRecord) }
    let end = isAtBarrier ? state.pointee.end : now
    learn(thread, run, end)
    emit(thread, run, end: end, barrierEnd: now, isOwnRecord: isOwnRecord)
  }

  /// The thread arrives at a barrier of the graph's loop.
  @inline(__always)
  mutating func barrier(_ thread: Int, _ now: UInt64, isFinal: Bool) {
    let state = threads + thread
    switch state.pointee.activity {
    case .idle:
      // The final barrier stands alone behind a graph that ends with views.
      if !isFinal { oddities.count(.barrierWithoutOperator) }
      return
    case .inOperator:
      state.pointee.end = now
      state.pointee.activity = .inBarrier
      if context.hasCounters { endOperatorCounters(thread, isOwnRecord: true) }
    case .inBarrier:
      // The last operator was followed by views only: the wait goes on.
      if !isFinal { oddities.count(.barrierWithoutOperator) }
    }
    state.pointee.barrierEnd = now
    // A worker leaves the graph here; its owner waits for the others until the graph's end.
    if isFinal { leaveGraph(thread, now) }
  }

  @inline(never)
  private mutating func leaveGraph(_ thread: Int, _ now: UInt64) {
    let run = currentRun(thread)
    guard run?.pointee.owner != Int32(truncatingIfNeeded: thread) else { return }
    learn(thread, run, threads[thread].end)
    emit(thread, run, end: threads[thread].end, barrierEnd: now)
  }

  /// - Parameters:
  ///   - run: the thread's current one.
  ///   - end: when the open operator ended, and when the wait at its barrier did.
  ///   - isOwnRecord: false when the wait's end was told by another thread, or not at all.
  @inline(__always)
  mutating func emit(
    _ thread: Int, _ run: UnsafeMutablePointer<RunSlot>?, end: UInt64, barrierEnd: UInt64,
    isOwnRecord: Bool = true, isRepaired: Bool = false
  ) {
    let state = threads + thread
    let isMain = run?.pointee.owner == Int32(truncatingIfNeeded: thread)
    // Field by field into its place: a span put together elsewhere is copied in wider pieces than it was written
    // in, for which the processor waits.
    let span = output.next()
    span.pointee.graph = run?.pointee.index ?? -1
    span.pointee.step = run?.pointee.step ?? -1
    span.pointee.structure = run?.pointee.structureNumber ?? 0
    span.pointee.node = state.pointee.node
    span.pointee.lastNode = state.pointee.lastNode
    span.pointee.thread = ThreadID(state.pointee.tid)
    span.pointee.range.start = TraceTime(nanoseconds: state.pointee.begin)
    span.pointee.range.end = TraceTime(nanoseconds: end)
    span.pointee.barrier.start = TraceTime(nanoseconds: end)
    span.pointee.barrier.end = TraceTime(nanoseconds: barrierEnd)
    span.pointee.isMainThread = isMain
    span.pointee.isRepaired = isRepaired
    state.pointee.activity = .idle
    if isMain { state.pointee.accountedUntil = barrierEnd }
    guard context.hasCounters else { return }
    let wait = isOwnRecord ? counterDelta(thread, since: counters[thread].mark) : nil
    output.appendCounters(
      isRepaired ? .init() : counters[thread].operatorDelta, barrier: wait ?? CounterDelta())
  }

  /// Remembers how long the operator took, for repairs.
  @inline(__always)
  private func learn(_ thread: Int, _ run: UnsafeMutablePointer<RunSlot>?, _ end: UInt64) {
    let state = threads + thread
    guard state.pointee.position >= 0, let executed = run?.pointee.executed else { return }
    let duration = Int64(bitPattern: end &- state.pointee.begin)
    executed[Int(state.pointee.position)].duration = UInt32(clamping: max(1, duration))
  }

  /// Closes an operator of which the end lies across a loss: sets it to what the same node took before, but never
  /// later than what is known.
  @inline(never)
  private mutating func repairOperator(_ thread: Int, _ now: UInt64, isOwnRecord: Bool) {
    let state = threads + thread
    var end = state.pointee.end
    if state.pointee.activity == .inOperator {
      end = now
      if context.hasCounters { endOperatorCounters(thread, isOwnRecord: false) }
    }
    let run = currentRun(thread)
    if state.pointee.position >= 0,
      let usual = run?.pointee.executed?[Int(state.pointee.position)].duration, usual > 0
    {
      end = min(end, state.pointee.begin &+ UInt64(usual))
    }
    oddities.count(.repairedOperator)
    emit(thread, run, end: end, barrierEnd: end, isOwnRecord: isOwnRecord, isRepaired: true)
  }

  /// Whether an operator of this thread's run should have ended at a barrier.
  private func expectsBarrier(_ thread: Int) -> Bool {
    context.hasBarriers && (currentRun(thread)?.pointee.threadCount ?? 0) > 1
  }

  /// The graph has ended: so has what this thread did in it.
  ///
  /// - Parameter isOwnRecord: false when the record that says so is another thread's.
  mutating func endOperator(_ thread: Int, _ now: UInt64, isOwnRecord: Bool) {
    closeOperator(thread, now, currentRun(thread), skipped: 0, isOwnRecord: isOwnRecord)
    threads[thread].run = -1
  }

  /// The end of what this thread did was not recorded.
  mutating func abandonOperator(_ thread: Int) {
    switch threads[thread].activity {
    case .idle: break
    case .inBarrier: emitWaiting(thread)
    case .inOperator:
      threads[thread].activity = .idle
      // With the probes out its end is nowhere; that is no oddity.
      if probeGap == nil { oddities.count(.droppedOperator) }
    }
    threads[thread].run = -1
  }

  /// The span of an operator whose wait has no end of its own.
  mutating func emitWaiting(_ thread: Int) {
    emit(
      thread, currentRun(thread), end: threads[thread].end, barrierEnd: threads[thread].barrierEnd,
      isOwnRecord: false)
  }

  /// The run to which a thread's operator belongs, as a slot; -1 for none.
  private mutating func attach(_ thread: Int, _ reference: UInt32, _ now: UInt64) -> Int {
    let current = Int(threads[thread].run)
    let isCurrent = current >= 0 && runs[current].generation == threads[thread].runGeneration
    // The caller of a graph computes that graph and nothing else.
    if isCurrent, runs[current].owner == Int32(thread) || runs[current].structure?.find(reference) != nil {
      return current
    }
    var best = -1
    var bestRank = 0
    for active in activeRuns {
      let slot = Int(active)
      let knows = runs[slot].structure?.find(reference) != nil
      // Without structures only an only graph, or the pool's usual owner, can be meant.
      guard knows || runs[slot].structure == nil else { continue }
      let isUsual = runs[slot].owner == threads[thread].affinity
      guard knows || isUsual || activeRuns.count == 1 else { continue }
      let rank = (knows ? 4 : 1) + (isUsual ? 2 : 0)
      if rank > bestRank {
        best = slot
        bestRank = rank
      }
    }
    if best < 0 {
      // An unknown tensor in the middle of a graph that the thread works on.
      return isCurrent ? current : activeRuns.count == 1 ? join(thread, Int(activeRuns[0]), now) : -1
    }
    return best == current && isCurrent ? current : join(thread, best, now)
  }

  private mutating func join(_ thread: Int, _ slot: Int, _ now: UInt64) -> Int {
    closeOperator(thread, now, currentRun(thread), skipped: 0)
    threads[thread].run = Int32(slot)
    threads[thread].runGeneration = runs[slot].generation
    threads[thread].affinity = runs[slot].owner
    threads[thread].cursor = 0
    if runs[slot].owner != Int32(thread) { runs[slot].workers.append(Int32(thread)) }
    return slot
  }
}
