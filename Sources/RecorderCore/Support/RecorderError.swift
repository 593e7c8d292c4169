/// Why the recorder could not do its work, in the words that the user reads.
public struct RecorderError: Error {
  /// What failed, on which file or value, and why; one line.
  public var message: String
  /// What to do next, one line each.
  public var hints: [String]
  /// The exit status that INTERFACE.md gives the case.
  public var exitStatus: Int32

  public static let usageStatus: Int32 = 2
  public static let recorderStatus: Int32 = 125
  public static let notExecutableStatus: Int32 = 126
  public static let notFoundStatus: Int32 = 127

  public init(_ message: String, hints: [String] = [], exitStatus: Int32 = RecorderError.recorderStatus) {
    self.message = message
    self.hints = hints
    self.exitStatus = exitStatus
  }

  public static func usage(_ message: String) -> RecorderError {
    RecorderError(message, hints: ["pi-record --help lists the options"], exitStatus: usageStatus)
  }
}
