import CTraceRecords

/// Byte planes back to rows, 16 records at a time.
///
/// All that an analysis reads goes through here, so the four planes of a column are interleaved in vector registers,
/// and rows are stored by eight bytes. Loads stay inside their plane: blocks are whole, the rest of a group goes one by
/// one. Callers have checked the sizes.
extension Columns {
  private static let block = 16

  static func decode(
    _ planes: UnsafeRawPointer, count: Int, recordBytes: Int, deltas: UInt32,
    into rows: UnsafeMutableRawPointer
  ) {
    if recordBytes == MemoryLayout<pi_record>.size, deltas == defaultDeltas {
      return decodeHeads(planes, count, rows)
    }
    decodeWide(planes, count, recordBytes, isDelta: deltas & 1 != 0, rows)
    for column in 1..<columnCount(recordBytes: recordBytes) {
      let at = 8 + 4 * (column - 1)
      decodeWord(
        planes + at * count, count, recordBytes, isDelta: deltas >> UInt32(column) & 1 != 0, rows + at)
    }
  }

  /// Records without anything behind their head, with differences where the writer puts them: nearly all of a trace.
  private static func decodeHeads(
    _ planes: UnsafeRawPointer, _ count: Int, _ rows: UnsafeMutableRawPointer
  ) {
    var last = pi_record()
    let whole = count & ~(block - 1)
    withUnsafeTemporaryAllocation(of: SIMD16<UInt32>.self, capacity: 6) { columns in
      // The same memory by single values: column k begins at 16 k.
      let value = UnsafeRawPointer(columns.baseAddress!).assumingMemoryBound(to: UInt32.self)
      var row = rows
      for first in stride(from: 0, to: whole, by: block) {
        let plane = planes + first
        let high = gatherBlock(plane + 4 &* count, count)
        columns[0] = gatherBlock(plane, count)
        columns[1] = high
        columns[2] = gatherBlock(plane + 8 &* count, count)
        columns[3] = gatherBlock(plane + 12 &* count, count)
        columns[4] = difference(gatherBlock(plane + 16 &* count, count))
        columns[5] = gatherBlock(plane + 20 &* count, count)
        // Nearly always: the times are less than two seconds apart.
        let isNarrow = high == SIMD16(repeating: 0)
        if isNarrow { columns[0] = difference(columns[0]) }
        for i in 0..<block {
          let step =
            isNarrow
            ? UInt64(bitPattern: Int64(Int32(bitPattern: value[i])))
            : difference(UInt64(value[i]) | UInt64(value[16 &+ i]) &<< 32)
          last.time_ns &+= step
          last.sequence &+= value[64 &+ i]
          store(last, UInt64(value[32 &+ i]) | UInt64(value[48 &+ i]) &<< 32, ref: value[80 &+ i], to: row)
          row += MemoryLayout<pi_record>.size
        }
      }
    }
    for i in whole..<count {
      let plane = planes + i
      last.time_ns &+= difference(gatherWide(plane, count))
      last.sequence &+= difference(gather(plane + 16 &* count, count))
      store(
        last, gatherWide(plane + 8 &* count, count), ref: gather(plane + 20 &* count, count),
        to: rows + i &* MemoryLayout<pi_record>.size)
    }
  }

  /// - Parameter middle: thread, CPU, type and flags.
  @inline(__always)
  private static func store(
    _ last: pi_record, _ middle: UInt64, ref: UInt32, to row: UnsafeMutableRawPointer
  ) {
    row.storeBytes(of: last.time_ns, as: UInt64.self)
    row.storeBytes(of: middle, toByteOffset: 8, as: UInt64.self)
    row.storeBytes(of: UInt64(last.sequence) | UInt64(ref) &<< 32, toByteOffset: 16, as: UInt64.self)
  }

  private static func decodeWide(
    _ planes: UnsafeRawPointer, _ count: Int, _ stride: Int, isDelta: Bool, _ rows: UnsafeMutableRawPointer
  ) {
    var previous: UInt64 = 0
    for i in 0..<count {
      var value = gatherWide(planes + i, count)
      if isDelta {
        value = previous &+ difference(value)
        previous = value
      }
      rows.storeBytes(of: value, toByteOffset: i &* stride, as: UInt64.self)
    }
  }

