import CTraceRecords

/// What the tables of a chunk say about its records: which groups, which CPUs, which times.
///
/// Each record is looked at once, on the board, so the tables are raw memory without checks. Their capacity is
/// the number of records that a chunk can hold, so they cannot overflow; pages never touched cost nothing.
final class ChunkIndex {
  struct Group {
    var type: UInt8
    var recordBytes: UInt16
    var count: UInt32
    /// Of the first record in the payload.
    var byteOffset: Int

    var isColumns: Bool { Int(recordBytes) <= ChunkLayout.maxColumnRecordBytes }
    var deltas: UInt32 { Columns.deltas(type: type, recordBytes: Int(recordBytes)) }
  }

  private let groupTable: UnsafeMutablePointer<Group>
  private let cpuTable: UnsafeMutablePointer<pi_cpu_entry>
  /// Where the next record of each group goes.
  private let places: UnsafeMutablePointer<UnsafeMutableRawPointer>
  /// For each record type, the group of its last record: records of a type mostly have one size.
  private let recentGroup: UnsafeMutablePointer<UInt16>

  private(set) var groupCount = 0
  private(set) var cpuCount = 0
  private(set) var firstTime: UInt64 = 0
  private(set) var lastTime: UInt64 = 0

  /// - Parameter maxRecords: of a chunk, at most 65535.
  init(maxRecords: Int) {
    groupTable = .allocate(capacity: maxRecords)
    cpuTable = .allocate(capacity: maxRecords)
    places = .allocate(capacity: maxRecords)
    recentGroup = .allocate(capacity: 256)
  }

  deinit {
    groupTable.deallocate()
    cpuTable.deallocate()
    places.deallocate()
    recentGroup.deallocate()
  }

  var groups: UnsafeBufferPointer<Group> { UnsafeBufferPointer(start: groupTable, count: groupCount) }

  /// Reads every record once and fills groups, CPUs and times.
  ///
  /// - Parameter sizes: of the records; becomes the index of each record's group.
  func build(records: UnsafeRawPointer, sizes: UnsafeMutablePointer<UInt16>, count: Int) {
    recentGroup.initialize(repeating: 0, count: 256)
    var groups = 0
    var cpus = 0
    var recentCPU = 0
    var first = UInt64.max
    var last: UInt64 = 0
    var record = records
    for i in 0..<count {
      let head = record.load(as: pi_record.self)
      let size = sizes[i]
      let group = findGroup(type: head.type, recordBytes: size, &groups)
      groupTable[group].count &+= 1
      sizes[i] = UInt16(truncatingIfNeeded: group)
      first = min(first, head.time_ns)
      last = max(last, head.time_ns)
      if UInt32(head.type) < PI_RECORD_FIRST_USER.rawValue {
        recentCPU = findCPU(head.cpu, recent: recentCPU, sequence: head.sequence, &cpus)
        note(head.sequence, in: cpuTable + recentCPU)
      }
      record += Int(size)
    }
    groupCount = groups
    cpuCount = cpus
    firstTime = first
    lastTime = last
    var offset = 0
    for i in 0..<groups {
      groupTable[i].byteOffset = offset
      offset += Int(groupTable[i].recordBytes) * Int(groupTable[i].count)
    }
    sortCPUs()
  }

  /// Copies the records to `rows`, group by group, each group in the order of arrival.
  ///
  /// - Parameter groupOf: the index of each record's group, as ``build(records:sizes:count:)`` left it.
  func scatter(
    records: UnsafeRawPointer, groupOf: UnsafePointer<UInt16>, count: Int, into rows: UnsafeMutableRawPointer
  ) {
    for i in 0..<groupCount { places[i] = rows + groupTable[i].byteOffset }
    var record = records
    for i in 0..<count {
      let group = Int(groupOf[i])
      let bytes = Int(groupTable[group].recordBytes)
      let to = places[group]
      places[group] = to + bytes
      if bytes == ChunkLayout.minRecordBytes {
        // Most records are bare heads; a call of memcpy costs more than three moves.
        to.storeBytes(of: record.load(as: pi_record.self), as: pi_record.self)
      } else {
        to.copyMemory(from: record, byteCount: bytes)
      }
      record += bytes
    }
  }

  /// Writes the CPU table and, behind it, the group table.
  func writeTables(to out: UnsafeMutableRawPointer) {
    var out = out
    for i in 0..<cpuCount {
      out.storeBytes(of: cpuTable[i], as: pi_cpu_entry.self)
      out += ChunkLayout.cpuEntryBytes
    }
    for group in groups {
      var entry = pi_group_entry()
      entry.type = group.type
      entry.encoding = UInt8((group.isColumns ? PI_ENCODING_COLUMNS : PI_ENCODING_ROWS).rawValue)
      entry.record_bytes = group.recordBytes
      entry.count = group.count
      entry.delta_columns = group.isColumns ? group.deltas : 0
      out.storeBytes(of: entry, as: pi_group_entry.self)
      out += ChunkLayout.groupEntryBytes
    }
  }

  /// - Returns: index of the group of records of this type and size, which is made when there is none.
  @inline(__always)
  private func findGroup(type: UInt8, recordBytes: UInt16, _ count: inout Int) -> Int {
    let recent = Int(recentGroup[Int(type)])
    if recent < count, groupTable[recent].type == type, groupTable[recent].recordBytes == recordBytes {
      return recent
    }
    var i = 0
    while i < count, groupTable[i].type != type || groupTable[i].recordBytes != recordBytes { i &+= 1 }
    if i == count {
      (groupTable + i).initialize(
        to: Group(type: type, recordBytes: recordBytes, count: 0, byteOffset: 0))
      count &+= 1
    }
    recentGroup[Int(type)] = UInt16(truncatingIfNeeded: i)
    return i
  }

  /// - Returns: index of the CPU's entry, which is made with `sequence` when there is none.
  @inline(__always)
  private func findCPU(_ cpu: UInt16, recent: Int, sequence: UInt32, _ count: inout Int) -> Int {
    if recent < count, cpuTable[recent].cpu == cpu { return recent }
    var i = 0
    while i < count, cpuTable[i].cpu != cpu { i &+= 1 }
    if i == count {
      (cpuTable + i).initialize(
        to: pi_cpu_entry(cpu: cpu, reserved: 0, first_sequence: sequence, last_sequence: sequence, count: 0))
      count &+= 1
    }
    return i
  }

  /// Differences modulo 2^32, because the numbers of a long recording wrap.
  @inline(__always)
  private func note(_ sequence: UInt32, in entry: UnsafeMutablePointer<pi_cpu_entry>) {
    entry.pointee.count &+= 1
    if Int32(bitPattern: sequence &- entry.pointee.first_sequence) < 0 {
      entry.pointee.first_sequence = sequence
    }
    if Int32(bitPattern: sequence &- entry.pointee.last_sequence) > 0 {
      entry.pointee.last_sequence = sequence
    }
  }

  /// By insertion: a handful of entries, nearly in order.
  private func sortCPUs() {
    guard cpuCount > 1 else { return }
    for i in 1..<cpuCount {
      let entry = cpuTable[i]
      var at = i
      while at > 0, cpuTable[at - 1].cpu > entry.cpu {
        cpuTable[at] = cpuTable[at - 1]
        at -= 1
      }
      cpuTable[at] = entry
    }
  }
}
