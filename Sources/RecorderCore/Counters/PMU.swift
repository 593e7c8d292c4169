import CRecorderShim

/// A unit that counts events of a processor core, as the kernel shows it in sysfs: one on most machines, one for
/// each cluster where clusters differ.
struct PMU {
  var name: String
  /// The `type` that perf_event_open takes.
  var type: UInt32
  var cpus: [Int]
  /// Names and codes that the kernel lists for it. On arm64 these are the events that the core says it has.
  var events: [(name: String, config: UInt64)]
  /// On arm64 the kernel lists an architectural event only where the core has it.
  var listsOnlyWhatExists: Bool

  /// One more than the highest number that a CPU of this machine can have.
  static let cpuLimit: Int = {
    let possible = System.line(of: "/sys/devices/system/cpu/possible").map(parseCPUList) ?? []
    return (possible.max() ?? Int(shim_cpu_count()) - 1) + 1
  }()

  /// The core PMUs of this machine.
  static func all(folder: String = "/sys/bus/event_source/devices") -> [PMU] {
    var units: [PMU] = []
    for name in System.names(in: folder).sorted() {
      let path = folder + "/" + name
      let cpus = System.line(of: path + "/cpus")
      // x86 calls its only one "cpu" and lists no CPUs; uncore units have `cpumask` instead.
      guard name == "cpu" || cpus != nil, let type = System.number(of: path + "/type") else { continue }
      units.append(
        PMU(
          name: name, type: UInt32(truncatingIfNeeded: type),
          cpus: cpus.map(parseCPUList) ?? Array(0..<Int(shim_cpu_count())),
          events: listedEvents(path), listsOnlyWhatExists: cpus != nil && name.hasPrefix("armv8")))
    }
    return units
  }

  private static func listedEvents(_ path: String) -> [(name: String, config: UInt64)] {
    System.names(in: path + "/events").sorted().compactMap { name in
      // Beside an event may lie its unit and its scale.
      if name.utf8.contains(UInt8(ascii: ".")) { return nil }
      guard let text = System.line(of: path + "/events/" + name), let config = parseTerms(text, path) else {
        return nil
      }
      return (name, config)
    }
  }

  /// "event=0x11,umask=0x2": each term goes to the bits that the PMU's `format` names. nil where a term goes
  /// elsewhere than to `config`.
  static func parseTerms(_ text: String, _ path: String) -> UInt64? {
    var config: UInt64 = 0
    for term in text.utf8.split(separator: UInt8(ascii: ",")) {
      let parts = term.split(separator: UInt8(ascii: "="), maxSplits: 1)
      let name = String(decoding: Array(parts[0]), as: UTF8.self)
      let value = parts.count > 1 ? number(Array(parts[1])) : 1
      guard let value, let format = System.line(of: path + "/format/" + name),
        let placed = place(value, format: format)
      else { return nil }
      config |= placed
    }
    return config
  }

  /// `format`: "config:0-7,21" and the like.
  static func place(_ value: UInt64, format: String) -> UInt64? {
    let bytes = Array(format.utf8)
    let prefix = Array("config:".utf8)
    guard bytes.starts(with: prefix) else { return nil }
    var rest = value
    var placed: UInt64 = 0
    for range in parseCPUListRanges(Array(bytes[prefix.count...])) {
      guard range.upperBound < 64 else { return nil }
      for bit in range {
        placed |= (rest & 1) << UInt64(bit)
        rest >>= 1
      }
    }
    return rest == 0 ? placed : nil
  }

  /// "0-3,6": the kernel's notation for sets of CPUs, and of bits.
  static func parseCPUList(_ text: String) -> [Int] {
    parseCPUListRanges(Array(text.utf8)).flatMap { Array($0) }
  }

  private static func parseCPUListRanges(_ text: [UInt8]) -> [ClosedRange<Int>] {
    text.split(separator: UInt8(ascii: ",")).compactMap { part in
      let ends = part.split(separator: UInt8(ascii: "-")).map {
        Int(String(decoding: Array($0), as: UTF8.self))
      }
      guard let first = ends.first, let low = first, let last = ends.last, let high = last, low <= high,
        high < 1 << 16
      else { return nil }
      return low...high
    }
  }

  /// Decimal, or hexadecimal behind "0x".
  static func number(_ text: [UInt8]) -> UInt64? {
    if text.starts(with: Array("0x".utf8)) {
      return UInt64(String(decoding: text[2...], as: UTF8.self), radix: 16)
    }
    return UInt64(String(decoding: text, as: UTF8.self))
  }
}
