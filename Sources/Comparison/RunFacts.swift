import Statistics

/// What a recording says about itself, as far as it tells why two differ; nil where it does not tell.
public struct RunFacts: Sendable {
  public var file: String
  public var models: [ModelShape] = []
  public var threads: Int?
  /// Name, version and commit of the engine, as far as it tells them.
  public var engine: String?
  /// Build number (`build-id`) or path of each engine library by its file name.
  public var libraries: [String: String] = [:]
  public var cpuModel: String?
  public var hostname: String?
  public var kernel: String?
  public var targetCPUs: [Int] = []
  public var level: String?
  public var recordsScheduler: Bool?
  public var counters: [String] = []
  public var recorder: String?

  public init(file: String) { self.file = file }
}

/// In what two recordings differ besides time.
public struct Difference: Sendable, Equatable {
  public enum Kind: String, Sendable {
    case model, weights, threads, engine, build, device, kernel, cpus, level, scheduler, counters, recorder,
      fusion
  }
  public var kind: Kind
  public var first: String
  public var second: String
  /// What it means for the comparison.
  public var meaning: String
  /// True where the two did not compute the same: nodes and times of one have no counterpart in the other.
  public var preventsComparison: Bool { kind == .model }
}

extension RunFacts {
  /// Each by which the recordings of two sides differ; a side that differs within itself names all of its values.
  static func differences(_ first: [RunFacts], _ second: [RunFacts]) -> [Difference] {
    var result: [Difference] = []
    func compare(_ kind: Difference.Kind, _ meaning: String, _ value: (RunFacts) -> String?) {
      // What one of them does not tell is no difference.
      let (a, b) = (first.compactMap(value), second.compactMap(value))
      guard !a.isEmpty, !b.isEmpty, Set(a) != Set(b) else { return }
      func text(_ values: [String]) -> String { Set(values).sorted().joined(separator: " or ") }
      result.append(Difference(kind: kind, first: text(a), second: text(b), meaning: meaning))
    }
    compare(.model, "another model: times per node have no counterpart") { $0.modelText }
    compare(.weights, "other weight types: the same nodes read other amounts of memory") { $0.weightText }
    compare(.threads, "operators are shared by another number of threads") { $0.threads.map(String.init) }
    compare(.engine, "another version of the engine: operators are not computed the same way") { $0.engine }
    compare(.build, "another build of the engine") { facts in
      let list = facts.libraries.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value.prefix(12))" }
      return list.isEmpty ? nil : list.joined(separator: ", ")
    }
    compare(.device, "another processor: every operator's time changes with it") { $0.cpuModel }
    compare(.device, "another machine") { $0.hostname }
    compare(.kernel, "another kernel") { $0.kernel }
    compare(.cpus, "the target was allowed other CPUs") { facts in
      facts.targetCPUs.isEmpty ? nil : facts.targetCPUs.map(String.init).joined(separator: ",")
    }
    compare(.level, "probes at another level cost another amount of time") { $0.level }
    compare(.scheduler, "recording the scheduler costs time itself") { facts in
      facts.recordsScheduler.map { $0 ? "recorded" : "not recorded" }
    }
    compare(.counters, "reading counters costs time at every operator") { facts in
      facts.counters.isEmpty ? "none" : facts.counters.joined(separator: ",")
    }
    compare(.recorder, "another version of the recorder") { $0.recorder }
    return result
  }

  private var modelText: String? {
    let shapes = models.filter { $0.layers != nil || $0.embeddingSize != nil }
    guard !shapes.isEmpty else { return nil }
    return Set(shapes.map(\.dimensions)).sorted().joined(separator: " and ")
  }

  private var weightText: String? {
    let types = Set(models.flatMap { $0.weightBytes.map(\.type) })
    return types.isEmpty ? nil : types.sorted().joined(separator: ",")
  }
}

extension ModelShape {
  fileprivate var dimensions: String {
    let parts: [(String, Int64?)] = [
      ("layers", layers.map(Int64.init)), ("embedding", embeddingSize), ("vocabulary", vocabularySize),
      ("feed-forward", feedForwardSize), ("experts", experts),
    ]
    return parts.compactMap { name, value in value.map { "\($0) \(name)" } }.joined(separator: ", ")
  }
}
