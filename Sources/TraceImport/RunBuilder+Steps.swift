import CTraceRecords
import TraceModel

extension RunBuilder {
  // MARK: Calls

  mutating func beginToken(_ thread: Int, _ now: UInt64, api: UInt8, tokens: Int?, context: UInt64) {
    guard let caller = callerIndex(thread) else { return }
    dropSamplers(caller, now)
    if let open = callers[caller].step {
      if !open.calls.isEmpty, !open.calls.contains(api) {
        // llama_decode as a shell around llama_process, or the reverse: one step.
        statistics.nestedCalls += 1
        callers[caller].step?.calls.append(api)
        if open.callTokens == nil { callers[caller].step?.callTokens = tokens }
        return
      }
      loseStep(caller, now)
    }
    abandonGraphs(caller, previousTime)
    account(caller, .outsideEngine, to: now)
    openStep(
      caller, now, context: context, calls: [api], tokens: tokens, isWhole: true,
      counters: counterMark(thread))
  }

  mutating func endToken(_ thread: Int, _ now: UInt64, api: UInt8) {
    guard let caller = callerIndex(thread), let call = callers[caller].step?.calls.lastIndex(of: api) else {
      return oddities.count(.unmatchedTokenEnd)
    }
    let inner = (callers[caller].step?.calls.count ?? 0) - call - 1
    oddities.count(.unendedToken, inner)
    callers[caller].step?.calls.removeLast(inner + 1)
    if call == 0 { closeStep(caller, now, isComplete: true) }
  }

  mutating func beginUbatch(_ thread: Int, _ now: UInt64, tokens: Int, context: UInt64, position: Int?) {
    guard let caller = callerIndex(thread) else { return }
    if let open = callers[caller].step, open.calls.isEmpty { loseStep(caller, now) }
    if callers[caller].step == nil {
      // Only the micro-batches are probed, or the call's begin was not recorded.
      if self.context.hasSteps { oddities.count(.orphanUbatch) }
      dropSamplers(caller, now)
      abandonGraphs(caller, previousTime)
      account(caller, .outsideEngine, to: now)
      openStep(caller, now, context: context, calls: [], tokens: nil, isWhole: !self.context.hasSteps)
    }
    if callers[caller].step?.isUbatchOpen == true { oddities.count(.unendedUbatch) }
    decideHeld(caller, tokens: tokens, position: position, context: context)
    guard var step = callers[caller].step else { return }
    step.isUbatchOpen = true
    step.ubatchOffset = step.ubatchTokens
    step.ubatchTokens += tokens
    step.ubatches += 1
    if step.ubatches == 1 { step.position = position }
    callers[caller].step = step
  }

  mutating func endUbatch(_ thread: Int, _ now: UInt64) {
    guard let caller = callerIndex(thread), callers[caller].step?.isUbatchOpen == true else {
      return oddities.count(.unmatchedUbatchEnd)
    }
    callers[caller].step?.isUbatchOpen = false
    if callers[caller].step?.calls.isEmpty == true { closeStep(caller, now, isComplete: true) }
  }

  private mutating func openStep(
    _ caller: Int, _ now: UInt64, context: UInt64, calls: [UInt8], tokens: Int?, isWhole: Bool,
    counters: [CounterMark] = []
  ) {
    // A first step is a rare thing; a hostile trace may hold many.
    let isFirst = callers[caller].contexts.count < 4096 && callers[caller].contexts.insert(context).inserted
    callers[caller].step = OpenStep(
      index: nextStep, begin: now, context: context, calls: calls, callTokens: tokens,
      isWarmup: callers[caller].isWarmingUp, isFirstOfContext: isFirst, isWhole: isWhole,
      role: speculativeRole(caller, step: nextStep, context: context), hasOperatorProbes: probeGap == nil,
      counters: counters)
    nextStep += 1
    accounted(caller, to: now)
  }

  /// The end of the open step was lost: another begins.
  private mutating func loseStep(_ caller: Int, _ now: UInt64) {
    oddities.count(.unendedToken)
    abandonGraphs(caller, previousTime)
    closeStep(caller, previousTime, isComplete: false)
    // What came between is not known.
    accounted(caller, to: now)
  }

  mutating func closeStep(_ caller: Int, _ now: UInt64, isComplete: Bool) {
    if isComplete { abandonGraphs(caller, previousTime) }
    flushHeld(caller)
    guard let open = callers[caller].step else { return }
    if open.isUbatchOpen { oddities.count(.unendedUbatch) }
    if isComplete {
      if open.graphs > 0 {
        account(caller, .finish, to: now)
      } else if context.hasGraphs {
        account(caller, .setup, to: now)
      }
    }
    let end = max(now, open.begin)
    accounted(caller, to: end)
    var coverage: Double?
    if context.hasOperators, open.hasOperatorProbes, open.isExpectationKnown, open.graphs > 0,
      open.expected > 0
    {
      coverage = min(1, Double(open.begun) / Double(open.expected))
    }
    let step = TokenStep(
      index: open.index, thread: ThreadID(threads[Int(callers[caller].thread)].tid),
      range: TimeRange(start: .init(nanoseconds: open.begin), end: .init(nanoseconds: end)),
      phase: phase(of: open, caller), tokenCount: open.tokenCount, position: open.position,
      context: open.context, graphCount: open.graphs, operatorCount: open.operators, coverage: coverage,
      isComplete: isComplete && open.isWhole, hasOperatorProbes: open.hasOperatorProbes,
      counters: counterDelta(Int(callers[caller].thread), since: isComplete ? open.counters.first : nil))
    closeInRound(caller, open, end)
    callers[caller].step = nil
    callers[caller].previous = step
    callers[caller].sampledSinceStep = false
    callers[caller].held = HeldStep(
      step: step,
      mayBeWarmup: open.isFirstOfContext && open.role == .none && (open.tokenCount ?? 3) <= 2)
  }

