import ProbeSites

/// `FileFacts` on the way from a child process to its parent, which is the same program: no versions, no compatibility.
struct FactWriter {
  private(set) var bytes: [UInt8] = []

  mutating func number(_ value: UInt64) {
    for shift in stride(from: UInt64(0), to: 64, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: value >> shift))
    }
  }
  mutating func bool(_ value: Bool) { bytes.append(value ? 1 : 0) }
  mutating func text(_ value: String) {
    number(UInt64(value.utf8.count))
    bytes += value.utf8
  }
  mutating func texts(_ values: [String]) {
    number(UInt64(values.count))
    for value in values { text(value) }
  }
  mutating func optional(_ value: String?) {
    bool(value != nil)
    if let value { text(value) }
  }

  mutating func facts(_ facts: FileFacts) {
    number(UInt64(facts.buildID.count))
    bytes += facts.buildID
    number(UInt64(facts.plan.sites.count))
    for site in facts.plan.sites { self.site(site) }
    number(UInt64(facts.plan.alternates.count))
    for site in facts.plan.alternates { self.site(site) }
    number(UInt64(facts.plan.missing.count))
    for missing in facts.plan.missing {
      number(UInt64(missing.role.number))
      text(missing.reason)
      text(missing.hint)
    }
    bool(facts.names != nil)
    if let names = facts.names {
      text(names.source)
      texts(names.operators)
      texts(names.unary)
      texts(names.glu)
    }
    bool(facts.base != nil)
    if let base = facts.base {
      number(UInt64(base.graphNodeCount))
      number(UInt64(base.graphNodes))
      number(UInt64(base.tensorData))
      number(UInt64(base.tensorName))
      bool(base.hasGraphUID)
    }
    bool(facts.ubatchPositions != nil)
    if let offset = facts.ubatchPositions { number(UInt64(offset)) }
    optional(facts.version)
    optional(facts.commit)
    texts(facts.notes)
  }

  private mutating func site(_ site: Site) {
    number(UInt64(site.role.number))
    bool(site.kind == .functionReturn)
    text(site.function)
    number(site.address)
    number(site.fileOffset)
    text(site.instruction)
    number(UInt64(InstructionClass.allCases.firstIndex(of: site.instructionClass) ?? 0))
    number(UInt64(site.expectedNanoseconds))
  }
}

/// Reads what `FactWriter` wrote; nil from where the child stopped writing.
struct FactReader {
  private let bytes: UnsafeRawBufferPointer
  private var at = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  private mutating func number() -> UInt64? {
    guard bytes.count - at >= 8 else { return nil }
    defer { at += 8 }
    return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
  }
  private mutating func count() -> Int? {
    guard let value = number(), value <= UInt64(bytes.count) else { return nil }
    return Int(value)
  }
  mutating func bool() -> Bool? {
    guard at < bytes.count else { return nil }
    defer { at += 1 }
    return bytes[at] == 1
  }
  private mutating func block() -> UnsafeRawBufferPointer? {
    guard let count = count(), bytes.count - at >= count else { return nil }
    defer { at += count }
    return UnsafeRawBufferPointer(rebasing: bytes[at..<(at + count)])
  }
  private mutating func text() -> String? { block().map { String(decoding: $0, as: UTF8.self) } }
  private mutating func texts() -> [String]? {
    guard let count = count() else { return nil }
    var result: [String] = []
    for _ in 0..<count {
      guard let text = text() else { return nil }
      result.append(text)
    }
    return result
  }
  private mutating func role() -> SiteRole? {
    guard let number = number(), number < UInt64(SiteRole.allCases.count) else { return nil }
    return SiteRole.allCases[Int(number)]
  }

  mutating func facts() -> FileFacts? {
    var facts = FileFacts()
    guard let identifier = block(), let siteCount = count() else { return nil }
    facts.buildID = Array(identifier)
    for _ in 0..<siteCount {
      guard let site = site() else { return nil }
      facts.plan.sites.append(site)
    }
    guard let alternateCount = count() else { return nil }
    for _ in 0..<alternateCount {
      guard let site = site() else { return nil }
      facts.plan.alternates.append(site)
    }
    guard let missingCount = count() else { return nil }
    for _ in 0..<missingCount {
      guard let role = role(), let reason = text(), let hint = text() else { return nil }
      facts.plan.missing.append(MissingSite(role: role, reason: reason, hint: hint))
    }
    guard let hasNames = bool() else { return nil }
    if hasNames {
      guard let source = text(), let operators = texts(), let unary = texts(), let glu = texts() else {
        return nil
      }
      facts.names = FileFacts.Names(source: source, operators: operators, unary: unary, glu: glu)
    }
    guard let hasBase = bool() else { return nil }
    if hasBase {
      guard let count = number(), let nodes = number(), let data = number(), let name = number(),
        let hasUID = bool()
      else { return nil }
      facts.base = FileFacts.BaseOffsets(
        graphNodeCount: UInt32(truncatingIfNeeded: count), graphNodes: UInt32(truncatingIfNeeded: nodes),
        tensorData: UInt32(truncatingIfNeeded: data), tensorName: UInt32(truncatingIfNeeded: name),
        hasGraphUID: hasUID)
    }
    guard let hasPositions = bool() else { return nil }
    if hasPositions {
      guard let offset = number() else { return nil }
      facts.ubatchPositions = UInt32(truncatingIfNeeded: offset)
    }
    guard let hasVersion = bool() else { return nil }
    if hasVersion { facts.version = text() }
    guard let hasCommit = bool() else { return nil }
    if hasCommit { facts.commit = text() }
    guard let notes = texts() else { return nil }
    facts.notes = notes
    return facts
  }

  private mutating func site() -> Site? {
    guard let role = role(), let isReturn = bool(), let function = text(), let address = number(),
      let offset = number(), let instruction = text(), let kind = number(), let nanoseconds = number(),
      kind < UInt64(InstructionClass.allCases.count)
    else { return nil }
    return Site(
      role: role, kind: isReturn ? .functionReturn : .entry, function: function, address: address,
      fileOffset: offset, instruction: instruction,
      instructionClass: InstructionClass.allCases[Int(kind)],
      expectedNanoseconds: Int(truncatingIfNeeded: nanoseconds))
  }
}
