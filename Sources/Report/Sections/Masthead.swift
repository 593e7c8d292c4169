import Statistics

/// What was recorded, and the numbers that one asks for first.
extension ReportPage {
  /// The model's file where the command names one, else the command.
  var title: String {
    let command = summary.facts.command
    if let model = command.last(where: { $0.hasSuffix(".gguf") }) {
      return String(Self.lastComponent(model).dropLast(5))
    }
    return command.first.map(Self.lastComponent) ?? facts.file
  }

  private static func lastComponent(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
  }

  var masthead: HTML {
    """
    <header class="masthead" id="overview">
    <p class="eyebrow">Profile of an LLM inference</p>
    <h1>\(title)</h1>
    \(recordedFacts)<div class="tiles">\(tiles)</div>
    </header>

    """
  }

  private var recordedFacts: HTML {
    let recording = summary.facts
    var list: [(String, HTML)] = []
    if !recording.command.isEmpty {
      list.append(("command", "<code>\(recording.command.joined(separator: " "))</code>"))
    }
    var machine = [facts.host, recording.cpuModel].compactMap { $0 }
    if let cpus = recording.cpuCount { machine.append(formatCount(cpus, "CPU")) }
    if let memory = facts.memory { machine.append("\(formatBytes(Int64(memory))) of memory") }
    if let kernel = facts.kernel {
      machine.append(
        [kernel.split(separator: " ").first.map(String.init), facts.architecture]
          .compactMap { $0 }.joined(separator: " "))
    }
    if !machine.isEmpty { list.append(("machine", "\(machine.joined(separator: ", "))")) }
    var recorded = [facts.begun].compactMap { $0 }
    if let duration = recording.duration { recorded.append(formatDuration(duration)) }
    recorded += summary.phaseTimes.map { time in
      formatCount(time.steps, "\(time.phase.rawValue) step")
        + (time.tokens.map { $0 == time.steps ? "" : " of \(formatCount($0, "token"))" } ?? "")
    }
    if summary.phaseTimes.isEmpty { recorded.append("no token step") }
    list.append(("recorded", "\(recorded.joined(separator: ", "))"))
    for (index, model) in summary.models.enumerated().prefix(8) {
      list.append((summary.models.count == 1 ? "model" : "model \(index + 1)", Self.text(model)))
    }
    if summary.models.isEmpty { list.append(("model", "not recorded: no structure of a graph in the trace")) }
    return Self.list(list)
  }

  private static func text(_ model: ModelShape) -> HTML {
    var shape: [String] = []
    if let layers = model.layers { shape.append(formatCount(layers, "layer")) }
    if let size = model.embeddingSize { shape.append("embedding \(size)") }
    if let heads = model.heads {
      shape.append("\(heads) heads" + (model.keyValueHeads.map { " (\($0) key/value)" } ?? ""))
    }
    if let size = model.headSize { shape.append("head size \(size)") }
    if let size = model.feedForwardSize { shape.append("feed-forward \(size)") }
    if let size = model.vocabularySize { shape.append("vocabulary \(size)") }
    if let experts = model.experts {
      shape.append("\(experts) experts" + (model.expertsUsed.map { ", \($0) a token" } ?? ""))
    }
    var lines: [HTML] = ["\(shape.isEmpty ? "shape not recognised" : shape.joined(separator: ", "))"]
    let weights = model.weightBytes
    if !weights.isEmpty {
      let total = weights.reduce(0) { $0 &+ $1.bytes }
      let types = weights.prefix(6).map { "\($0.type) \(formatBytes($0.bytes))" }.joined(separator: ", ")
      lines.append("weights \(formatBytes(total)): \(types)")
    }
    let hints = model.hints.sorted() + (model.cacheType.map { ["key cache \($0)"] } ?? [])
    if !hints.isEmpty { lines.append("\(hints.joined(separator: ", "))") }
    return lines.joined(separator: "<br>")
  }

  private struct Tile {
    var name: String
    var value: String?
    var note: String
    var isMain = false

    var html: HTML {
      let value: HTML = value.map { "\($0)" } ?? "<span class=\"missing\">not recorded</span>"
      return """
        <div class="tile\(isMain ? " main" : "")"><p class="tile-name">\(name)</p><p class="tile-value">\(value)</p>\
        <p class="tile-note">\(note)</p></div>
        """
    }
  }

  private var tiles: [HTML] {
    let speed = summary.speed
    var tiles: [Tile] = []
    let rate = speed.generatedTokensPerSecond ?? speed.decodeTokensPerSecond
    let speculation = summary.speculation
    if speculation.rounds > 0 {
      tiles.append(
        Tile(
          name: "accepted drafts", value: speculation.acceptance.map(formatShare),
          note: formatCount(speculation.rounds, "round")
            + (speculation.tokensPerRound.map { " of \(formatDecimal($0, digits: 2)) tokens" } ?? ""),
          isMain: true))
    }
    tiles.append(
      Tile(
        name: "decode", value: rate.map { "\(formatDecimal($0, digits: 1)) tokens/s" },
        note: speed.generatedTokensPerSecond != nil ? "with sampling" : "", isMain: speculation.rounds == 0))
    let perToken = speed.timePerOutputToken
    tiles.append(
      Tile(
        name: "time per token, median", value: perToken.quantile(0.5).map { formatDuration($0) },
        note: [("p95", 0.95), ("p99", 0.99)].compactMap { name, share in
          perToken.quantile(share).map { "\(name) \(formatDuration($0))" }
        }.joined(separator: ", ")))
    var firsts = QuantileSketch()
    for request in speed.requests { if let time = request.timeToFirstToken { firsts.add(time) } }
    tiles.append(
      Tile(
        name: firsts.count > 1 ? "time to first token, median" : "time to first token",
        value: firsts.quantile(0.5).map { formatDuration($0) },
        note: firsts.count > 1
          ? "\(firsts.count) requests, p95 \(firsts.quantile(0.95).map { formatDuration($0) } ?? "–")"
          : formatCount(speed.prefillTokens, "prompt token")))
    tiles.append(
      Tile(
        name: "prefill",
        value: speed.prefillTokensPerSecond.map { "\(formatDecimal($0, digits: 1)) tokens/s" }, note: ""))
    tiles.append(
      Tile(
        name: "coverage", value: summary.coverage.mean.map(formatShare),
        note: summary.facts.lostRecords == 0
          ? "no record lost" : "\(formatCount(summary.facts.lostRecords, "record")) lost"))
    return tiles.map(\.html)
  }
}
