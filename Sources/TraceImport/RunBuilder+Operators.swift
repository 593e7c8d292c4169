import TraceModel

extension RunBuilder {
  /// A thread starts an operator, or several fused into one when `last` is another reference.
  @inline(__always)
  mutating func beginOperator(_ thread: Int, _ now: UInt64, _ reference: UInt32, last: UInt32) {
    let state = threads + thread
    let slot = Int(state.pointee.run)
    if slot >= 0, runs[slot].generation == state.pointee.runGeneration, last == reference {
      let cursor = state.pointee.cursor
      if cursor < runs[slot].executedCount, let references = runs[slot].references,
        references[Int(cursor)] == reference, let nodes = runs[slot].nodes
      {
        closeOperator(thread, now, skipped: 0)
        let node = nodes[Int(cursor)]
        begin(thread, now, slot, node: node, lastNode: node, position: cursor)
        state.pointee.cursor = cursor + 1
        return
      }
    }
    beginIrregular(thread, now, reference, last: last)
  }

  /// The general case: a thread's first operator of a run, a fused one, one out of order, one of nowhere.
  private mutating func beginIrregular(_ thread: Int, _ now: UInt64, _ reference: UInt32, last: UInt32) {
    let slot = attach(thread, reference, now)
    guard slot >= 0 else {
      closeOperator(thread, now, skipped: 0)
      oddities.count(.operatorOutsideGraph)
      begin(thread, now, -1, node: -1, lastNode: -1, position: -1)
      return
    }
    guard let structure = runs[slot].structure, let found = structure.find(reference) else {
      closeOperator(thread, now, skipped: 0)
      if runs[slot].structure != nil { oddities.count(.unknownOperator) }
      begin(thread, now, slot, node: -1, lastNode: -1, position: -1)
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
    closeOperator(thread, now, skipped: skipped)
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
    begin(thread, now, slot, node: found.node, lastNode: lastFound.node, position: found.position)
    let done = max(found.position, lastFound.position)
    if done >= 0 { threads[thread].cursor = done + 1 }
  }

  @inline(__always)
  private mutating func begin(
    _ thread: Int, _ now: UInt64, _ slot: Int, node: Int32, lastNode: Int32, position: Int32
  ) {
    let state = threads + thread
    let time = TraceTime(nanoseconds: now)
    var isMain = false
    var graph: Int32 = -1
    var step: Int32 = -1
    var structure: UInt32 = 0
    if slot >= 0 {
      let run = runs + slot
      graph = run.pointee.index
      step = run.pointee.step
      structure = run.pointee.structureNumber
      isMain = run.pointee.owner == Int32(truncatingIfNeeded: thread)
      if position < 0 {
        // Without a place in the structure the threads' shares cannot be told apart: the owner counts.
        if isMain { run.pointee.operators &+= 1 }
      } else {
        if position >= state.pointee.cursor { run.pointee.begun &+= 1 }
        let stamp = UInt32(bitPattern: graph) &+ 1
        if let stamps = run.pointee.stamps, stamps[Int(position)] != stamp {
          stamps[Int(position)] = stamp
          run.pointee.operators &+= 1
        }
      }
      if isMain, !run.pointee.hasOwnerOperator {
        run.pointee.hasOwnerOperator = true
        account(
          Int(state.pointee.caller), run.pointee.hasOperatorProbes ? .graphOverhead : .notProbed, to: now)
      }
    }
    if context.hasCounters { counters[thread].mark = counters[thread].now }
    state.pointee.activity = .inOperator
    state.pointee.position = position
    state.pointee.span = OperatorSpan(
      graph: graph, step: step, structure: structure, node: node, lastNode: lastNode,
      thread: ThreadID(state.pointee.tid), range: TimeRange(start: time, end: time),
      barrier: TimeRange(start: time, end: time), isMainThread: isMain, isRepaired: false)
  }

  /// The thread's next operator begins: this ends the wait at the barrier, or the operator itself where
  /// there is no barrier.
  @inline(__always)
  private mutating func closeOperator(
    _ thread: Int, _ now: UInt64, skipped: Int, isOwnRecord: Bool = true
  ) {
    let state = threads + thread
    let time = TraceTime(nanoseconds: now)
    switch state.pointee.activity {
    case .idle: return
    case .inBarrier:
      state.pointee.span.barrier.end = time
      if skipped > 0, isNearLoss { repair(thread) } else { learn(thread) }
    case .inOperator:
      state.pointee.span.range.end = time
      state.pointee.span.barrier = TimeRange(start: time, end: time)
      let isGuess = isNearLoss && (skipped > 0 || expectsBarrier(thread))
      if isGuess { repair(thread) } else { learn(thread) }
      if context.hasCounters { endOperatorCounters(thread, isOwnRecord: isOwnRecord && !isGuess) }
    }
    emit(thread, isOwnRecord: isOwnRecord)
  }

  /// The thread arrives at a barrier of the graph's loop.
  @inline(__always)
  mutating func barrier(_ thread: Int, _ now: UInt64, isFinal: Bool) {
    let state = threads + thread
    let time = TraceTime(nanoseconds: now)
    switch state.pointee.activity {
    case .idle:
      // The final barrier stands alone behind a graph that ends with views.
      if !isFinal { oddities.count(.barrierWithoutOperator) }
      return
    case .inOperator:
      state.pointee.span.range.end = time
      state.pointee.span.barrier = TimeRange(start: time, end: time)
      state.pointee.activity = .inBarrier
      if context.hasCounters { endOperatorCounters(thread, isOwnRecord: true) }
    case .inBarrier:
      // The last operator was followed by views only: the wait goes on.
      if !isFinal { oddities.count(.barrierWithoutOperator) }
      state.pointee.span.barrier.end = time
    }
    // A worker leaves the graph here; its owner waits for the others until the graph's end.
    if isFinal, !state.pointee.span.isMainThread {
      learn(thread)
      emit(thread)
    }
  }

  /// - Parameter isOwnRecord: false when the wait's end was told by another thread, or not at all.
  @inline(__always)
  mutating func emit(_ thread: Int, isOwnRecord: Bool = true) {
    let state = threads + thread
    state.pointee.activity = .idle
    if context.hasCounters {
      let wait = isOwnRecord ? counterDelta(thread, since: counters[thread].mark) : nil
      output.append(
        state.pointee.span,
        counters: state.pointee.span.isRepaired ? .init() : counters[thread].operatorDelta,
        barrier: wait ?? CounterDelta())
    } else {
      output.append(state.pointee.span)
    }
    statistics.operatorSpans &+= 1
    if state.pointee.span.isMainThread, state.pointee.caller >= 0 {
      callers[Int(state.pointee.caller)].accountedUntil = state.pointee.span.barrier.end.nanoseconds
    }
  }

  /// Remembers how long the operator took, for repairs.
  @inline(__always)
  private func learn(_ thread: Int) {
    let state = threads + thread
    let slot = Int(state.pointee.run)
    guard state.pointee.position >= 0, slot >= 0, runs[slot].generation == state.pointee.runGeneration,
      let durations = runs[slot].durations
    else { return }
    durations[Int(state.pointee.position)] = UInt32(clamping: max(1, state.pointee.span.range.duration))
  }

  /// Sets an end that lies across a loss to what the same node took before, but never later than what is known.
  private mutating func repair(_ thread: Int) {
    let state = threads + thread
    let slot = Int(state.pointee.run)
    var span = state.pointee.span
    if state.pointee.position >= 0, slot >= 0, runs[slot].generation == state.pointee.runGeneration,
      let usual = runs[slot].durations?[Int(state.pointee.position)], usual > 0
    {
      let end = span.range.start.nanoseconds &+ UInt64(usual)
      span.range.end = min(span.range.end, TraceTime(nanoseconds: end))
    }
    span.barrier = TimeRange(start: span.range.end, end: span.range.end)
    span.isRepaired = true
    state.pointee.span = span
    oddities.count(.repairedOperator)
  }

  /// Whether an operator of this thread's run should have ended at a barrier.
  private func expectsBarrier(_ thread: Int) -> Bool {
    let slot = Int(threads[thread].run)
    return context.hasBarriers && slot >= 0 && runs[slot].generation == threads[thread].runGeneration
      && runs[slot].threadCount > 1
  }

  /// The graph has ended: so has what this thread did in it.
  ///
  /// - Parameter isOwnRecord: false when the record that says so is another thread's.
  mutating func endOperator(_ thread: Int, _ now: UInt64, isOwnRecord: Bool) {
    closeOperator(thread, now, skipped: 0, isOwnRecord: isOwnRecord)
    threads[thread].run = -1
  }

  /// The end of what this thread did was not recorded.
  mutating func abandonOperator(_ thread: Int) {
    switch threads[thread].activity {
    case .idle: break
    case .inBarrier: emit(thread, isOwnRecord: false)
    case .inOperator:
      threads[thread].activity = .idle
      // With the probes out its end is nowhere; that is no oddity.
      if probeGap == nil { oddities.count(.droppedOperator) }
    }
    threads[thread].run = -1
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
    closeOperator(thread, now, skipped: 0)
    threads[thread].run = Int32(slot)
    threads[thread].runGeneration = runs[slot].generation
    threads[thread].affinity = runs[slot].owner
    threads[thread].cursor = 0
    if runs[slot].owner != Int32(thread) { runs[slot].workers.append(Int32(thread)) }
    return slot
  }
}
