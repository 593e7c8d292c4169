import CTraceRecords
import TraceModel

extension RunBuilder {
  private static let maxDepth = 16

  mutating func beginGraph(_ thread: Int, _ now: UInt64, _ begin: pi_graph_begin) {
    guard let caller = callerIndex(thread) else { return }
    let kind = begin.head.flags
    if kind == UInt8(PI_GRAPH_CPU.rawValue) {
      // A CPU graph never contains another: the end of the one before was lost.
      if let open = callers[caller].graphs.firstIndex(where: { $0.slot >= 0 }) {
        while callers[caller].graphs.count > open { abandonGraph(caller, previousTime) }
      }
    }
    guard callers[caller].graphs.count < Self.maxDepth else { return oddities.count(.tooMany) }
    // What the thread did before, for itself or for another graph, is over.
    closeForeign(thread, now)
    if callers[caller].step != nil { flushHeld(caller) }
    for i in callers[caller].graphs.indices { callers[caller].graphs[i].wraps = true }
    guard kind == UInt8(PI_GRAPH_CPU.rawValue) else {
      callers[caller].graphs.append(
        GraphFrame(
          kind: kind, slot: -1, begin: now, backend: begin.backend, nodeCount: max(0, Int(begin.n_nodes)),
          structure: structures.index(begin.head.ref), counters: counterMark(thread)))
      return
    }
    guard let slot = (0..<Self.maxRuns).first(where: { !runs[$0].isActive }) else {
      return oddities.count(.tooMany)
    }
    accountBeforeGraph(caller, now)
    start(slot, thread, caller, now, begin)
    callers[caller].graphs.append(
      GraphFrame(
        kind: kind, slot: Int32(slot), begin: now, backend: 0, nodeCount: max(0, Int(begin.n_nodes)),
        counters: counterMark(thread)))
  }

  private mutating func start(
    _ slot: Int, _ thread: Int, _ caller: Int, _ now: UInt64, _ begin: pi_graph_begin
  ) {
    let structure = begin.head.ref == 0 ? nil : structures.index(begin.head.ref)
    if begin.head.ref != 0, structure == nil { oddities.count(.unknownStructure) }
    let run = runs + slot
    run.pointee.isActive = true
    run.pointee.generation &+= 1
    run.pointee.owner = Int32(thread)
    run.pointee.index = Int32(truncatingIfNeeded: nextGraph)
    run.pointee.step = callers[caller].step.map { Int32(truncatingIfNeeded: $0.index) } ?? -1
    run.pointee.structure = structure
    run.pointee.executed = structure?.executed
    run.pointee.executedCount = Int32(truncatingIfNeeded: structure?.executedCount ?? 0)
    run.pointee.structureNumber = structure?.number ?? 0
    run.pointee.begin = now
    run.pointee.nodeCount = max(0, Int(begin.n_nodes))
    run.pointee.threadCount = max(0, Int(begin.n_threads))
    run.pointee.begun = 0
    run.pointee.operators = 0
    run.pointee.hasOwnerOperator = false
    run.pointee.hasOperatorProbes = probeGap == nil
    run.pointee.workers.removeAll(keepingCapacity: true)
    nextGraph += 1
    activeRuns.append(Int32(slot))
    threads[thread].run = Int32(slot)
    threads[thread].runGeneration = run.pointee.generation
    threads[thread].cursor = 0
  }

  /// Names the time before a graph.
  private mutating func accountBeforeGraph(_ caller: Int, _ now: UInt64) {
    if let step = callers[caller].step {
      account(caller, step.graphs == 0 ? .setup : .betweenGraphs, to: now)
    } else {
      account(caller, .outsideEngine, to: now)
    }
  }

  mutating func endGraph(_ thread: Int, _ now: UInt64, kind: UInt8) {
    guard let caller = callerIndex(thread),
      let open = callers[caller].graphs.lastIndex(where: { $0.kind == kind })
    else { return oddities.count(.unmatchedGraphEnd) }
    while callers[caller].graphs.count > open + 1 { abandonGraph(caller, previousTime) }
    close(caller, now, isComplete: true)
  }

  /// Closes the innermost graph, whose end was not recorded.
  private mutating func abandonGraph(_ caller: Int, _ now: UInt64) {
    oddities.count(.unendedGraph)
    close(caller, now, isComplete: false)
  }

  mutating func abandonGraphs(_ caller: Int, _ now: UInt64) {
    while !callers[caller].graphs.isEmpty { abandonGraph(caller, now) }
  }

  private mutating func close(_ caller: Int, _ now: UInt64, isComplete: Bool) {
    guard let frame = callers[caller].graphs.popLast() else { return }
    if frame.slot >= 0 {
      closeRun(caller, frame, now, isComplete)
    } else if frame.wraps {
      statistics.wrappedGraphs += 1
    } else {
      closeBackend(caller, frame, now, isComplete)
    }
  }

  private mutating func closeBackend(_ caller: Int, _ frame: GraphFrame, _ now: UInt64, _ isComplete: Bool) {
    accountBeforeGraph(caller, frame.begin)
    accounted(caller, atLeastTo: now)
    callers[caller].step?.graphs += 1
    statistics.graphRuns += 1
    output.append(
      .graph(
        GraphRun(
          index: nextGraph, step: callers[caller].step?.index,
          thread: ThreadID(threads[Int(callers[caller].thread)].tid),
          range: TimeRange(start: .init(nanoseconds: frame.begin), end: .init(nanoseconds: now)),
          structure: frame.structure?.number, backend: backendName(frame.backend),
          nodeCount: frame.nodeCount, threadCount: 0, isComplete: isComplete, isCPUGraph: false,
          counters: counterDelta(
            Int(callers[caller].thread), since: isComplete ? frame.counters.first : nil))))
    nextGraph += 1
  }

