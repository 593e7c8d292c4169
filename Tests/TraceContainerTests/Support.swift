import CTraceRecords
import Foundation
import TraceContainer

/// SplitMix64: the same numbers on every machine.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
    return z ^ z >> 31
  }
}

/// A record of any type and of a size from 24 to 600 bytes, random in every byte.
func randomRecord(using random: inout SeededGenerator) -> [UInt8] {
  let sizes = [24, 24, 24, 24, 25, 32, 40, 48, 56, 63, 64, 65, 72, 376, 544, 600]
  let count = sizes.randomElement(using: &random) ?? 24
  var record = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
  record[14] = [1, 5, 7, 9, 12, 14, 77, 128, 131, 255].randomElement(using: &random) ?? 7
  return record
}

/// As the writer stores it: zeros up to a multiple of 8 bytes.
func padded(_ record: [UInt8]) -> [UInt8] {
  record + [UInt8](repeating: 0, count: (8 - record.count % 8) % 8)
}

/// Records of a type and size side by side, each in the order given.
func sortedByGroup(_ records: [[UInt8]]) -> [[UInt8]] {
  var groups: [Int: [[UInt8]]] = [:]
  for record in records { groups[Int(record[14]) << 32 | record.count, default: []].append(record) }
  return groups.sorted { $0.key < $1.key }.flatMap(\.value)
}

let testHeader = FileHeader(
  optionalFeatures: 3, traceID: Array(1...16), createdRealtime: 1_790_000_000_000_000_000, machine: 62)

/// File header, metadata if any, as many EVENTS chunks as the records need, and an END chunk if asked for.
func makeTrace(
  level: Int32, records: [[UInt8]], rawCapacity: Int = 1 << 16, metadata: [UInt8]? = nil,
  isEnded: Bool = false
) -> [UInt8] {
  var trace = testHeader.encoded()
  let writer = ChunkWriter(compressionLevel: level, rawCapacity: rawCapacity)
  if let metadata { metadata.withUnsafeBytes { _ = writer.sealMetadata($0) { trace += $0 } } }
  for record in records {
    if !record.withUnsafeBytes(writer.append) {
      writer.seal(kind: .events) { trace += $0 }
      let fits = record.withUnsafeBytes(writer.append)
      precondition(fits, "an empty chunk takes any record")
    }
  }
  writer.seal(kind: .events) { trace += $0 }
  if isEnded {
    var end = [UInt8](repeating: 0, count: MemoryLayout<pi_end>.size)
    end[14] = UInt8(PI_RECORD_END.rawValue)
    let fits = end.withUnsafeBytes(writer.append)
    precondition(fits, "an empty chunk takes any record")
    writer.seal(kind: .end) { trace += $0 }
  }
  return trace
}

/// All that a trace says, without how it is stored.
struct Content: Equatable {
  /// Records of each chunk that has some, group after group.
  var chunks: [[[UInt8]]] = []
  var metadata: [[UInt8]] = []
  var isComplete = false

  init(of trace: [UInt8]) throws {
    var content = Content()
    try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      var buffer: [UInt8] = []
      while let chunk = try reader.nextChunk() {
        if chunk.kind == .metadata {
          content.metadata.append(try reader.metadata(chunk))
        } else if chunk.kind.holdsRecords {
          let groups = try reader.decode(chunk, into: &buffer)
          content.chunks.append(
            groups.flatMap { group in
              (0..<group.count).map { i in
                let at = group.byteOffset + i * group.recordBytes
                return Array(buffer[at..<at + group.recordBytes])
              }
            })
        }
      }
      content.isComplete = reader.isComplete
    }
    self = content
  }

  private init() {}
}

/// Files of the repository that tests compare with.
enum Repository {
  static let formats = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("formats")

  static func golden(_ name: String) -> URL { formats.appendingPathComponent("golden/" + name) }
}

/// CRC-32 bit by bit: slow, and independent of zlib.
func crc32(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var sum: UInt32 = 0xffff_ffff
  for byte in bytes {
    sum ^= UInt32(byte)
    for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xedb8_8320 : sum >> 1 }
  }
  return ~sum
}

/// Replaces little-endian bytes.
func put(_ value: UInt64, bytes: Int, at offset: Int, in trace: inout [UInt8]) {
  for i in 0..<bytes { trace[offset + i] = UInt8(truncatingIfNeeded: value >> (8 * i)) }
}

/// Makes the header checksum of a chunk right again.
func fixHeaderChecksum(of trace: inout [UInt8], chunk: Int, headerBytes: Int) {
  put(0, bytes: 4, at: chunk + 52, in: &trace)
  put(UInt64(crc32(trace[chunk..<chunk + headerBytes])), bytes: 4, at: chunk + 52, in: &trace)
}
