import CRecorderShim
import CTraceRecords
import TraceContainer

/// The trace as it grows: header, chunks, end.
final class TraceOutput {
  let path: String
  private let descriptor: Int32
  private let canTruncate: Bool
  private let writer: ChunkWriter
  var chunks: UInt32 { writer.chunkCount }
  /// Bytes in the file so far, whole chunks only.
  private(set) var writtenBytes: UInt64 = 0
  /// Set by the first failed write; nothing is written afterwards.
  private(set) var failure: RecorderError?

  init(path: String, compressionLevel: Int32) throws(RecorderError) {
    self.path = path
    writer = ChunkWriter(compressionLevel: compressionLevel)
    if path == "-" {
      descriptor = 1
      guard !shim_is_terminal(1) else {
        throw .usage("'-o -' writes a binary trace: send standard output to a file or a pipe")
      }
    } else {
      descriptor = shim_create(path)
      guard descriptor >= 0 else {
        throw RecorderError(
          "cannot create \(path): \(System.lastErrorText)",
          hints: ["name a file in a folder that you can write with -o FILE"])
      }
    }
    canTruncate = shim_is_regular(descriptor)
  }

  /// Removes the file: there was nothing to record.
  func discard() { if canTruncate, path != "-" { shim_unlink(path) } }

  deinit { if descriptor != 1 { shim_close(descriptor) } }

  func writeHeader(_ header: FileHeader) {
    header.encoded().withUnsafeBytes { write($0) }
  }

  func writeMetadata(_ json: JSONWriter) {
    flush()
    _ = json.bytes.withUnsafeBytes { writer.sealMetadata($0) { write($0) } }
  }

  func append(_ record: UnsafeRawBufferPointer) {
    if writer.append(record) { return }
    flush()
    if !writer.append(record), failure == nil {
      failure = RecorderError("a record of \(record.count) bytes does not fit into a chunk")
    }
  }

  /// Appends a record of the recorder's own.
  func append<Record>(_ record: Record) {
    withUnsafeBytes(of: record) { append($0) }
  }

  /// Seals what was collected, so that a power cut loses at most what comes later.
  func flush(kind: ChunkKind = .events) {
    if writer.isEmpty { return }
    writer.seal(kind: kind) { write($0) }
  }

  /// One call writes one whole chunk, or the header.
  private func write(_ bytes: UnsafeRawBufferPointer) {
    var done = 0
    while failure == nil, done < bytes.count {
      let count = shim_write(descriptor, bytes.baseAddress! + done, UInt64(bytes.count - done))
      if count >= 0 {
        done += Int(count)
        continue
      }
      let interrupted: Int32 = 4
      if System.lastError == interrupted { continue }
      failure = RecorderError(
        "cannot write \(path == "-" ? "standard output" : path): \(System.lastErrorText)",
        hints: ["the trace is readable up to byte \(writtenBytes)"])
      // Half a chunk helps nobody and would read as damage.
      if canTruncate { _ = shim_truncate(descriptor, writtenBytes) }
    }
    if failure == nil { writtenBytes += UInt64(bytes.count) }
  }
}
