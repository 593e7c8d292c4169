import Foundation
import GGML
import TraceModel

/// What the recorder wrote down in words: machine, target, engine, sites. Every value may be absent.
public struct TraceMetadata: Sendable {
  public struct CPU: Sendable {
    public var number: Int
    /// Relative to the fastest CPU of the machine, which has 1024.
    public var capacity: Int?
    public var maxKilohertz: Int?
  }
  public struct Library: Sendable {
    public var index: Int
    public var path: String?
    public var buildID: String?
    public var loadAddress: UInt64?
    public var pid: Int?
  }
  public struct Site: Sendable {
    public var index: Int
    public var role: String
    public var function: String?
    public var library: Int?
    public var fileOffset: UInt64?
    public var address: UInt64?
    public var instruction: String?
    public var instructionClass: String?
    public var expectedNanoseconds: Int?
    /// Whether that was measured on the recording machine; false: it is typical of such an instruction elsewhere.
    public var isPriceMeasured = false
  }

  /// A counter that was asked for.
  public struct Counter: Sendable {
    /// What counts it on one PMU.
    public struct Event: Sendable {
      public var pmu: String?
      public var cpus: [Int]
    }
    /// As it was asked for.
    public var name: String
    /// Place of its values behind records; nil when it is not recorded.
    public var column: Int?
    /// `recorded` or `unsupported`.
    public var state: String?
    /// Why it is not recorded.
    public var reason: String?
    public var events: [Event]
  }

  public var recorderName: String?
  public var recorderVersion: String?
  public var recorderArguments: [String] = []
  public var level: String?
  public var architecture: String?
  public var hostname: String?
  public var kernel: String?
  public var cpuModel: String?
  public var memoryBytes: Int?
  public var cpus: [CPU] = []
  public var pid: Int?
  public var command: [String] = []
  public var executable: String?
  public var startedByRecorder: Bool?
  /// CPUs that the target was allowed to use when its engine was found; empty where not recorded.
  public var targetCPUs: [Int] = []
  public var libraries: [Library] = []
  public var engineName: String?
  /// What the target's own `ggml_version()` and `ggml_commit()` return; a commit that its build did not know is nil.
  public var engineVersion: String?
  public var engineCommit: String?
  public var operatorNames = OperatorNames()
  public var operatorNamesSource: String?
  public var layoutSource: String?
  /// nil when the metadata describes a layout that cannot be: then no tensor is decoded.
  public var tensorLayout: TensorLayout? = .current
  public var sites: [Site] = []
  public var counters: [Counter] = []
  /// Kind of each thermal zone by its index, such as `soc-thermal`.
  public var thermalZones: [Int: String] = [:]
  /// Whether the scheduler's events were asked for.
  public var recordsScheduler: Bool?
  /// Decoding speed under which operator probes are dropped, tokens a second.
  public var leastTokensPerSecond: Double?
  /// What the recording machine can do at most; nil where it was not calibrated.
  public var calibration: Calibration?
  public var notes: [String] = []

  /// True when a site of this role was chosen. Without site lists nothing is known: false.
  public func hasSite(_ role: String) -> Bool { sites.contains { $0.role == role } }

  /// Counters with values behind records, in the order of their columns. A column belongs to the first counter that
  /// claims it.
  public var counterColumns: [CounterColumn] {
    var seen: Set<Int> = []
    return counters.compactMap { counter in
      guard let column = counter.column, (0..<CounterDelta.capacity).contains(column),
        seen.insert(column).inserted
      else { return nil }
      return CounterColumn(index: column, name: counter.name)
    }.sorted { $0.index < $1.index }
  }
}

/// Merges the JSON of METADATA chunks and reads it, ignoring what is not as it should be.
struct MetadataReader {
  private var root: [String: Any] = [:]
  private(set) var warnings: [String] = []
  /// Chunks of which nothing was taken.
  private(set) var damage: [Damage] = []

  /// Recorders write some 100 KiB. A chunk of 500 bytes can hold 16 MiB of one-letter notes, which take a hundred times
  /// that as objects.
  static let byteLimit = 4 << 20
  private var byteCount = 0

  mutating func add(_ json: [UInt8], at offset: UInt64) {
    guard json.count <= Self.byteLimit - byteCount else {
      return refuse(json, at: offset, "the metadata is more than any recorder writes")
    }
    byteCount += json.count
    guard let object = try? JSONSerialization.jsonObject(with: Data(json)) as? [String: Any] else {
      return refuse(json, at: offset, "the metadata is no JSON object in UTF-8")
    }
    Self.merge(object, into: &root)
  }

  private mutating func refuse(_ json: [UInt8], at offset: UInt64, _ reason: String) {
    damage.append(Damage(offset: offset, skippedBytes: UInt64(json.count), description: reason))
  }

  /// Objects key by key, the lists that grow appended, everything else replaced.
  private static func merge(_ new: [String: Any], into old: inout [String: Any]) {
    for (key, value) in new {
      if let object = value as? [String: Any], var existing = old[key] as? [String: Any] {
        merge(object, into: &existing)
        old[key] = existing
      } else if Self.growing.contains(key), let list = value as? [Any], old[key] is [Any] {
        // Taken out, so that it grows in place: there may be any number of chunks.
        var existing = old.removeValue(forKey: key) as? [Any] ?? []
        existing.append(contentsOf: list)
        old[key] = existing
      } else {
        old[key] = value
      }
    }
  }

  private static let growing: Set<String> = ["libraries", "sites", "counters", "thermal_zones", "notes"]

