import Foundation
import TraceContainer

/// A trace around bytes that are not to be trusted: only what is fuzzed is wrong, so that every input comes to it.
///
/// Records as an input has them: two bytes with the length of a record, then the record; length 0 ends a chunk.
struct TraceMaking {
  private(set) var file = FileHeader(
    optionalFeatures: 3, traceID: Array(1...16), createdRealtime: 1_790_000_000_000_000_000, machine: 62
  ).encoded()
  // The smallest chunks that there are: hardly an input fills one.
  private let writer = ChunkWriter(compressionLevel: 0, rawCapacity: 1 << 16)

  mutating func add(metadata: UnsafeRawBufferPointer) {
    var chunk: [UInt8] = []
    writer.sealMetadata(metadata) { chunk += $0 }
    file += chunk
  }

  mutating func add(records: UnsafeRawBufferPointer) {
    var at = 0
    while at + 2 <= records.count {
      let length = Int(records.loadUnaligned(fromByteOffset: at, as: UInt16.self))
      at += 2
      if length == 0 {
        seal(.events)
        continue
      }
      let record = UnsafeRawBufferPointer(rebasing: records[at..<min(at + length, records.count)])
      if !writer.append(record) {
        seal(.events)
        // Refused twice: shorter than a record's head.
        _ = writer.append(record)
      }
      at += record.count
    }
    seal(.events)
  }

  private mutating func seal(_ kind: ChunkKind) {
    var chunk: [UInt8] = []
    writer.seal(kind: kind) { chunk += $0 }
    file += chunk
  }
}

/// What a whole trace is made of, in the form that inputs have.
struct TraceParts {
  var metadata: [UInt8] = []
  var records: [UInt8] = []

  init(of trace: [UInt8]) throws {
    let (metadata, records) = try trace.withUnsafeBytes { bytes in
      var reader = try TraceReader(bytes)
      var (metadata, records, buffer): ([UInt8], [UInt8], [UInt8]) = ([], [], [])
      while let chunk = try reader.nextChunk() {
        if chunk.kind == .metadata {
          if metadata.isEmpty { metadata = try reader.metadata(chunk) }
        } else if chunk.kind.holdsRecords {
          for group in try reader.decode(chunk, into: &buffer) {
            for i in 0..<group.count {
              let at = group.byteOffset + i * group.recordBytes
              records += withUnsafeBytes(of: UInt16(group.recordBytes)) { Array($0) }
              records += buffer[at..<at + group.recordBytes]
            }
          }
          records += [0, 0]
        }
      }
      return (metadata, records)
    }
    self.metadata = metadata
    self.records = records
  }

  /// Of the golden trace of this version: it has a record of every type.
  static let golden: TraceParts = {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../../..")
    let file = root.appendingPathComponent("formats/golden/v1.1-minimal.pitrace").standardizedFileURL
    do {
      return try TraceParts(of: [UInt8](Data(contentsOf: file)))
    } catch {
      fatalError("\(file.path): \(error)")
    }
  }()
}

/// The same place in memory for the file of every input, as a path: traces are opened by path.
func withTraceFile(_ bytes: [UInt8], _ body: (String) -> Void) {
  precondition(ftruncate(scratch, 0) == 0 && lseek(scratch, 0, SEEK_SET) == 0, "no file in memory")
  var written = 0
  bytes.withUnsafeBytes { bytes in
    while written < bytes.count {
      let step = write(scratch, bytes.baseAddress! + written, bytes.count - written)
      precondition(step > 0, "no room in memory for a trace")
      written += step
    }
  }
  body("/proc/self/fd/\(scratch)")
}

private let scratch: CInt = {
  var name = Array("/dev/shm/fuzz-XXXXXX".utf8CString)
  let file = mkstemp(&name)
  precondition(file >= 0 && unlink(name) == 0, "no file in memory")
  return file
}()
