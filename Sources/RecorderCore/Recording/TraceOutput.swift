import CRecorderShim
import CTraceRecords
import TraceContainer

/// The trace as it grows: header, chunks, end.
final class TraceOutput {
  let path: String
  private let descriptor: Int32
  private let canTruncate: Bool
  /// What the file is called until `publish`.
  private var unpublished: String?
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
      unpublished = nil
      guard !shim_is_terminal(1) else {
        throw .usage("'-o -' writes a binary trace: send standard output to a file or a pipe")
      }
    } else if shim_file_kind(path) == shim_kind_other {
      unpublished = nil
      descriptor = shim_open_special(path)
    } else {
      let name = "\(path).\(shim_own_pid()).part"
      unpublished = name
      descriptor = shim_file_kind(path) == shim_kind_link ? -1 : shim_create(name)
    }
    let reason = System.lastErrorText
    guard descriptor >= 0 else {
      throw RecorderError(
        "cannot create \(path): "
          + (shim_file_kind(path) == shim_kind_link
            ? "it is a symbolic link, which is not followed" : reason),
        hints: ["name a file in a folder that you can write with -o FILE"])
    }
    canTruncate = shim_is_regular(descriptor)
  }

  /// Gives the file its name, from when there is something to record: a start that fails must not cost an
  /// earlier trace of that name. A file that is there is replaced and not written into, for it may have another
  /// mode, another owner, or another name somewhere else.
  func publish() throws(RecorderError) {
    guard let name = unpublished else { return }
    guard shim_rename(name, path) == 0 else {
      throw RecorderError(
        "cannot create \(path): \(System.lastErrorText)",
        hints: ["name a file in a folder that you can write with -o FILE"])
    }
    unpublished = nil
  }

  deinit {
    if let unpublished { shim_unlink(unpublished) }
    if descriptor != 1 { shim_close(descriptor) }
  }

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
      if System.lastError == interrupted, shim_signals_caught() < 3 { continue }
      let again: Int32 = 11
      if System.lastError == again, shim_signals_caught() < 3 {
        shim_sleep_ns(1_000_000)
        continue
      }
      failure = RecorderError(
        "cannot write \(path == "-" ? "standard output" : path): \(System.lastErrorText)",
        hints: ["the trace is readable up to byte \(writtenBytes)"])
      // Half a chunk helps nobody and would read as damage.
      if canTruncate { _ = shim_truncate(descriptor, writtenBytes) }
    }
    if failure == nil { writtenBytes += UInt64(bytes.count) }
  }
}