  private func phase(of open: OpenStep, _ caller: Int) -> Phase {
    if open.isWarmup { return .warmup }
    switch open.role {
    case .draft: return .draft
    case .verify: return .verify
    case .none: break
    }
    guard let tokens = open.tokenCount, tokens > 0 else { return .unknown }
    if tokens > 1 { return .prefill }
    // The last token of a prompt that does not divide by the batch size: nobody sampled before it.
    if context.hasSamples, !callers[caller].sampledSinceStep, let before = callers[caller].previous,
      before.context == open.context, before.phase == .prefill
    {
      guard let here = open.position, let there = before.position, let count = before.tokenCount else {
        return .prefill
      }
      if here == there + count { return .prefill }
    }
    return .decode
  }

  // MARK: The step held back

  /// A first step of at most two tokens, after which the next one begins at position 0 again without anything
  /// sampled, was a warm-up. Where positions could not be read, a longer step after it says the same: the parts
  /// of a divided prompt never grow.
  private mutating func decideHeld(_ caller: Int, tokens: Int, position: Int?, context: UInt64) {
    if let held = callers[caller].held, held.mayBeWarmup, held.step.context == context,
      !callers[caller].sampledSinceStep
    {
      let isRestart =
        if held.step.position != nil || position != nil {
          held.step.position == 0 && position == 0
        } else {
          self.context.hasSamples && tokens > held.step.tokenCount ?? 0
        }
      if isRestart {
        callers[caller].held?.step.phase = .warmup
        callers[caller].previous?.phase = .warmup
      }
    }
    flushHeld(caller)
  }

  mutating func flushHeld(_ caller: Int) {
    guard let held = callers[caller].held else { return }
    callers[caller].held = nil
    statistics.tokenSteps += 1
    output.append(.step(held.step))
  }

  // MARK: Sampling

  mutating func beginSample(_ thread: Int, _ now: UInt64, sampler: UInt8) {
    guard let caller = callerIndex(thread) else { return }
    if callers[caller].samplers.contains(sampler) { dropSamplers(caller, now) }
    if callers[caller].samplers.isEmpty {
      callers[caller].samplingSince = now
      if let step = callers[caller].step {
        account(caller, step.graphs == 0 ? .setup : .finish, to: now)
      } else {
        account(caller, .outsideEngine, to: now)
      }
      accounted(caller, to: now)
    }
    callers[caller].samplers.append(sampler)
    callers[caller].sampledSinceStep = true
  }

  mutating func endSample(_ thread: Int, _ now: UInt64, sampler: UInt8) {
    guard let caller = callerIndex(thread), let open = callers[caller].samplers.lastIndex(of: sampler) else {
      return oddities.count(.unmatchedSampleEnd)
    }
    oddities.count(.unendedSample, callers[caller].samplers.count - open - 1)
    callers[caller].samplers.removeLast(callers[caller].samplers.count - open)
    if open == 0 { account(caller, .sampling, to: now) }
  }

  /// A sampler whose end was lost; how long it took is not known.
  private mutating func dropSamplers(_ caller: Int, _ now: UInt64) {
    guard !callers[caller].samplers.isEmpty else { return }
    oddities.count(.unendedSample, callers[caller].samplers.count)
    callers[caller].samplers.removeAll()
    accounted(caller, to: now)
  }

  // MARK: Gaps

  /// Names the time of a calling thread since what it is accounted for.
  mutating func account(_ caller: Int, _ kind: GapKind, to now: UInt64) {
    let since = threads[Int(callers[caller].thread)].accountedUntil
    guard since != ThreadState.unaccounted else { return accounted(caller, to: now) }
    guard now > since else { return }
    accounted(caller, to: now)
    let step = callers[caller].step?.index ?? callers[caller].previous?.index
    output.append(
      .gap(
        GapSpan(
          kind: kind, step: step, thread: ThreadID(threads[Int(callers[caller].thread)].tid),
          range: TimeRange(start: .init(nanoseconds: since), end: .init(nanoseconds: now)))))
  }

  /// A calling thread is accounted for up to `time`.
  func accounted(_ caller: Int, to time: UInt64) {
    threads[Int(callers[caller].thread)].accountedUntil = time
  }

  func accounted(_ caller: Int, atLeastTo time: UInt64) {
    let state = threads + Int(callers[caller].thread)
    let known = state.pointee.accountedUntil
    if known == ThreadState.unaccounted || known < time { state.pointee.accountedUntil = time }
  }
}
