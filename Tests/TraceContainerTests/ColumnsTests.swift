import Testing

@testable import TraceContainer

/// Columns come back as they were put in, for every size of record and group: whole blocks and what is left of one,
/// and any set of columns with differences, which a later writer may choose.
@Suite struct ColumnsTests {
  @Test(arguments: [24, 32, 40, 48, 64, 72, 128])
  func roundTrip(recordBytes: Int) {
    var random = SeededGenerator(seed: UInt64(recordBytes))
    let all = UInt32(1) << UInt32(Columns.columnCount(recordBytes: recordBytes)) - 1
    for count in [0, 1, 2, 15, 16, 17, 31, 32, 33, 100] {
      for deltas in [Columns.defaultDeltas, 0, 1, all, UInt32.random(in: 0...all, using: &random)] {
        // Times close together, far apart, and backwards.
        for spread: UInt64 in [1 << 10, 1 << 40, .max] {
          var rows: [UInt8] = []
          var time: UInt64 = 1 << 50
          for _ in 0..<count {
            time &+= UInt64.random(in: 0...spread, using: &random)
            rows += withUnsafeBytes(of: time) { Array($0) }
            rows += (8..<recordBytes).map { _ in UInt8.random(in: 0...255, using: &random) }
          }
          #expect(decoded(rows, count, recordBytes, deltas) == rows)
        }
      }
    }
  }

  private func decoded(_ rows: [UInt8], _ count: Int, _ recordBytes: Int, _ deltas: UInt32) -> [UInt8] {
    // Of exact size, so that a load behind the end is one behind an allocation.
    let planes = UnsafeMutableRawPointer.allocate(byteCount: max(rows.count, 1), alignment: 1)
    defer { planes.deallocate() }
    var result = [UInt8](repeating: 0, count: rows.count)
    rows.withUnsafeBytes { rows in
      guard let rows = rows.baseAddress, count > 0 else { return }
      Columns.encode(rows, count: count, recordBytes: recordBytes, deltas: deltas, into: planes)
    }
    result.withUnsafeMutableBytes { result in
      guard let result = result.baseAddress, count > 0 else { return }
      Columns.decode(planes, count: count, recordBytes: recordBytes, deltas: deltas, into: result)
    }
    return result
  }
}
