import CTraceRecords

#if _endian(big)
  #error("a trace is little-endian and so is every machine that pi-record supports")
#endif

/// The first bytes of a trace: which format, which recording.
public struct FileHeader: Equatable, Sendable {
  /// Bytes of the header as this version writes it.
  public static let encodedBytes = MemoryLayout<pi_file_header>.size

  /// The newest version that this reader knows, as `major.minor`.
  public static let knownVersion = "\(PI_FORMAT_MAJOR).\(PI_FORMAT_MINOR)"

  /// Bits of `requiredFeatures` that this reader knows.
  public static let knownRequiredFeatures: UInt64 = 0

  public var major: UInt16
  public var minor: UInt16
  /// A reader that does not know a set bit must refuse the trace.
  public var requiredFeatures: UInt64
  /// A reader may ignore bits that it does not know: `PI_FEATURE_OPT_…`.
  public var optionalFeatures: UInt64
  /// 16 random bytes that name this recording.
  public var traceID: [UInt8]
  /// CLOCK_REALTIME in nanoseconds when the recording began.
  public var createdRealtime: UInt64
  /// ELF `e_machine` of the recording machine: 62 x86_64, 183 aarch64.
  public var machine: UInt32
  /// Bytes that the header takes in the file; more than ``encodedBytes`` in a later minor version.
  public private(set) var headerBytes: Int

  /// Written by a later minor version: what is new in it is passed over.
  public var isOfLaterVersion: Bool { minor > UInt16(PI_FORMAT_MINOR) }

  /// A header of this version of the format.
  ///
  /// - Precondition: `traceID` has 16 bytes.
  public init(
    requiredFeatures: UInt64 = 0, optionalFeatures: UInt64, traceID: [UInt8], createdRealtime: UInt64,
    machine: UInt32
  ) {
    precondition(traceID.count == 16, "a trace id has 16 bytes")
    self.major = UInt16(PI_FORMAT_MAJOR)
    self.minor = UInt16(PI_FORMAT_MINOR)
    self.requiredFeatures = requiredFeatures
    self.optionalFeatures = optionalFeatures
    self.traceID = traceID
    self.createdRealtime = createdRealtime
    self.machine = machine
    self.headerBytes = Self.encodedBytes
  }

  /// Reads and checks the header at the start of `bytes`.
  ///
  /// - Throws: `notATrace` when the magic is another's, `truncated` when the bytes end too early,
  ///   `unsupportedVersion` for another major version, `unsupportedFeatures`, and `corrupt` when the checksum
  ///   or the size is wrong.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(TraceError) {
    if bytes.isEmpty {
      throw .truncated(at: 0, "the file is empty, a trace begins with a header of 64 bytes")
    }
    for i in 0..<min(bytes.count, Self.magic.count) where bytes[i] != Self.magic[i] {
      throw TraceError(
        .notATrace, at: UInt64(i), "the file does not begin with the magic of a trace",
        next: "give a .pitrace file written by pi-record; if it is one, copy it again in binary mode")
    }
    // Magic, version and header size keep their places in every version; the rest need not.
    guard bytes.count >= 16 else { throw .truncated(at: 0, "the file ends inside its header") }
    let major = bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self)
    let minor = bytes.loadUnaligned(fromByteOffset: 10, as: UInt16.self)
    guard major == UInt16(PI_FORMAT_MAJOR) else {
      throw TraceError(
        .unsupportedVersion(major: major, minor: minor), at: 8,
        "this reader knows version 1 of the trace format only, the file claims another",
        next: "use a prof-analyze that is at least as new as the recorder")
    }
    guard bytes.count >= Self.encodedBytes else {
      throw .truncated(at: 0, "the file ends inside its header")
    }
    let raw = bytes.loadUnaligned(as: pi_file_header.self)
    guard checksum(bytes, 0..<Self.checksumOffset) == raw.crc32 else {
      throw .corrupt(at: Self.checksumOffset, "the checksum of the file header is wrong")
    }
    guard raw.header_bytes >= UInt32(Self.encodedBytes), raw.header_bytes <= Self.maxHeaderBytes else {
      throw .corrupt(at: 12, "the file header claims an impossible size")
    }
    guard Int(raw.header_bytes) <= bytes.count else {
      throw .truncated(at: 0, "the file ends inside its header")
    }
    let unknown = raw.required_features & ~Self.knownRequiredFeatures
    guard unknown == 0 else {
      throw TraceError(
        .unsupportedFeatures(unknown), at: 16,
        "the trace needs features of the format that this reader does not know",
        next: "use a prof-analyze that is at least as new as the recorder")
    }
    self.major = major
    self.minor = minor
    self.requiredFeatures = raw.required_features
    self.optionalFeatures = raw.optional_features
    self.traceID = [UInt8](bytes[Self.traceIDOffset..<Self.traceIDOffset + 16])
    self.createdRealtime = raw.created_realtime_ns
    self.machine = raw.machine
    self.headerBytes = Int(raw.header_bytes)
  }

  /// The bytes to write at the start of a trace.
  public func encoded() -> [UInt8] {
    var raw = pi_file_header()
    raw.major = major
    raw.minor = minor
    raw.header_bytes = UInt32(Self.encodedBytes)
    raw.required_features = requiredFeatures
    raw.optional_features = optionalFeatures
    raw.created_realtime_ns = createdRealtime
    raw.machine = machine
    var bytes = withUnsafeBytes(of: &raw) { [UInt8]($0) }
    for i in 0..<8 { bytes[i] = Self.magic[i] }
    for i in 0..<16 { bytes[Self.traceIDOffset + i] = traceID[i] }
    let sum = bytes.withUnsafeBytes { checksum($0, 0..<Self.checksumOffset) }
    for i in 0..<4 { bytes[Self.checksumOffset + i] = UInt8(truncatingIfNeeded: sum >> (8 * UInt32(i))) }
    return bytes
  }

  /// As PI_FILE_MAGIC, which Swift cannot import because it is no UTF-8.
  static let magic: [UInt8] = [0x93, 0x50, 0x49, 0x54, 0x52, 0x0d, 0x0a, 0x1a]
  static let traceIDOffset = 32
  static let checksumOffset = 60
  /// Room for a hundred times what version 1.0 needs; more is damage.
  static let maxHeaderBytes: UInt32 = 4096
}
