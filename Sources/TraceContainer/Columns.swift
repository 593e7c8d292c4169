import CTraceRecords

/// The COLUMNS encoding: rows of records to byte planes of columns, and back.
///
/// A record is column 0, its first 8 bytes, and then columns 1, 2, … of 4 bytes each. A column that is marked
/// holds the zigzag difference to the record before. Each column is stored byte plane by byte plane, the least
/// significant first. Callers have checked the sizes; these loops run over every byte of a trace, so they use
/// raw pointers. The way back is in ColumnsDecoding.swift.
enum Columns {
  /// Time and sequence: they rise steadily, their differences are small.
  static let defaultDeltas: UInt32 = 1 << 0 | 1 << 3

  /// The columns that are stored as differences: those, and counter values behind the record's structure, which
  /// only ever rise on one CPU.
  static func deltas(type: UInt8, recordBytes: Int) -> UInt32 {
    let structure: Int
    switch UInt32(type) {
    case PI_RECORD_OP_BEGIN.rawValue, PI_RECORD_BARRIER.rawValue, PI_RECORD_SWITCH_IN.rawValue,
      PI_RECORD_TOKEN_END.rawValue, PI_RECORD_GRAPH_END.rawValue:
      structure = MemoryLayout<pi_record>.size
    case PI_RECORD_OP_FUSED.rawValue: structure = MemoryLayout<pi_op_fused>.size
    case PI_RECORD_SWITCH_OUT.rawValue: structure = MemoryLayout<pi_switch_out>.size
    case PI_RECORD_TOKEN_BEGIN.rawValue: structure = MemoryLayout<pi_token_begin>.size
    case PI_RECORD_GRAPH_BEGIN.rawValue: structure = MemoryLayout<pi_graph_begin>.size
    default: return defaultDeltas
    }
    guard recordBytes > structure else { return defaultDeltas }
    let first = UInt32(columnCount(recordBytes: structure))
    let behind = UInt32(columnCount(recordBytes: recordBytes))
    let counters = (behind >= 32 ? UInt32.max : (1 << behind) - 1) & ~((1 << first) - 1)
    return defaultDeltas | counters
  }

  static func columnCount(recordBytes: Int) -> Int { 1 + (recordBytes - 8) / 4 }

  /// - Parameters:
  ///   - rows: `count * recordBytes` bytes.
  ///   - planes: as many bytes, elsewhere.
  static func encode(
    _ rows: UnsafeRawPointer, count: Int, recordBytes: Int, deltas: UInt32,
    into planes: UnsafeMutableRawPointer
  ) {
    encodeWide(rows, count, recordBytes, isDelta: deltas & 1 != 0, planes)
    for column in 1..<columnCount(recordBytes: recordBytes) {
      let at = 8 + 4 * (column - 1)
      encodeWord(
        rows + at, count, recordBytes, isDelta: deltas >> UInt32(column) & 1 != 0, planes + at * count)
    }
  }

  private static func encodeWide(
    _ rows: UnsafeRawPointer, _ count: Int, _ stride: Int, isDelta: Bool, _ planes: UnsafeMutableRawPointer
  ) {
    let low = planes.assumingMemoryBound(to: UInt8.self)
    let high = low + 4 * count
    var previous: UInt64 = 0
    for i in 0..<count {
      var value = rows.loadUnaligned(fromByteOffset: i &* stride, as: UInt64.self)
      if isDelta {
        let difference = value &- previous
        previous = value
        value = difference << 1 ^ UInt64(bitPattern: Int64(bitPattern: difference) >> 63)
      }
      scatter(UInt32(truncatingIfNeeded: value), low, i, count)
      scatter(UInt32(truncatingIfNeeded: value >> 32), high, i, count)
    }
  }

  private static func encodeWord(
    _ rows: UnsafeRawPointer, _ count: Int, _ stride: Int, isDelta: Bool, _ planes: UnsafeMutableRawPointer
  ) {
    let out = planes.assumingMemoryBound(to: UInt8.self)
    var previous: UInt32 = 0
    for i in 0..<count {
      var value = rows.loadUnaligned(fromByteOffset: i &* stride, as: UInt32.self)
      if isDelta {
        let difference = value &- previous
        previous = value
        value = difference << 1 ^ UInt32(bitPattern: Int32(bitPattern: difference) >> 31)
      }
      scatter(value, out, i, count)
    }
  }

  @inline(__always)
  private static func scatter(_ value: UInt32, _ out: UnsafeMutablePointer<UInt8>, _ i: Int, _ count: Int) {
    out[i] = UInt8(truncatingIfNeeded: value)
    out[i &+ count] = UInt8(truncatingIfNeeded: value >> 8)
    out[i &+ 2 &* count] = UInt8(truncatingIfNeeded: value >> 16)
    out[i &+ 3 &* count] = UInt8(truncatingIfNeeded: value >> 24)
  }
}
