/// Why bytes could not be read as a trace, and where.
///
/// Everything here is fixed text and numbers, so that the type also exists on a
/// board without a Unicode library; whoever prints it puts the file's name in front.
public struct TraceError: Error, Equatable, Sendable {
  public enum Kind: Equatable, Sendable {
    /// The file does not begin with the magic of a trace.
    case notATrace
    /// The major version is not the one that this reader knows.
    case unsupportedVersion(major: UInt16, minor: UInt16)
    /// Bits of `required_features` that this reader does not know.
    case unsupportedFeatures(UInt64)
    /// The payload is compressed by a method that this reader does not know.
    case unsupportedCodec(UInt16)
    /// A group of records is encoded in a way that this reader does not know.
    case unsupportedEncoding(UInt8)
    /// The file ends inside the structure at `offset`.
    case truncated
    /// A checksum or a count disagrees with the bytes at `offset`.
    case corrupt
    /// The call asked for something that this chunk does not hold.
    case wrongChunkKind
  }

  public var kind: Kind
  /// Byte offset in the file of the structure or field that is wrong.
  public var offset: UInt64
  let cause: StaticString
  let nextStep: StaticString

  init(_ kind: Kind, at offset: UInt64, _ cause: StaticString, next nextStep: StaticString) {
    self.kind = kind
    self.offset = offset
    self.cause = cause
    self.nextStep = nextStep
  }

  /// Two errors are equal when they say the same thing about the same place.
  public static func == (a: TraceError, b: TraceError) -> Bool {
    a.kind == b.kind && a.offset == b.offset
  }
}

extension TraceError: CustomStringConvertible {
  /// What is wrong, at which byte, and what to do next; one line without the file's name.
  public var description: String { "byte " + String(offset) + ": " + reason }

  /// The same for who says the byte.
  public var reason: String {
    var text = Self.text(cause)
    switch kind {
    case .unsupportedVersion(let major, let minor):
      text += " (version " + String(major) + "." + String(minor) + ")"
    case .unsupportedFeatures(let bits): text += " (bits 0x" + String(bits, radix: 16) + ")"
    case .unsupportedCodec(let codec): text += " (codec " + String(codec) + ")"
    case .unsupportedEncoding(let encoding): text += " (encoding " + String(encoding) + ")"
    case .notATrace, .truncated, .corrupt, .wrongChunkKind: break
    }
    return text + "; " + Self.text(nextStep)
  }

  private static func text(_ fixed: StaticString) -> String {
    fixed.withUTF8Buffer { String(decoding: $0, as: UTF8.self) }
  }
}

extension TraceError {
  static func truncated(at offset: Int, _ cause: StaticString) -> TraceError {
    TraceError(
      .truncated, at: UInt64(offset), cause,
      next: "the recording or the copy was cut short, what lies before is whole")
  }

  static func corrupt(at offset: Int, _ cause: StaticString) -> TraceError {
    TraceError(
      .corrupt, at: UInt64(offset), cause,
      next: "copy the trace again in binary mode, or go on at the next whole chunk")
  }
}
