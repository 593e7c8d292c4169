import Foundation
import GRDB
import Testing

@testable import Archive

/// A folder that is gone with the test.
final class Scratch {
  let path: String

  init() throws {
    path = "\(NSTemporaryDirectory())/archive-tests-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  @discardableResult
  func write(_ text: String, _ name: String) throws -> String {
    let file = "\(path)/\(name)"
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try text.write(toFile: file, atomically: false, encoding: .utf8)
    return file
  }
}

let hostile = "a\"b'; DROP TABLE runs; --\n<script>alert(1)</script>\u{1b}[2J,é\u{2028}"

func contentID(_ text: String) -> ContentID {
  Array(text.utf8).withUnsafeBytes { ContentID(of: $0) }
}

/// A summary with a value of each kind, and text that nobody should trust.
func summary(_ content: String, text: String = "text", losses: [String] = [], recording: String = "cafe")
  -> RunSummary
{
  RunSummary(
    id: contentID(content), analyzer: "test 1",
    trace: .init(
      bytes: content.utf8.count, format: "1.1", recording: recording, recordedNs: 1_764_000_000_000_000_000,
      durationNs: 5, recorder: nil, level: "op", arguments: [text], counters: []),
    machine: .init(
      host: text, architecture: nil, kernel: text, cpuModel: text, cpus: 2, memoryBytes: nil),
    target: .init(
      command: [text, "\u{0}"], executable: text, modelFile: text, engine: nil, engineVersion: "0.9",
      engineCommit: nil, engineBuild: "b1", threads: 2),
    models: [
      .init(
        label: text, layers: 2, embedding: nil, vocabulary: nil, feedForward: nil, heads: nil,
        keyValueHeads: nil, headSize: nil, experts: nil, expertsUsed: nil, cacheType: nil,
        weights: [.init(type: "q4_1", bytes: 7)], hints: [text])
    ],
    speed: .init(decodeTokens: 4, decodeTokensPerS: 10, decodeP50Ns: 100_000_000), verdict: "memory-bound",
    phases: [
      .init(
        phase: "decode", steps: 4, tokens: 4, wallNs: 400, operatorsNs: 300, barrierNs: 40, samplingNs: 0,
        outsideNs: 0)
    ],
    operators: [.init(op: "MUL_MAT", type: "q4_1", prefillShare: nil, decodeShare: 0.5)],
    findings: [.init(name: "head", evidence: text, advice: text, effectNs: nil, effectShare: nil)],
    quality: .init(
      coverage: 1, repairedOperators: 0, lostRecords: 0, isComplete: losses.isEmpty, losses: losses,
      warnings: [],
      recorderNs: nil, probesNs: nil))
}

let tables: [RunFolder.File: String] = [
  .tokens: "step,phase,start_ns,duration_ns,complete\r\n0,decode,5,100,yes\r\n1,decode,105,300,no\r\n",
  .operators:
    "op,type,count,total_ns,mean_ns,barrier_ns,min_ns,max_ns,all_threads_ns,repaired,share,MUL_MAT,count\r\n"
    + "MUL_MAT,q4_1,3,300,100,0,1,2,3,0,0.750000,9,9\r\n\"\(hostile.replacing("\"", with: "\"\""))\",,1,10,10,0,1,2,3,0,,9,9\r\n",
  .nodes:
    "name,op,ne0,count,total_ns,mean_ns,part,barrier_ns,min_ns,max_ns,all_threads_ns\r\n,ADD,8,1,10,10,ffn,0,1,2,3\r\n"
    + "0012,ADD,8,1,10,10,ffn,0,1,2,3\r\n",
  .threads: "tid,comm,op_ns,barrier_ns,n_ops,main\r\n7,,1,2,3,yes\r\n",
  .experts: "step,token,layer,slot,expert\r\n",
  .expertUse: "layer,expert,tokens,prefill_tokens,generated_tokens,uses\r\n0,1,2,0,2,2\r\n",
]

/// Puts results where they belong and into the index.
func add(_ summary: RunSummary, to archive: Archive, path: String) throws {
  let folder = try RunFolder(creating: archive.runFolder(summary.id))
  for (file, text) in tables {
    try text.write(toFile: folder.path(of: file), atomically: false, encoding: .utf8)
  }
  try Data(try summary.json).write(to: URL(fileURLWithPath: folder.path(of: .summary)))
  try folder.commit()
  try archive.add(summary, from: FilePath(path), stamp(1))
}

func stamp(_ inode: UInt) -> FileStamp {
  var status = stat()
  status.st_ino = inode
  return FileStamp(status)
}
