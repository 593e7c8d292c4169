import CTraceRecords
import TraceContainer
import Testing

@testable import TraceImport

/// The order in which records of a chunk are handed on, against a plain sort.
@Suite struct RecordOrderTests {
  /// Records of a chunk, group after group.
  private struct TestChunk {
    var bytes: [UInt8] = []
    var groups: [RecordGroup] = []
    private var sequence: UInt32 = 0

    mutating func add(type: UInt8, recordBytes: Int = 24, cpu: UInt16 = 0, _ times: [UInt64]) {
      groups.append(
        RecordGroup(type: type, recordBytes: recordBytes, count: times.count, byteOffset: bytes.count))
      for time in times {
        let head = pi_record(
          time_ns: time, tid: 1, cpu: cpu, type: type, flags: 0, sequence: sequence, ref: 0)
        sequence += 1
        bytes += withUnsafeBytes(of: head) { Array($0) } + [UInt8](repeating: 0, count: recordBytes - 24)
      }
    }

    /// Times and offsets in the order found.
    func order() -> [(time: UInt64, offset: UInt32)] {
      var order = RecordOrder()
      return bytes.withUnsafeBytes { bytes in
        order.take(groups, in: bytes)
        return order.list.map { ($0.time, $0.offset) }
      }
    }

    /// What a stable sort of all records finds.
    func sorted() -> [(time: UInt64, offset: UInt32)] {
      groups.flatMap { group in
        (0..<group.count).map { i in
          let offset = group.byteOffset + i * group.recordBytes
          return (
            bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt64.self) },
            UInt32(offset)
          )
        }
      }.sorted { ($0.0, $0.1) < ($1.0, $1.1) }
    }
  }

  private func isSorted(_ chunk: TestChunk) -> Bool {
    let (found, wanted) = (chunk.order(), chunk.sorted())
    return found.count == wanted.count && zip(found, wanted).allSatisfy { $0 == $1 }
  }

  @Test(arguments: 0..<40)
  func groupsAreMerged(seed: UInt64) {
    var random = XorShift(seed: seed)
    var chunk = TestChunk()
    for group in 0..<Int.random(in: 1...6, using: &random) {
      let count = [0, 1, 2, 3, 17, 400, 3000].randomElement(using: &random)!
      // Few different times, so that there are equal ones; nearly in order.
      var time: UInt64 = 0
      let times = (0..<count).map { _ in
        time += UInt64.random(in: 0...3, using: &random)
        return time + UInt64.random(in: 0...2, using: &random)
      }
      let size = [24, 32, 40].randomElement(using: &random)!
      chunk.add(type: UInt8(group + 1), recordBytes: size, cpu: UInt16(group), times)
    }
    #expect(isSorted(chunk))
  }

  @Test func disorderCostsAFullSort() {
    var chunk = TestChunk()
    chunk.add(type: 7, (0..<5000).map { 5000 - $0 })
    chunk.add(type: 9, (0..<5000).map { $0 * 7919 % 5000 })
    #expect(isSorted(chunk))
  }

  @Test func manyGroups() {
    var chunk = TestChunk()
    for group in 0..<500 { chunk.add(type: UInt8(group % 26 + 1), [UInt64(group * 7 % 500), 250]) }
    #expect(isSorted(chunk))
  }

  @Test func equalTimesOfACPUAreInItsOrder() {
    var chunk = TestChunk()
    // Numbered first, though the group comes last in the chunk.
    chunk.add(type: 9, [50])
    chunk.add(type: 7, [50])
    chunk.groups.reverse()
    let order = chunk.order()
    #expect(order.map(\.offset) == [0, 24])
  }

  @Test func whatIsNotInTheBytesIsCounted() {
    var chunk = TestChunk()
    chunk.add(type: 7, [1, 2, 3])
    chunk.groups.append(RecordGroup(type: 9, recordBytes: 24, count: 2, byteOffset: 48))
    chunk.groups.append(RecordGroup(type: 9, recordBytes: 16, count: 1, byteOffset: 0))
    chunk.groups.append(RecordGroup(type: 9, recordBytes: 24, count: 1, byteOffset: 1 << 40))
    chunk.groups.append(RecordGroup(type: 9, recordBytes: 24, count: 1, byteOffset: -24))
    var order = RecordOrder()
    chunk.bytes.withUnsafeBytes { order.take(chunk.groups, in: $0) }
    #expect(order.list.map(\.time) == [1, 2, 3])
    #expect(order.shortRecords == 5)
    #expect(order.targetCount == 3 && order.latest == 3)
  }

  @Test func recordersOwnRecordsDoNotLimit() {
    var chunk = TestChunk()
    chunk.add(type: RecordType.clock, [900])
    chunk.add(type: RecordType.frequency, [800])
    chunk.add(type: 7, [1, 2])
    var order = RecordOrder()
    chunk.bytes.withUnsafeBytes { order.take(chunk.groups, in: $0) }
    #expect(order.list.map(\.time) == [1, 2, 800])
    #expect(order.latest == 2)
  }
}

/// The same numbers in every run.
private struct XorShift: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

  mutating func next() -> UInt64 {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return state
  }
}
