/// Everything that an import can meet and that a clean trace does not have. None of them stops the import.
public enum Oddity: Int, CaseIterable, Sendable {
  /// A record type that this version does not know; skipped by its size.
  case unknownRecordType
  /// A record smaller than its type asks for; skipped.
  case shortRecord
  /// A chunk whose header or payload is damaged; skipped.
  case damagedChunk
  /// Chunk numbers jump: chunks are missing.
  case missingChunk
  /// Records that could not be held back long enough to be put in order.
  case holdBackOverflow
  /// A record earlier than one of the same thread before it; its time was set to that one's.
  case timeReversed
  /// A time that no clock can have shown; the record was skipped.
  case impossibleTime
  /// A sequence number that was seen already.
  case repeatedSequence
  case unmatchedTokenEnd
  case unmatchedUbatchEnd
  case unmatchedGraphEnd
  case unmatchedSampleEnd
  /// A begin without its end: the trace stops inside, or the end was lost.
  case unendedToken
  case unendedUbatch
  case unendedGraph
  case unendedSample
  case unendedWalk
  /// A micro-batch outside of any call although the trace holds calls; a step of its own, not complete.
  case orphanUbatch
  /// A barrier with no operator before it on its thread: an empty tensor, or a lost record.
  case barrierWithoutOperator
  /// An operator that no running graph knows.
  case operatorOutsideGraph
  /// An operator whose tensor is not in its graph's structure.
  case unknownOperator
  /// An operator that came before its predecessor in the graph's order.
  case operatorOutOfOrder
  /// Operators that the structure asks for and that a thread did not start.
  case skippedOperator
  /// An operator whose end is a guess because records around it are lost.
  case repairedOperator
  /// An operator of which only the start is known; it is left out.
  case droppedOperator
  /// A graph naming a structure that the trace does not hold.
  case unknownStructure
  /// A structure of which parts are missing.
  case incompleteStructure
  /// A structure record outside of a walk.
  case strayStructureRecord
  /// Tensor bytes that do not fit the layout.
  case undecodableTensor
  /// Expert records outside of a token step, of another MUL_MAT_ID with the same ids, or malformed.
  case expertsOutsideStep
  case repeatedExperts
  case malformedExperts
  /// A thread left the CPU without having got it, or got it twice: a scheduler's event is missing.
  case missingSwitch
  case unmatchedEnqueueEnd
  case unendedEnqueue
  case unmatchedDraftEnd
  /// Drafted tokens accepted although nothing was verified since.
  case unmatchedAccept
  /// More threads, CPUs, tensors or simultaneous graphs than can be followed.
  case tooMany

  /// True where it means that something that was recorded, or should have been, is missing in the results.
  ///
  /// Begins without ends and ends without begins are no loss by themselves: recording starts and stops in the
  /// middle of steps, and records that were lost are counted as such.
  public var isLoss: Bool {
    switch self {
    case .damagedChunk, .missingChunk, .repairedOperator, .tooMany, .undecodableTensor, .incompleteStructure:
      true
    default: false
    }
  }
}

/// Counts by oddity.
public struct OddityCounts: Sendable {
  private var counts = [Int](repeating: 0, count: Oddity.allCases.count)

  public init() {}

  public subscript(_ oddity: Oddity) -> Int {
    get { counts[oddity.rawValue] }
    set { counts[oddity.rawValue] = newValue }
  }

  @inline(never)
  mutating func count(_ oddity: Oddity, _ n: Int = 1) { counts[oddity.rawValue] &+= n }

  /// Those that occurred.
  public var occurred: [(oddity: Oddity, count: Int)] {
    Oddity.allCases.compactMap { self[$0] > 0 ? ($0, self[$0]) : nil }
  }
}

/// A place in the file that could not be read.
public struct Damage: Sendable {
  /// Byte offset in the file.
  public var offset: UInt64
  /// Bytes passed over to the next whole chunk; nil when none follows.
  public var skippedBytes: UInt64?
  public var description: String
}

/// What an import did and what it met.
public struct ImportStatistics: Sendable {
  /// Records read, of known types and unknown ones.
  public var records: Int = 0
  public var operatorSpans: Int = 0
  public var graphRuns: Int = 0
  public var tokenSteps: Int = 0
  /// Structures walked by the recorder, and how many differ in content.
  public var structuresWalked: Int = 0
  public var distinctStructures: Int = 0
  /// Records held back to the next chunk so that threads come in order; normal.
  public var carriedRecords: Int = 0
  /// API calls inside of another one that became one step with it; normal.
  public var nestedCalls: Int = 0
  /// Backend graphs that only wrap a CPU graph and are shown as that; normal.
  public var wrappedGraphs: Int = 0
  /// Records lost by the recorder, from the gaps in the sequence numbers.
  public var lostRecords: UInt64 = 0
  public var oddities = OddityCounts()
  public var damage: [Damage] = []

  public init() {}

  public subscript(_ oddity: Oddity) -> Int { oddities[oddity] }

  /// True when results are partial: exit status 4.
  public var hasLosses: Bool {
    lostRecords > 0 || !damage.isEmpty || oddities.occurred.contains { $0.oddity.isLoss }
  }
}
