/// One round of speculative decoding: a draft model proposes tokens, the target model verifies them in one step,
/// and the longest right prefix is accepted.
///
/// A server drafts for several sequences and verifies them in one step: that is one round.
public struct SpeculativeRound: Sendable, Equatable {
  /// 0, 1, 2 … in order of start.
  public var index: Int
  public var thread: ThreadID
  /// From the first draft's begin to the last thing known of the round.
  public var range: TimeRange
  /// Time inside of drafting. Nanoseconds.
  public var draftTime: Int64
  /// Calls that drafted: one for each sequence, or one for all.
  public var draftCalls: Int
  /// Token steps inside of drafting. The draft model has others: it is fed with the prompt and what was verified.
  public var draftSteps: Int
  /// The step that verified; nil when there was none.
  public var verifyStep: Int?
  /// Tokens proposed: those of the verifying step less one for each sequence that was drafted for, its own last token.
  /// Sequences in the same step that were not drafted for count too. nil where the step's tokens are not known or are fewer than accepted.
  public var drafted: Int?
  /// Proposed tokens that the target model accepted; nil where that was not recorded.
  public var accepted: Int?
  /// Sequences that were drafted for, as far as calls tell: one call that drafts for several shows in those that accept.
  public var sequences: Int

  public init(
    index: Int, thread: ThreadID, range: TimeRange, draftTime: Int64, draftCalls: Int, draftSteps: Int,
    verifyStep: Int?, drafted: Int?, accepted: Int?, sequences: Int = 1
  ) {
    self.index = index
    self.thread = thread
    self.range = range
    self.draftTime = draftTime
    self.draftCalls = draftCalls
    self.draftSteps = draftSteps
    self.verifyStep = verifyStep
    self.drafted = drafted
    self.accepted = accepted
    self.sequences = sequences
  }
}
