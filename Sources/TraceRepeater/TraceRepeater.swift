import ArgumentParser
import CTraceRecords
import Foundation
import TraceContainer

/// Makes a long trace from a short, real one, for benchmarks: its decode steps over and over.
///
/// Times, sequence numbers and positions go on from step to step, so that the result is read as one long recording
/// without losses; all else is as it was recorded, the order in which records arrived too. What the recorder
/// tells of itself stays that of the short trace, but for the counts without which the long one would look damaged.
/// The same arguments make the same bytes.
@main
struct TraceRepeater: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "trace-repeater",
    abstract: "Makes a long trace from a short one: its decode steps over and over.")

  @Argument(help: "A whole trace without losses, of one run with at least three decode steps.")
  var input: String

  @Option(name: .shortAndLong, help: "File to write.")
  var output: String

  @Option(help: "Operators that the long trace has at least: OP_BEGIN and OP_FUSED records.")
  var operators: Int

  @Option(help: "zstd level, as of pi-record; 0: not compressed.")
  var compress: Int32 = 1

  func run() throws {
    let data = try Data(contentsOf: URL(fileURLWithPath: input), options: .mappedIfSafe)
    let run = try data.withUnsafeBytes { try RecordedRun($0) }
    guard FileManager.default.createFile(atPath: output, contents: nil) else {
      throw RepeatError("\(output) cannot be created")
    }
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: output))
    var course = try Repetition(run, operators: operators)
    let writer = TraceFileWriter(file, compressionLevel: compress)
    writer.write(run.header.encoded())
    for json in run.metadata { writer.metadata(json) }
    course.write(to: writer)
    try writer.finish()
    print("\(course.operatorCount) operators, \(course.recordCount) records, \(writer.byteCount) bytes")
  }
}

/// Puts a trace into a file, chunk by chunk.
final class TraceFileWriter {
  private let file: FileHandle
  private let chunks: ChunkWriter
  private var failure: (any Error)?
  private(set) var byteCount = 0

  var chunkCount: UInt32 { chunks.chunkCount }

  init(_ file: FileHandle, compressionLevel: Int32) {
    self.file = file
    chunks = ChunkWriter(compressionLevel: compressionLevel)
  }

  func write(_ bytes: some Sequence<UInt8>) {
    let data = Data(bytes)
    byteCount += data.count
    guard failure == nil else { return }
    do { try file.write(contentsOf: data) } catch { failure = error }
  }

  func metadata(_ json: [UInt8]) {
    json.withUnsafeBytes { json in _ = chunks.sealMetadata(json) { write($0) } }
  }

  func append(_ record: StoredRecord) {
    record.bytes.withUnsafeBytes { bytes in
      if chunks.append(bytes) { return }
      seal()
      precondition(chunks.append(bytes), "the record came out of a chunk, so it fits into one")
    }
  }

  func seal(_ kind: ChunkKind = .events) { chunks.seal(kind: kind) { write($0) } }

  /// - Throws: the first error of the file.
  func finish() throws {
    seal(.end)
    try file.close()
    if let failure { throw failure }
  }
}