  private static func decodeWord(
    _ planes: UnsafeRawPointer, _ count: Int, _ stride: Int, isDelta: Bool, _ rows: UnsafeMutableRawPointer
  ) {
    var previous: UInt32 = 0
    let whole = count & ~(block - 1)
    withUnsafeTemporaryAllocation(of: SIMD16<UInt32>.self, capacity: 1) { column in
      let value = UnsafeRawPointer(column.baseAddress!).assumingMemoryBound(to: UInt32.self)
      var row = rows
      for first in Swift.stride(from: 0, to: whole, by: block) {
        let stored = gatherBlock(planes + first, count)
        column[0] = isDelta ? difference(stored) : stored
        for i in 0..<block {
          previous = isDelta ? previous &+ value[i] : value[i]
          row.storeBytes(of: previous, as: UInt32.self)
          row += stride
        }
      }
    }
    for i in whole..<count {
      let stored = gather(planes + i, count)
      previous = isDelta ? previous &+ difference(stored) : stored
      rows.storeBytes(of: previous, toByteOffset: i &* stride, as: UInt32.self)
    }
  }

  // MARK: Values

  /// The words of 16 records whose bytes lie in four planes, `count` bytes apart.
  @inline(__always)
  private static func gatherBlock(_ plane: UnsafeRawPointer, _ count: Int) -> SIMD16<UInt32> {
    let a = plane.loadUnaligned(as: SIMD16<UInt8>.self)
    let b = plane.loadUnaligned(fromByteOffset: count, as: SIMD16<UInt8>.self)
    let c = plane.loadUnaligned(fromByteOffset: 2 &* count, as: SIMD16<UInt8>.self)
    let d = plane.loadUnaligned(fromByteOffset: 3 &* count, as: SIMD16<UInt8>.self)
    return interleave(interleave(a, b), interleave(c, d))
  }

  @inline(__always)
  private static func interleave(_ low: SIMD16<UInt8>, _ high: SIMD16<UInt8>) -> SIMD16<UInt16> {
    var bytes = SIMD32<UInt8>()
    bytes.evenHalf = low
    bytes.oddHalf = high
    return unsafeBitCast(bytes, to: SIMD16<UInt16>.self)
  }

  @inline(__always)
  private static func interleave(_ low: SIMD16<UInt16>, _ high: SIMD16<UInt16>) -> SIMD16<UInt32> {
    var halves = SIMD32<UInt16>()
    halves.evenHalf = low
    halves.oddHalf = high
    return unsafeBitCast(halves, to: SIMD16<UInt32>.self)
  }

  @inline(__always)
  private static func gather(_ plane: UnsafeRawPointer, _ count: Int) -> UInt32 {
    let bytes = plane.assumingMemoryBound(to: UInt8.self)
    return UInt32(bytes[0]) | UInt32(bytes[count]) << 8 | UInt32(bytes[2 &* count]) << 16
      | UInt32(bytes[3 &* count]) << 24
  }

  @inline(__always)
  private static func gatherWide(_ plane: UnsafeRawPointer, _ count: Int) -> UInt64 {
    UInt64(gather(plane, count)) | UInt64(gather(plane + 4 &* count, count)) << 32
  }

  /// Zigzag back to a difference, modulo the width.
  @inline(__always)
  private static func difference(_ zigzag: SIMD16<UInt32>) -> SIMD16<UInt32> {
    (zigzag &>> 1) ^ (0 &- (zigzag & 1))
  }

  @inline(__always)
  private static func difference(_ zigzag: UInt32) -> UInt32 { zigzag >> 1 ^ (0 &- (zigzag & 1)) }

  @inline(__always)
  private static func difference(_ zigzag: UInt64) -> UInt64 { zigzag >> 1 ^ (0 &- (zigzag & 1)) }
}
