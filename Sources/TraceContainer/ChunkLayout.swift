import CTraceRecords

/// Sizes and limits of a chunk.
enum ChunkLayout {
  static let headerBytes = MemoryLayout<pi_chunk_header>.size
  static let cpuEntryBytes = MemoryLayout<pi_cpu_entry>.size
  static let groupEntryBytes = MemoryLayout<pi_group_entry>.size
  static let headerChecksumOffset = 52
  /// Of the type in a record.
  static let typeOffset = 14
  static let maxRawBytes = Int(PI_CHUNK_MAX_RAW_BYTES)
  /// A later minor version may add as much behind the tables.
  static let maxExtraHeaderBytes = 4096
  static let minRecordBytes = MemoryLayout<pi_record>.size
  /// Records up to here are transposed. Larger ones hold text, names and ids that have no columns.
  static let maxColumnRecordBytes = 128
}

extension Chunk {
  /// Reads and checks the header and tables at `offset`.
  init(decoding bytes: UnsafeRawBufferPointer, at offset: Int) throws(TraceError) {
    let header = UnsafeRawBufferPointer(rebasing: bytes[offset...])
    let headerBytes = try Self.plausibleHeaderBytes(header, at: offset, of: bytes.count)
    try self.init(header: header, headerBytes, at: offset, of: bytes.count)
  }

  /// Reads and checks a header with its tables. Nothing is trusted before the checksum is right, and nothing is
  /// allocated that the counts, 16 bits each, do not bound.
  ///
  /// - Parameters:
  ///   - header: from its begin on, at least `headerBytes`, which ``plausibleHeaderBytes(_:at:of:)`` told.
  ///   - fileBytes: of the whole trace, in which the header lies at `offset`.
  init(
    header: UnsafeRawBufferPointer, _ headerBytes: Int, at offset: Int, of fileBytes: Int
  ) throws(TraceError) {
    let rest = fileBytes - offset
    let raw = header.loadUnaligned(as: pi_chunk_header.self)
    // In bounds: rest >= headerBytes > 0, so there is a base address.
    guard let base = header.baseAddress, chunkHeaderChecksum(base, headerBytes) == raw.header_crc32 else {
      throw .corrupt(
        at: offset + ChunkLayout.headerChecksumOffset, "the checksum of the chunk header is wrong")
    }
    guard raw.raw_bytes <= PI_CHUNK_MAX_RAW_BYTES else {
      throw .corrupt(at: offset + 16, "the chunk claims a payload larger than any recorder writes")
    }
    guard Int(raw.stored_bytes) <= rest - headerBytes else {
      throw .truncated(at: offset, "the file ends inside the payload of a chunk")
    }

    let cpuTable = ChunkLayout.headerBytes
    let groupTable = cpuTable + Int(raw.cpu_count) * ChunkLayout.cpuEntryBytes
    let kind = ChunkKind(raw: raw.kind)
    self.number = raw.number
    self.kind = kind
    self.offset = UInt64(offset)
    self.headerBytes = headerBytes
    self.storedBytes = Int(raw.stored_bytes)
    self.rawBytes = Int(raw.raw_bytes)
    self.firstTime = raw.first_time_ns
    self.lastTime = raw.last_time_ns
    self.recordCount = Int(raw.record_count)
    self.cpus = Self.readCPUs(header, at: cpuTable, count: Int(raw.cpu_count))
    self.groups = Self.readGroups(header, at: groupTable, count: Int(raw.group_count))
    self.codec = raw.codec
    self.payloadChecksum = raw.payload_crc32
    if kind.holdsRecords { try checkTables(groupTable: offset + groupTable) }
  }

  /// The size of a header and its tables, when what lies at `offset` looks like one and fits into the file. It has
  /// not been checksummed.
  ///
  /// - Parameter header: from its begin on, at least `ChunkLayout.headerBytes` unless the file ends before.
  static func plausibleHeaderBytes(
    _ header: UnsafeRawBufferPointer, at offset: Int, of fileBytes: Int
  ) throws(TraceError) -> Int {
    let rest = fileBytes - offset
    guard rest >= ChunkLayout.headerBytes else {
      throw .truncated(at: offset, "the file ends inside a chunk header")
    }
    let raw = header.loadUnaligned(as: pi_chunk_header.self)
    guard raw.magic == PI_CHUNK_MAGIC else {
      throw .corrupt(at: offset, "no chunk begins here, though the one before ends here")
    }
    let tableBytes =
      Int(raw.cpu_count) * ChunkLayout.cpuEntryBytes + Int(raw.group_count) * ChunkLayout.groupEntryBytes
    let headerBytes = Int(raw.header_bytes)
    let least = ChunkLayout.headerBytes + tableBytes
    guard headerBytes >= least, headerBytes <= least + ChunkLayout.maxExtraHeaderBytes else {
      throw .corrupt(at: offset + 8, "the size of the chunk header disagrees with its tables")
    }
    guard headerBytes <= rest else {
      throw .truncated(at: offset, "the file ends inside the tables of a chunk")
    }
    return headerBytes
  }

  private static func readCPUs(_ bytes: UnsafeRawBufferPointer, at offset: Int, count: Int) -> [CPURange] {
    var cpus: [CPURange] = []
    cpus.reserveCapacity(count)
    for i in 0..<count {
      let raw = bytes.loadUnaligned(
        fromByteOffset: offset + i * ChunkLayout.cpuEntryBytes, as: pi_cpu_entry.self)
      cpus.append(
        CPURange(
          cpu: Int(raw.cpu), firstSequence: raw.first_sequence, lastSequence: raw.last_sequence,
          count: raw.count))
    }
    return cpus
  }

  private static func readGroups(_ bytes: UnsafeRawBufferPointer, at offset: Int, count: Int) -> [GroupInfo] {
    var groups: [GroupInfo] = []
    groups.reserveCapacity(count)
    for i in 0..<count {
      let raw = bytes.loadUnaligned(
        fromByteOffset: offset + i * ChunkLayout.groupEntryBytes, as: pi_group_entry.self)
      groups.append(
        GroupInfo(
          type: raw.type, encoding: raw.encoding, recordBytes: Int(raw.record_bytes), count: Int(raw.count),
          deltaColumns: raw.delta_columns))
    }
    return groups
  }

  /// The groups must fill the payload exactly, and no CPU can have more records than the chunk.
  private func checkTables(groupTable: Int) throws(TraceError) {
    var bytes = 0
    var records = 0
    for (i, group) in groups.enumerated() {
      let entry = groupTable + i * ChunkLayout.groupEntryBytes
      guard group.recordBytes >= ChunkLayout.minRecordBytes, group.recordBytes % 8 == 0 else {
        throw .corrupt(at: entry + 2, "a group claims an impossible record size")
      }
      // At most 2^48 on top of at most 2^24: no overflow.
      bytes += group.recordBytes * group.count
      records += group.count
      guard bytes <= rawBytes else {
        throw .corrupt(at: entry + 4, "the groups of a chunk claim more bytes than its payload has")
      }
    }
    guard bytes == rawBytes else {
      throw .corrupt(at: Int(offset) + 16, "the groups of a chunk claim fewer bytes than its payload has")
    }
    guard records == recordCount else {
      throw .corrupt(at: Int(offset) + 40, "the record count of a chunk disagrees with its groups")
    }
    var counted = 0
    for cpu in cpus { counted += Int(cpu.count) }
    guard counted <= recordCount else {
      throw .corrupt(at: Int(offset) + 64, "the CPU table of a chunk claims more records than it has")
    }
  }
}
