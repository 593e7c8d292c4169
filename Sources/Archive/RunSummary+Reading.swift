import Statistics
import TraceImport
import TraceModel

extension RunSummary {
  /// - Parameters:
  ///   - analyzer: name and version of who reads the trace.
  ///   - losses: what is missing in the results, in sentences.
  public init(
    id: ContentID, analyzer: String, info: TraceInfo, summary: Summary, losses: [String], warnings: [String]
  ) {
    self.id = id
    self.analyzer = analyzer
    trace = Trace(info)
    machine = Machine(info.metadata)
    target = Target(info.metadata, threads: summary.graphThreads)
    models = summary.models.map(Model.init)
    speed = Speed(summary.speed)
    let rooflines = Dictionary(summary.rooflines.map { ($0.phase, $0) }) { first, _ in first }
    phases = summary.phaseTimes.map {
      Phase($0, rooflines[$0.phase], hasGraphs: summary.hasGraphs, hasOperators: summary.hasOperators)
    }
    let generating = summary.phaseTimes.filter { [.decode, .verify, .draft].contains($0.phase) }
    let main = generating.max { $0.wall < $1.wall }
    verdict = main.flatMap { rooflines[$0.phase]?.verdict.headline }
    operators = summary.operators.map {
      OperatorShare(
        op: $0.row.op, type: $0.row.type, prefillShare: $0.prefillShare?.finite,
        decodeShare: $0.decodeShare?.finite)
    }
    findings = summary.findings.map {
      Finding(
        name: $0.name, evidence: $0.evidence, advice: $0.advice, effectNs: $0.effect?.time,
        effectShare: $0.effect?.share.finite)
    }
    let facts = summary.facts
    quality = Quality(
      coverage: summary.coverage.mean?.finite, repairedOperators: Int64(clamping: summary.coverage.repaired),
      lostRecords: Int64(clamping: facts.lostRecords), isComplete: facts.isComplete, losses: losses,
      warnings: warnings, recorderNs: facts.recorderTime, probesNs: facts.probeTime)
  }
}

extension RunSummary.Trace {
  init(_ info: TraceInfo) {
    let (header, metadata) = (info.header, info.metadata)
    self.init(
      bytes: info.fileBytes, format: "\(header.major).\(header.minor)",
      recording: hexadecimal(header.traceID),
      recordedNs: header.createdRealtime > 0 ? Int64(clamping: header.createdRealtime) : nil,
      durationNs: info.range?.duration,
      recorder: metadata.recorderName.map {
        [$0, metadata.recorderVersion].compactMap(\.self).joined(separator: " ")
      }, level: metadata.level, arguments: metadata.recorderArguments,
      counters: metadata.counterColumns.map(\.name))
  }
}

extension RunSummary.Machine {
  init(_ metadata: TraceMetadata) {
    self.init(
      host: metadata.hostname, architecture: metadata.architecture, kernel: metadata.kernel,
      cpuModel: metadata.cpuModel, cpus: metadata.cpus.isEmpty ? nil : metadata.cpus.count,
      memoryBytes: metadata.memoryBytes)
  }
}

extension RunSummary.Target {
  init(_ metadata: TraceMetadata, threads: Int) {
    let model = metadata.command.first { $0.hasSuffix(".gguf") }
    self.init(
      command: metadata.command, executable: metadata.executable,
      modelFile: model.flatMap { $0.split(separator: "/").last.map(String.init) },
      engine: metadata.engineName, engineVersion: metadata.engineVersion, engineCommit: metadata.engineCommit,
      engineBuild: Self.build(metadata), threads: threads > 0 ? threads : nil)
  }

  /// The operators' library is the one whose speed is measured; at a lower level, what computes graphs or decodes.
  private static func build(_ metadata: TraceMetadata) -> String? {
    for role in ["op_begin", "graph", "backend_graph", "token_process", "token_decode"] {
      for site in metadata.sites where site.role == role {
        if let id = metadata.libraries.first(where: { $0.index == site.library })?.buildID { return id }
      }
    }
    return nil
  }
}

extension RunSummary.Model {
  init(_ shape: ModelShape) {
    self.init(
      label: Self.label(shape), layers: shape.layers, embedding: shape.embeddingSize,
      vocabulary: shape.vocabularySize, feedForward: shape.feedForwardSize, heads: shape.heads,
      keyValueHeads: shape.keyValueHeads, headSize: shape.headSize, experts: shape.experts,
      expertsUsed: shape.expertsUsed, cacheType: shape.cacheType,
      weights: shape.weightBytes.map { Weights(type: $0.type, bytes: $0.bytes) },
      hints: shape.hints.sorted())
  }

  private static func label(_ shape: ModelShape) -> String {
    var parts: [String] = []
    if let layers = shape.layers { parts.append(formatCount(layers, "layer")) }
    if let size = shape.embeddingSize { parts.append("embedding \(size)") }
    if let size = shape.vocabularySize { parts.append("vocabulary \(size)") }
    if let experts = shape.experts { parts.append("\(experts) experts") }
    if let most = shape.weightBytes.first { parts.append(most.type) }
    return parts.isEmpty ? "not recognised" : parts.joined(separator: ", ")
  }
}

extension RunSummary.Speed {
  init(_ speed: Speed) {
    self.init(
      prefillTokens: speed.prefillTokensPerSecond == nil ? nil : speed.prefillTokens,
      prefillTokensPerS: speed.prefillTokensPerSecond?.finite,
      timeToFirstTokenNs: speed.requests.lazy.compactMap(\.timeToFirstToken).first,
      decodeTokens: speed.decodeTokensPerSecond == nil ? nil : speed.decodeTokens,
      decodeTokensPerS: speed.decodeTokensPerSecond?.finite,
      generatedStepsPerS: speed.generatedTokensPerSecond?.finite, decodeP50Ns: speed.decodeStep.quantile(0.5),
      decodeP95Ns: speed.decodeStep.quantile(0.95), decodeP99Ns: speed.decodeStep.quantile(0.99))
  }
}

extension RunSummary.Phase {
  init(_ phase: Summary.PhaseTime, _ roofline: PhaseRoofline?, hasGraphs: Bool, hasOperators: Bool) {
    let time = phase.time
    func graphs(_ value: Int64) -> Int64? { hasGraphs ? value : nil }
    func operators(_ value: Int64) -> Int64? { hasOperators ? value : nil }
    let whole = roofline?.whole
    self.init(
      phase: phase.phase.rawValue, steps: phase.steps, tokens: phase.tokens, wallNs: phase.wall,
      operatorsNs: operators(time.operators), barrierNs: operators(time.barrier),
      graphOverheadNs: operators(time.graphOverhead), backendGraphsNs: graphs(time.backendGraphs),
      notProbedNs: operators(time.notProbed), setupNs: graphs(time.setup),
      betweenGraphsNs: graphs(time.betweenGraphs), finishNs: graphs(time.finish), samplingNs: time.sampling,
      outsideNs: time.outside, verdict: roofline?.verdict.headline, evidence: roofline?.verdict.evidence,
      bytesPerS: whole?.bytesPerSecond?.finite, flopsPerS: whole?.flopsPerSecond?.finite,
      memoryShare: whole?.memoryShare?.finite, computeShare: whole?.computeShare?.finite)
  }
}

extension Double {
  /// nil for what JSON has no number for.
  fileprivate var finite: Double? { isFinite ? self : nil }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}
