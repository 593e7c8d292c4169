import TraceModel

/// A round of speculative decoding that is not over.
struct OpenRound {
  var begin: UInt64
  var end: UInt64
  /// Begin of the draft call that is open.
  var draftSince: UInt64?
  var draftTime: UInt64 = 0
  var draftCalls = 0
  var draftSteps = 0
  var verifyStep: Int?
  var verifyTokens: Int?
  var accepted: Int?
  var acceptCalls = 0

  var isDrafting: Bool { draftSince != nil }
}

extension RunBuilder {
  mutating func beginDraft(_ thread: Int, _ now: UInt64) {
    guard let caller = callerIndex(thread) else { return }
    // Several sequences draft one after the other before one step verifies them all.
    if callerExtras[caller].round?.verifyStep != nil || callerExtras[caller].round?.accepted != nil {
      endRound(caller)
    }
    if callerExtras[caller].round == nil { callerExtras[caller].round = OpenRound(begin: now, end: now) }
    callerExtras[caller].round?.draftSince = now
    callerExtras[caller].round?.draftCalls += 1
  }

  mutating func endDraft(_ thread: Int, _ now: UInt64) {
    guard let caller = callerIndex(thread), let since = callerExtras[caller].round?.draftSince else {
      return oddities.count(.unmatchedDraftEnd)
    }
    callerExtras[caller].round?.draftSince = nil
    callerExtras[caller].round?.draftTime &+= now > since ? now - since : 0
    callerExtras[caller].round?.end = now
  }

  mutating func accept(_ thread: Int, _ now: UInt64, tokens: UInt32) {
    guard let caller = callerIndex(thread), var round = callerExtras[caller].round, round.verifyStep != nil
    else {
      return oddities.count(.unmatchedAccept)
    }
    round.accepted = (round.accepted ?? 0) &+ Int(tokens)
    round.acceptCalls += 1
    round.end = now
    callerExtras[caller].round = round
  }

  /// What a step that begins now is in the caller's round.
  mutating func speculativeRole(_ caller: Int, step: Int, context: UInt64) -> SpeculativeRole {
    let round = callerExtras[caller].round
    if let round, round.isDrafting {
      callerExtras[caller].round?.draftSteps += 1
      if draftContexts.count < Self.maxCallers { draftContexts.insert(context) }
      return .draft
    }
    // The draft model is fed outside of drafting, too: with the prompt, and with what was verified.
    if draftContexts.contains(context) { return .draft }
    guard let round, round.accepted == nil else { return .none }
    if round.verifyStep == nil {
      callerExtras[caller].round?.verifyStep = step
      return .verify
    }
    // Where a context cannot be set back in part, what was accepted is computed once more before it is said so.
    return self.context.hasAccepts ? .verify : .none
  }

  /// A step of the round is over.
  mutating func closeInRound(_ caller: Int, _ step: OpenStep, _ now: UInt64) {
    guard callerExtras[caller].round?.verifyStep == step.index else { return }
    callerExtras[caller].round?.verifyTokens = step.tokenCount
    callerExtras[caller].round?.end = now
  }

  mutating func endRound(_ caller: Int) {
    guard let round = callerExtras[caller].round else { return }
    callerExtras[caller].round = nil
    var drafted: Int?
    // Each sequence that drafted has its own last token in the step, too. One call may draft for several.
    let sequences = max(round.draftCalls, round.acceptCalls)
    if let tokens = round.verifyTokens, tokens >= sequences { drafted = tokens - sequences }
    if let known = drafted, let accepted = round.accepted, accepted > known { drafted = nil }
    // Where nothing was drafted nobody says how much of it was accepted.
    let accepted = round.accepted ?? (drafted == 0 ? 0 : nil)
    output.append(
      .round(
        SpeculativeRound(
          index: nextRound, thread: ThreadID(threads[Int(callers[caller].thread)].tid),
          range: TimeRange(
            start: .init(nanoseconds: round.begin), end: .init(nanoseconds: max(round.begin, round.end))),
          draftTime: Int64(clamping: round.draftTime), draftCalls: round.draftCalls,
          draftSteps: round.draftSteps, verifyStep: round.verifyStep, drafted: drafted,
          accepted: accepted, sequences: sequences)))
    nextRound += 1
  }
}

/// What a token step is in a round of speculative decoding.
enum SpeculativeRole { case none, draft, verify }
