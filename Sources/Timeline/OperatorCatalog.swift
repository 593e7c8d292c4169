import Statistics
import TraceModel

/// The operators of all structures under small numbers, so that a span needs two array look-ups.
///
/// Nodes that look the same in a timeline share an entry, whichever structure they are in: a graph that changes with
/// every token costs four bytes a node.
struct OperatorCatalog {
  /// The entry of operators whose node is not known.
  static let unknown: Int32 = -1

  private struct Source: Hashable {
    var name: String
    var type: String
    var shape: [Int64]
  }

  private struct Entry: Hashable {
    var name: String
    var op: String
    var type: String
    var shape: [Int64]
    var layer: Int?
    var part: ModelPart
    /// nil for a tensor that was not recorded.
    var sources: [Source?]
    var work: OperatorWork?
    var byteCount: Int64
    var isExecuted: Bool

    /// As others name it in their sources.
    var asSource: Source { Source(name: name, type: type, shape: shape) }
  }

  /// Beside `entries`: what the spans need.
  private struct Facts {
    /// Number that the encoder knows the entry by, -1 before it is drawn for the first time.
    var number: Int32 = -1
    var layer: Int32
    var routesExperts: Bool
    /// -1 where not known.
    var bytes: Int64
  }

  private struct Place {
    var base: Int
    var count: Int
  }

  // A hostile trace may hold any number of different graphs.
  private static let maxEntries = 1 << 18
  private static let maxNodes = 1 << 24

  private let titles: OperatorTitle
  private let workModel: WorkModel?
  private var entries: [Entry] = []
  private var facts: [Facts] = []
  private var entryOfNode: [Entry: Int32] = [:]
  private var nextNumber: Int32 = 0
  /// Entries of the nodes of all structures, one structure behind the other.
  private var nodes: [Int32] = []
  /// Beside `nodes`: the last node of the operator that was fused onto this one, and its entry.
  private var fusedLast: [Int32] = []
  private var fusedEntry: [Int32] = []
  private var places: [UInt32: Place] = [:]
  /// The structure looked up last: consecutive spans nearly always share it.
  private var current: (structure: UInt32, place: Place) = (0, Place(base: 0, count: 0))

  init(titles: OperatorTitle, workModel: WorkModel?) {
    self.titles = titles
    self.workModel = workModel
  }

  mutating func add(_ structure: GraphStructure) {
    current = (structure.number, Place(base: nodes.count, count: 0))
    places[structure.number] = current.place
    guard nodes.count + structure.nodes.count <= Self.maxNodes else { return }
    let work = workModel?(structure) ?? []
    var tensors: [UInt64: Source] = [:]
    for tensor in structure.nodes + structure.constants where tensors[tensor.address] == nil {
      tensors[tensor.address] = Source(name: tensor.name, type: tensor.type, shape: tensor.shape)
    }
    for (index, node) in structure.nodes.enumerated() {
      let entry = Entry(
        name: node.name, op: node.op, type: node.type, shape: node.shape, layer: node.layer, part: node.part,
        sources: node.sources.compactMap { address in address.map { tensors[$0] } },
        work: node.isExecuted && index < work.count ? work[index] : nil, byteCount: node.byteCount,
        isExecuted: node.isExecuted)
      nodes.append(number(of: entry))
    }
    fusedLast.append(contentsOf: repeatElement(-1, count: structure.nodes.count))
    fusedEntry.append(contentsOf: repeatElement(Self.unknown, count: structure.nodes.count))
    current.place.count = structure.nodes.count
    places[structure.number] = current.place
  }

  private mutating func number(of entry: Entry) -> Int32 {
    if let known = entryOfNode[entry] { return known }
    guard entries.count < Self.maxEntries else { return Self.unknown }
    let number = Int32(entries.count)
    entries.append(entry)
    facts.append(
      Facts(
        layer: Int32(clamping: entry.layer ?? -1), routesExperts: entry.op.contains("MUL_MAT_ID"),
        bytes: entry.work?.bytes ?? -1))
    entryOfNode[entry] = number
    return number
  }

  /// The entry of an operator; `unknown` where structure or node are not known.
  @inline(__always)
  mutating func entry(structure: UInt32, node: Int32, lastNode: Int32) -> Int32 {
    if structure != current.structure {
      guard let place = places[structure] else { return Self.unknown }
      current = (structure, place)
    }
    guard node >= 0, Int(node) < current.place.count else { return Self.unknown }
    let index = current.place.base + Int(node)
    return lastNode <= node ? nodes[index] : fused(index, node: node, lastNode: lastNode)
  }

