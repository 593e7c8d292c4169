import TraceModel

/// What a report says of a recording that neither its events nor `RecordingFacts` tell; nil and empty where the trace
/// does not.
public struct ReportFacts: Sendable {
  /// A probe site.
  public struct Site: Sendable {
    public var role: String
    public var function: String?
    public var instruction: String?
    public var hits: UInt64?
    /// True when it never fired although its neighbours did.
    public var isSilent: Bool
    /// True when `hits` are those of all sites of its role.
    public var isShared: Bool
    /// What one hit is expected to cost, nanoseconds.
    public var expected: Int?

    public init(
      role: String, function: String?, instruction: String?, hits: UInt64?, isSilent: Bool, isShared: Bool,
      expected: Int?
    ) {
      self.role = role
      self.function = function
      self.instruction = instruction
      self.hits = hits
      self.isSilent = isSilent
      self.isShared = isShared
      self.expected = expected
    }
  }

  /// Records of one CPU.
  public struct CPU: Sendable {
    public var number: Int
    public var records: UInt64
    public var lost: UInt64

    public init(number: Int, records: UInt64, lost: UInt64) {
      self.number = number
      self.records = records
      self.lost = lost
    }
  }

  /// Name of the trace's file.
  public var file = ""
  /// Bytes.
  public var fileSize: Int?
  /// When the recording began, as people read it.
  public var begun: String?
  public var host: String?
  public var kernel: String?
  public var architecture: String?
  /// Bytes of memory that the machine has.
  public var memory: Int?
  /// `token`, `graph` or `op`.
  public var level: String?
  public var recorder: String?
  public var analyzer: String?
  /// Whether the scheduler's events were asked for.
  public var recordsScheduler: Bool?
  public var sites: [Site] = []
  public var cpus: [CPU] = []
  /// What is missing in the results, in sentences.
  public var losses: [String] = []
  public var notes: [String] = []

  public init() {}
}
