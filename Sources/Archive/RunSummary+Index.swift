import Foundation
import GRDB

extension RunSummary {
  /// Adds the rows that come from the summary itself.
  ///
  /// - Returns: the number of the run.
  func insert(_ db: Database, hasReport: Bool) throws -> Int64 {
    try Self.insert(
      db, "runs",
      [
        "id": id.description, "analyzer": analyzer, "bytes": trace.bytes, "format": trace.format,
        "recording": trace.recording, "recorded_ns": trace.recordedNs, "duration_ns": trace.durationNs,
        "recorder": trace.recorder, "level": trace.level, "arguments": Self.json(trace.arguments),
        "counters": Self.json(trace.counters), "host": machine.host, "architecture": machine.architecture,
        "kernel": machine.kernel, "cpu_model": machine.cpuModel, "cpus": machine.cpus,
        "memory_bytes": machine.memoryBytes, "command": Self.json(target.command),
        "executable": target.executable, "model_file": target.modelFile, "engine": target.engine,
        "engine_version": target.engineVersion, "engine_commit": target.engineCommit,
        "engine_build": target.engineBuild, "threads": target.threads,
        "model": models.isEmpty ? nil : models.map(\.label).joined(separator: " + "),
        "prefill_tokens": speed.prefillTokens, "prefill_tokens_per_s": speed.prefillTokensPerS,
        "time_to_first_token_ns": speed.timeToFirstTokenNs, "decode_tokens": speed.decodeTokens,
        "decode_tokens_per_s": speed.decodeTokensPerS, "generated_steps_per_s": speed.generatedStepsPerS,
        "decode_p50_ns": speed.decodeP50Ns, "decode_p95_ns": speed.decodeP95Ns,
        "decode_p99_ns": speed.decodeP99Ns, "verdict": verdict, "coverage": quality.coverage,
        "repaired_operators": quality.repairedOperators, "lost_records": quality.lostRecords,
        "complete": quality.isComplete, "recorder_ns": quality.recorderNs, "probes_ns": quality.probesNs,
        "report": hasReport,
      ])
    let run = db.lastInsertedRowID
    for (place, model) in models.enumerated() {
      try Self.insert(
        db, "models",
        [
          "run": run, "place": place, "label": model.label, "layers": model.layers,
          "embedding": model.embedding, "vocabulary": model.vocabulary, "feed_forward": model.feedForward,
          "heads": model.heads, "key_value_heads": model.keyValueHeads, "head_size": model.headSize,
          "experts": model.experts, "experts_used": model.expertsUsed, "cache_type": model.cacheType,
          "weights": Self.json(model.weights), "hints": Self.json(model.hints),
        ])
    }
    for phase in phases {
      try Self.insert(
        db, "phases",
        [
          "run": run, "phase": phase.phase, "steps": phase.steps, "tokens": phase.tokens,
          "wall_ns": phase.wallNs, "operators_ns": phase.operatorsNs, "barrier_ns": phase.barrierNs,
          "graph_overhead_ns": phase.graphOverheadNs, "backend_graphs_ns": phase.backendGraphsNs,
          "not_probed_ns": phase.notProbedNs, "setup_ns": phase.setupNs,
          "between_graphs_ns": phase.betweenGraphsNs, "finish_ns": phase.finishNs,
          "sampling_ns": phase.samplingNs, "outside_ns": phase.outsideNs, "verdict": phase.verdict,
          "evidence": phase.evidence, "bytes_per_s": phase.bytesPerS, "flops_per_s": phase.flopsPerS,
          "memory_share": phase.memoryShare, "compute_share": phase.computeShare,
        ])
    }
    for (place, finding) in findings.enumerated() {
      try Self.insert(
        db, "findings",
        [
          "run": run, "place": place, "name": finding.name, "evidence": finding.evidence,
          "advice": finding.advice, "effect_ns": finding.effectNs, "effect_share": finding.effectShare,
        ])
    }
    for (place, loss) in quality.losses.enumerated() {
      try Self.insert(db, "losses", ["run": run, "place": place, "loss": loss])
    }
    return run
  }

  /// Adds to the operators of the run what they are of the phases.
  func insertShares(_ db: Database, run: Int64) throws {
    let statement = try db.cachedStatement(
      sql: """
        UPDATE operators SET prefill_share = ?, decode_share = ?
        WHERE run = ? AND op = ? AND type IS ? AND kind = 'cpu'
        """)
    for share in operators {
      try statement.execute(
        arguments: [share.prefillShare, share.decodeShare, run, share.op, share.type])
    }
  }

  private static func insert(
    _ db: Database, _ table: String, _ values: KeyValuePairs<String, (any DatabaseValueConvertible)?>
  ) throws {
    let names = values.map(\.key).joined(separator: ", ")
    let marks = values.map { _ in "?" }.joined(separator: ", ")
    let statement = try db.cachedStatement(sql: "INSERT INTO \(table) (\(names)) VALUES (\(marks))")
    try statement.execute(arguments: StatementArguments(values.map(\.value)))
  }

  /// For lists: an argument may hold anything.
  private static func json(_ list: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(list), as: UTF8.self)
  }
}