  private mutating func fused(_ index: Int, node: Int32, lastNode: Int32) -> Int32 {
    if fusedLast[index] == lastNode { return fusedEntry[index] }
    guard Int(lastNode) < current.place.count else { return Self.unknown }
    let members = nodes[index...current.place.base + Int(lastNode)].compactMap { number in
      number == Self.unknown ? nil : entries[Int(number)]
    }
    let entry = fuse(members).map { number(of: $0) } ?? Self.unknown
    fusedLast[index] = lastNode
    fusedEntry[index] = entry
    return entry
  }

  /// A fused operator has the name and shape of its last node, whose value it writes, and the operators of all:
  /// `RMS_NORM+MUL`. What one hands to the next is no source, and never touches memory.
  private func fuse(_ chain: [Entry]) -> Entry? {
    // Its ends took part even where they are empty tensors, which are not executed alone; between them views do not.
    let ends = [0, chain.count - 1]
    let members = chain.indices.filter { ends.contains($0) || chain[$0].isExecuted }.map { chain[$0] }
    guard var result = members.last else { return nil }
    result.op = members.map(\.op).joined(separator: "+")
    let own = members.dropLast().map(\.asSource)
    result.sources = members.flatMap(\.sources).filter { source in
      source.map { !own.contains($0) } ?? true
    }
    var bytes: Int64? = 0
    var flops: Int64? = 0
    for (index, member) in members.enumerated() {
      let handedOn = index + 1 < members.count ? member.byteCount &* 2 : 0
      bytes = Self.sum(bytes, member.work?.bytes.map { $0 &- handedOn })
      flops = Self.sum(flops, member.work?.flops)
    }
    result.work = OperatorWork(bytes: bytes.map { max($0, 0) }, flops: flops)
    return result
  }

  private static func sum(_ a: Int64?, _ b: Int64?) -> Int64? {
    guard let a, let b else { return nil }
    return a &+ b
  }

  // MARK: - Of an entry

  /// The number that the encoder knows an entry by; nil for `unknown` and before it was described.
  @inline(__always)
  func number(of entry: Int32) -> Int? {
    guard entry >= 0, facts[Int(entry)].number >= 0 else { return nil }
    return Int(facts[Int(entry)].number)
  }

  /// Bytes that one execution moves, by the work model; nil where not known.
  @inline(__always)
  func bytes(of entry: Int32) -> Int64? {
    guard entry >= 0, facts[Int(entry)].bytes >= 0 else { return nil }
    return facts[Int(entry)].bytes
  }

  @inline(__always)
  func routesExperts(_ entry: Int32) -> Bool { facts[Int(entry)].routesExperts }

  func layer(of entry: Int32) -> Int32 { facts[Int(entry)].layer }

  func name(of entry: Int32) -> (name: String, op: String)? {
    guard entry >= 0 else { return nil }
    return (entries[Int(entry)].name, entries[Int(entry)].op)
  }

  /// Gives an entry the next number; nil for `unknown`.
  mutating func describe(_ number: Int32) -> OperatorDescription? {
    guard number >= 0 else { return nil }
    facts[Int(number)].number = nextNumber
    nextNumber += 1
    let entry = entries[Int(number)]
    let title: String
    switch titles {
    case .op: title = entry.op
    case .node: title = entry.name.isEmpty ? entry.op : entry.name
    case .nodeAndOp: title = entry.name.isEmpty ? entry.op : "\(entry.name) \(entry.op)"
    }
    var arguments = [
      Argument("node", .text(entry.name)), Argument("op", .text(entry.op)),
      Argument("type", .text(entry.type)), Argument("shape", .text(Self.text(of: entry.shape))),
    ]
    if let layer = entry.layer { arguments.append(Argument("layer", layer)) }
    arguments.append(Argument("part", .text(entry.part.rawValue)))
    for (index, source) in entry.sources.enumerated() {
      arguments.append(Argument("source \(index)", .text(source.map(Self.text) ?? "not recorded")))
    }
    if let bytes = entry.work?.bytes { arguments.append(Argument("bytes", .integer(bytes))) }
    if let flops = entry.work?.flops { arguments.append(Argument("flops", .integer(flops))) }
    return OperatorDescription(title: title, arguments: arguments)
  }

  private static func text(of source: Source) -> String {
    let facts = "\(source.type) \(text(of: source.shape))"
    return source.name.isEmpty ? facts : "\(source.name) \(facts)"
  }

  /// A shape, such as `576×1`. Outer dimensions of one are left out, as in ggml's own output.
  private static func text(of shape: [Int64]) -> String {
    var count = shape.count
    while count > 2, shape[count - 1] == 1 { count -= 1 }
    return shape.prefix(count).map(String.init).joined(separator: "×")
  }
}
