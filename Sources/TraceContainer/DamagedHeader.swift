import CTraceRecords

extension FileHeader {
  /// A header of this version for a trace whose own fails its checksum: identity, time and machine as they stand in the
  /// bytes, one of which is wrong.
  ///
  /// - Returns: nil when the header is whole and only of another version, or when there are too few bytes.
  public init?(salvaging bytes: UnsafeRawBufferPointer) {
    guard bytes.count > Self.encodedBytes else { return nil }
    let raw = bytes.loadUnaligned(as: pi_file_header.self)
    guard checksum(bytes, 0..<Self.checksumOffset) != raw.crc32 else { return nil }
    self.init(
      optionalFeatures: raw.optional_features,
      traceID: [UInt8](bytes[Self.traceIDOffset..<Self.traceIDOffset + 16]),
      createdRealtime: raw.created_realtime_ns, machine: raw.machine)
  }
}
