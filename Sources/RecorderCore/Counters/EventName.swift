import CRecorderShim

/// An event as perf_event_open takes it, on the CPUs that have it.
struct ResolvedEvent {
  /// The PMU's name, or "software".
  var unit: String
  var type: UInt32
  var config: UInt64
  /// Counts only what happens outside the kernel. The probes are in the kernel, so this leaves them out.
  var userOnly: Bool
  var cpus: [Int]
}

/// The names of `--pmc`.
enum EventName {
  enum Resolution {
    case events([ResolvedEvent], note: String?)
    case unsupported(String)
  }

  /// The kernel's own counters, `enum perf_sw_ids`.
  static let software: [(name: String, config: UInt64)] = [
    ("cpu-clock", 0), ("task-clock", 1), ("page-faults", 2), ("faults", 2), ("context-switches", 3),
    ("cpu-migrations", 4), ("minor-faults", 5), ("major-faults", 6), ("alignment-faults", 7),
    ("emulation-faults", 8),
  ]

  /// Names that mean the same on every processor, `enum perf_hw_id`, and what arm64 calls them.
  static let generic: [(name: String, config: UInt64, arm: String?)] = [
    ("cycles", 0, "cpu_cycles"), ("instructions", 1, "inst_retired"), ("cache-references", 2, "l1d_cache"),
    ("cache-misses", 3, "l1d_cache_refill"), ("branches", 4, "br_retired"),
    ("branch-misses", 5, "br_mis_pred"),
    ("bus-cycles", 6, "bus_cycles"), ("stalled-cycles-frontend", 7, "stall_frontend"),
    ("stalled-cycles-backend", 8, "stall_backend"), ("ref-cycles", 9, nil),
  ]

  /// - Parameter name: `cycles`, `l3d_cache_refill` (as sysfs lists it), `raw:0x2a`, `page-faults`; with `:u`, `:k`
  ///   or `:uk` behind it for user space, kernel or both. Counters of the processor count user space by default.
  static func resolve(_ name: String, units: [PMU]) -> Resolution {
    let (plain, modifier) = split(name)
    if let event = software.first(where: { $0.name == plain }) {
      let all = ResolvedEvent(
        unit: "software", type: 1, config: event.config, userOnly: modifier == "u",
        cpus: Array(0..<Int(shim_cpu_count())))
      return .events([all], note: nil)
    }
    guard !units.isEmpty else {
      return .unsupported("this machine shows no hardware counters (no core PMU in sysfs)")
    }
    let userOnly = modifier == "u" || modifier.isEmpty
    var found: [ResolvedEvent] = []
    var reasons: [String] = []
    var note: String?
    for unit in units {
      switch lookUp(plain, unit) {
      case .found(let config, let type, let warning):
        note = note ?? warning
        found.append(
          ResolvedEvent(unit: unit.name, type: type, config: config, userOnly: userOnly, cpus: unit.cpus))
      case .missing(let reason): reasons.append(reason)
      }
    }
    if found.isEmpty { return .unsupported(reasons.joined(separator: "; ")) }
    return .events(found, note: reasons.isEmpty ? note : reasons.joined(separator: "; "))
  }

  private enum LookUp {
    case found(config: UInt64, type: UInt32, note: String?)
    case missing(String)
  }

  private static func lookUp(_ name: String, _ unit: PMU) -> LookUp {
    let raw = Array("raw:".utf8)
    if name.utf8.starts(with: raw) {
      guard let code = PMU.number(Array(name.utf8.dropFirst(raw.count))) else {
        return .missing("'\(name)' is no number")
      }
      if unit.events.contains(where: { $0.config == code }) {
        return .found(config: code, type: unit.type, note: nil)
      }
      // The kernel accepts any code, and one that the core lacks counts nothing. Which of the architectural codes
      // it has, the core says (PMCEID); of its own ones nobody tells.
      let isArchitectural = code < 0x40 || (0x4000..<0x4040).contains(code)
      if unit.listsOnlyWhatExists, isArchitectural {
        return .missing("\(unit.name) does not implement event 0x\(String(code, radix: 16))")
      }
      return .found(config: code, type: unit.type, note: "nobody tells whether \(unit.name) has this event")
    }
    if let event = unit.events.first(where: { $0.name == name }) {
      return .found(config: event.config, type: unit.type, note: nil)
    }
    if let event = generic.first(where: { $0.name == name }) {
      if unit.listsOnlyWhatExists {
        guard let arm = event.arm, let listed = unit.events.first(where: { $0.name == arm }) else {
          return .missing("\(unit.name) does not implement \(name)")
        }
        return .found(config: listed.config, type: unit.type, note: nil)
      }
      let hardware: UInt32 = 0
      return .found(config: event.config, type: hardware, note: nil)
    }
    return .missing("\(unit.name) lists no event '\(name)'")
  }

  /// "cycles:k": the name and what stands behind the last colon, if it is a modifier.
  private static func split(_ name: String) -> (name: String, modifier: String) {
    for modifier in ["u", "k", "uk"] {
      let suffix = Array((":" + modifier).utf8)
      if name.utf8.count > suffix.count, name.utf8.suffix(suffix.count).elementsEqual(suffix) {
        return (String(decoding: Array(name.utf8.dropLast(suffix.count)), as: UTF8.self), modifier)
      }
    }
    return (name, "")
  }
}