  mutating func metadata() -> TraceMetadata {
    var result = TraceMetadata()
    let recorder = object("recorder")
    result.recorderName = string(recorder, "name")
    result.recorderVersion = string(recorder, "version")
    result.recorderArguments = strings(recorder, "arguments")
    if let options = recorder["options"] as? [String: Any] {
      result.level = string(options, "level")
      result.recordsScheduler = value(options, "sched", as: Bool.self)
      result.leastTokensPerSecond =
        value(options, "qos_min_mtps", as: NSNumber.self).map { $0.doubleValue / 1000 }
    }
    let machine = object("machine")
    result.architecture = string(machine, "architecture")
    result.hostname = string(machine, "hostname")
    result.kernel = string(machine, "kernel")
    result.cpuModel = string(machine, "cpu_model")
    result.memoryBytes = integer(machine, "memory_bytes")
    result.cpus = objects(machine, "cpus").compactMap { cpu in
      integer(cpu, "number").map {
        .init(number: $0, capacity: integer(cpu, "capacity"), maxKilohertz: integer(cpu, "max_khz"))
      }
    }
    let target = object("target")
    result.pid = integer(target, "pid")
    result.command = strings(target, "command")
    result.executable = string(target, "executable")
    result.startedByRecorder = value(target, "started_by_recorder", as: Bool.self)
    result.targetCPUs = integers(target, "cpus")
    result.libraries = objects(root, "libraries").compactMap { library in
      integer(library, "index").map {
        .init(
          index: $0, path: string(library, "path"), buildID: string(library, "build_id"),
          loadAddress: address(library, "load_address"), pid: integer(library, "pid"))
      }
    }
    let engine = object("engine")
    result.engineName = string(engine, "name")
    result.engineVersion = string(engine, "version")
    result.engineCommit = string(engine, "commit").flatMap { $0 == "unknown" ? nil : $0 }
    result.operatorNamesSource = string(engine, "op_names_source")
    result.operatorNames = OperatorNames(
      operators: strings(engine, "op_names"), unary: strings(engine, "unary_op_names"),
      glu: strings(engine, "glu_op_names"))
    let layout = object("layout")
    result.layoutSource = string(layout, "source")
    result.tensorLayout = TensorLayout(
      metadata: layout.compactMapValues { ($0 as? NSNumber).flatMap { Int(exactly: $0) } })
    if result.tensorLayout == nil { warn("metadata: `layout` describes fields outside of the tensor") }
    result.sites = objects(root, "sites").compactMap { site in
      guard let index = integer(site, "index"), let role = string(site, "role") else { return nil }
      return .init(
        index: index, role: role, function: string(site, "function"), library: integer(site, "library"),
        fileOffset: address(site, "file_offset"), address: address(site, "address"),
        instruction: string(site, "instruction"), instructionClass: string(site, "class"),
        // 0 is what the first recorders wrote where nothing had been measured.
        expectedNanoseconds: integer(site, "expected_ns").flatMap { $0 > 0 ? $0 : nil },
        isPriceMeasured: string(site, "expected_source") == "measured")
    }
    result.counters = objects(root, "counters").compactMap { counter in
      guard let name = string(counter, "name") else { return nil }
      return .init(
        name: name, column: integer(counter, "column"), state: string(counter, "state"),
        reason: string(counter, "reason"),
        events: objects(counter, "events").map { event in
          .init(
            pmu: string(event, "pmu"),
            cpus: (event["cpus"] as? [Any] ?? []).compactMap {
              ($0 as? NSNumber).flatMap { Int(exactly: $0) }
            })
        })
    }
    for zone in objects(root, "thermal_zones") {
      guard let index = integer(zone, "index"), let type = string(zone, "type") else { continue }
      result.thermalZones[index] = type
    }
    result.calibration = calibration()
    result.notes = strings(root, "notes")
    return result
  }

  private mutating func warn(_ text: String) { if warnings.count < 100 { warnings.append(text) } }

  private mutating func value<T>(_ object: [String: Any], _ key: String, as type: T.Type) -> T? {
    guard let found = object[key], !(found is NSNull) else { return nil }
    guard let value = found as? T else {
      warn("metadata: `\(key)` is not of type \(type); it was ignored")
      return nil
    }
    return value
  }
  mutating func object(_ key: String) -> [String: Any] {
    value(root, key, as: [String: Any].self) ?? [:]
  }
  mutating func string(_ object: [String: Any], _ key: String) -> String? {
    value(object, key, as: String.self)
  }
  mutating func integer(_ object: [String: Any], _ key: String) -> Int? {
    guard let number = value(object, key, as: NSNumber.self) else { return nil }
    guard let integer = Int(exactly: number) else {
      warn("metadata: `\(key)` is no integer; it was ignored")
      return nil
    }
    return integer
  }
  private mutating func address(_ object: [String: Any], _ key: String) -> UInt64? {
    guard let text = string(object, key) else { return nil }
    guard text.hasPrefix("0x"), let address = UInt64(text.dropFirst(2), radix: 16) else {
      warn("metadata: `\(key)` is no hexadecimal address; it was ignored")
      return nil
    }
    return address
  }
  /// Wrong elements stay as empty strings: in a name table the position is what counts.
  private mutating func strings(_ object: [String: Any], _ key: String) -> [String] {
    guard let list = value(object, key, as: [Any].self) else { return [] }
    if list.contains(where: { !($0 is String) }) {
      warn("metadata: `\(key)` holds something that is no text")
    }
    return list.map { $0 as? String ?? "" }
  }
  mutating func objects(_ object: [String: Any], _ key: String) -> [[String: Any]] {
    guard let list = value(object, key, as: [Any].self) else { return [] }
    let objects = list.compactMap { $0 as? [String: Any] }
    if objects.count != list.count { warn("metadata: `\(key)` holds something that is no object") }
    return objects
  }
}
