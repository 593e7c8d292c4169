import Comparison
import Foundation
import Statistics
import TraceImport

/// One side of a comparison: a trace, or a folder of traces of the same run, repeated.
struct RunSide {
  var runs: [ComparedRun] = []
  /// What is missing, on standard error already.
  var hasLosses = false

  /// - Throws: `TraceFileError` for what is no trace, `DiffError` for a folder without traces.
  init(path: String) throws {
    for file in try Self.traces(path) {
      let trace = try OpenTrace(path: file)
      var collector = ComparisonCollector()
      let statistics = try trace.read(into: &collector)
      collector.samples.finish()
      let lines = Losses(trace.info, statistics).lines
      for line in lines { complain("\(trace.file.name): \(line)") }
      if !lines.isEmpty { hasLosses = true }
      runs.append(ComparedRun(facts: RunFacts(trace, collector), samples: collector.samples))
    }
  }

  private static func traces(_ path: String) throws -> [String] {
    var isFolder: ObjCBool = false
    guard path != "-", FileManager.default.fileExists(atPath: path, isDirectory: &isFolder),
      isFolder.boolValue
    else {
      return [path]
    }
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    let traces = names.filter { $0.hasSuffix(".pitrace") }.sorted()
    guard !traces.isEmpty else { throw DiffError.noTraces(path) }
    return traces.map { "\(path)/\($0)" }
  }
}

enum DiffError: Error, CustomStringConvertible {
  case noTraces(String)

  var description: String {
    switch self {
    case .noTraces(let path):
      "\(path): the folder holds no .pitrace file; name a trace, or a folder with traces of repeated runs"
    }
  }
}

extension RunFacts {
  init(_ trace: OpenTrace, _ collector: ComparisonCollector) {
    self.init(file: trace.file.name)
    let metadata = trace.info.metadata
    models = collector.models.models
    threads = collector.samples.graphThreads > 0 ? collector.samples.graphThreads : nil
    if let version = metadata.engineVersion {
      engine = [metadata.engineName, version, metadata.engineCommit].compactMap { $0 }.joined(separator: " ")
    }
    for library in metadata.libraries {
      guard let path = library.path, let name = path.split(separator: "/").last.map(String.init) else {
        continue
      }
      libraries[name] = library.buildID ?? path
    }
    cpuModel = metadata.cpuModel
    hostname = metadata.hostname
    kernel = metadata.kernel
    targetCPUs = metadata.targetCPUs
    level = metadata.level
    recordsScheduler = metadata.recordsScheduler
    counters = trace.counters.map(\.name)
    recorder = metadata.recorderVersion
  }
}