  private mutating func closeRun(_ caller: Int, _ frame: GraphFrame, _ now: UInt64, _ isComplete: Bool) {
    let slot = Int(frame.slot)
    let thread = Int(callers[caller].thread)
    let workers = runs[slot].workers
    for worker in workers + [Int32(thread)] {
      let state = threads[Int(worker)]
      guard state.run == Int32(slot), state.runGeneration == runs[slot].generation else { continue }
      if isComplete, runs[slot].hasOperatorProbes {
        endOperator(Int(worker), max(now, state.lastTime), isOwnRecord: Int(worker) == thread)
      } else {
        abandonOperator(Int(worker))
      }
    }
    if isComplete, context.hasOperators {
      account(caller, runs[slot].hasOperatorProbes ? .graphOverhead : .notProbed, to: now)
    }
    accounted(caller, atLeastTo: now)
    let run = runs + slot
    let expected = run.pointee.structure.map { $0.operatorsPerThread * max(1, run.pointee.threadCount) }
    if callers[caller].step != nil {
      callers[caller].step?.graphs += 1
      callers[caller].step?.operators += run.pointee.operators
      callers[caller].step?.begun += run.pointee.begun
      if let expected {
        callers[caller].step?.expected += expected
      } else {
        callers[caller].step?.isExpectationKnown = false
      }
    }
    statistics.graphRuns += 1
    output.append(
      .graph(
        GraphRun(
          index: Int(run.pointee.index), step: run.pointee.step < 0 ? nil : Int(run.pointee.step),
          thread: ThreadID(threads[thread].tid),
          range: TimeRange(start: .init(nanoseconds: run.pointee.begin), end: .init(nanoseconds: now)),
          structure: run.pointee.structureNumber == 0 ? nil : run.pointee.structureNumber, backend: "CPU",
          nodeCount: run.pointee.nodeCount, threadCount: run.pointee.threadCount, isComplete: isComplete,
          counters: counterDelta(thread, since: isComplete ? frame.counters.first : nil))))
    run.pointee.isActive = false
    run.pointee.generation &+= 1
    run.pointee.structure = nil
    run.pointee.executed = nil
    run.pointee.executedCount = 0
    activeRuns.removeAll { $0 == frame.slot }
  }

  /// A thread that begins a graph has left whatever it worked on before.
  private mutating func closeForeign(_ thread: Int, _ now: UInt64) {
    guard threads[thread].activity != .idle else { return }
    let slot = Int(threads[thread].run)
    if slot >= 0, runs[slot].generation == threads[thread].runGeneration, runs[slot].owner == Int32(thread) {
      return
    }
    endOperator(thread, now, isOwnRecord: true)
  }

  mutating func walk(_ record: RecordView, _ thread: Int) {
    guard let caller = callerIndex(thread) else { return }
    if record.type == RecordType.structureBegin {
      if callers[caller].walk != nil { oddities.count(.unendedWalk) }
      guard let begin = record.read(pi_structure_begin.self) else {
        callers[caller].walk = nil
        return oddities.count(.shortRecord)
      }
      callers[caller].walk = StructureWalk(number: record.ref, expectedNodes: max(0, Int(begin.n_nodes)))
      return
    }
    guard callers[caller].walk?.number == record.ref, record.ref != 0 else {
      return oddities.count(.strayStructureRecord)
    }
    switch record.type {
    case RecordType.tensor: structures.add(record, to: &callers[caller].walk!, &oddities)
    case RecordType.nodeList: addNodes(record, caller)
    default:
      if let walk = callers[caller].walk { endWalk(record, walk) }
      callers[caller].walk = nil
    }
  }

  private mutating func addNodes(_ record: RecordView, _ caller: Int) {
    let table = MemoryLayout<pi_record>.size + 8
    let first = Int(record.base.u32(MemoryLayout<pi_record>.size < record.byteCount ? 24 : 0))
    guard record.byteCount >= table else { return oddities.count(.shortRecord) }
    let count = Int(record.base.u32(28))
    guard count <= (record.byteCount - table) / 8 else {
      callers[caller].walk?.isDamaged = true
      return oddities.count(.shortRecord)
    }
    // Lists come in order; one that was lost leaves a hole.
    if first != callers[caller].walk?.addresses.count { callers[caller].walk?.isDamaged = true }
    guard (callers[caller].walk?.addresses.count ?? 0) + count <= StructureStore.maxNodes else {
      callers[caller].walk?.isDamaged = true
      return oddities.count(.tooMany)
    }
    for i in 0..<count { callers[caller].walk?.addresses.append(record.base.u64(table + i * 8)) }
  }

  private mutating func endWalk(_ record: RecordView, _ walk: StructureWalk) {
    guard let end = record.read(pi_structure_end.self) else { return oddities.count(.shortRecord) }
    let isWhole =
      !walk.isDamaged && walk.addresses.count == walk.expectedNodes && walk.tensors == Int(end.tensors)
      && end.unwritten == 0 && end.unreadable == 0
    statistics.structuresWalked += 1
    if let structure = structures.finish(walk, isWhole: isWhole) {
      if !structure.isComplete { oddities.count(.incompleteStructure) }
      output.append(.structure(structure))
    }
  }
}
