import CRecorderShim
import CTraceRecords
import TraceContainer

extension Recording {
  /// File header and what is known before anything has run.
  func writeHead() {
    var identifier = [UInt8](repeating: 0, count: 16)
    _ = identifier.withUnsafeMutableBytes { shim_random($0.baseAddress, 16) }
    var features: UInt64 = 0
    if options.structure, options.level != .token { features |= UInt64(PI_FEATURE_OPT_STRUCTURE) }
    if options.structure, options.experts, options.level == .op { features |= UInt64(PI_FEATURE_OPT_EXPERTS) }
    if counters.columnCount > 0 { features |= UInt64(PI_FEATURE_OPT_COUNTERS) }
    if recordsScheduler { features |= UInt64(PI_FEATURE_OPT_SCHED) }
    output.writeHeader(
      FileHeader(
        optionalFeatures: features, traceID: identifier, createdRealtime: UInt64(shim_clock_realtime()),
        machine: Recording.elfMachine))
    var json = JSONWriter()
    json.object { json in
      json.object("recorder") { json in
        json.string("name", "pi-record")
        json.string("version", piRecordVersion)
        json.array("arguments") { json in for argument in arguments { json.string(nil, argument) } }
        json.object("options") { json in
          json.string("level", options.level.name)
          json.bool("structure", options.structure)
          json.bool("experts", options.experts)
          json.number("buffer_bytes", options.bufferMebibytes << 20)
          json.number("compress", options.compressionLevel)
          json.bool("sched", recordsScheduler)
          if let speed = options.minimumSpeed { json.number("qos_min_mtps", UInt64(speed * 1000)) }
        }
      }
      MachineFacts.write(to: &json)
      json.object("target") { json in
        json.number("pid", target.pid)
        json.array("command") { json in for word in commandLine { json.string(nil, word) } }
        if let executable = System.link(at: "/proc/\(target.pid)/exe"), !target.isChild {
          json.string("executable", executable)
        }
        json.bool("started_by_recorder", target.isChild)
      }
      counters.write(to: &json)
      device.write(to: &json)
      json.array("notes") { json in for note in notes { json.string(nil, note) } }
    }
    output.writeMetadata(json)
    if let calibration { output.writeMetadata(JSONWriter(bytes: calibration.bytes)) }
  }

  private var commandLine: [String] {
    switch options.target {
    case .command(let command): return command
    case .process(let pid):
      guard let bytes = System.contents(of: "/proc/\(pid)/cmdline") else { return [] }
      // Each argument ends with a NUL, and may be empty.
      return bytes.split(separator: 0, omittingEmptySubsequences: false).dropLast().map {
        String(decoding: $0, as: UTF8.self)
      }
    }
  }

  static func defaultOutput(for target: Target) -> String {
    let name: String
    switch target {
    case .command(let command):
      name =
        command[0].utf8.split(separator: UInt8(ascii: "/")).last.map {
          String(decoding: Array($0), as: UTF8.self)
        } ?? "trace"
    case .process(let pid): name = System.line(of: "/proc/\(pid)/comm") ?? "trace"
    }
    var stamp = [CChar](repeating: 0, count: 17)
    stamp.withUnsafeMutableBufferPointer { shim_utc_stamp(shim_clock_realtime(), $0.baseAddress) }
    // A process may call itself what it likes, a path for instance.
    let safe = name.utf8.map { byte -> UInt8 in
      byte <= 0x20 || byte == 0x7f || byte == UInt8(ascii: "/") ? UInt8(ascii: "_") : byte
    }
    let visible = safe.first == UInt8(ascii: ".") ? [UInt8(ascii: "_")] + safe.dropFirst() : safe
    return String(decoding: visible, as: UTF8.self) + "-"
      + String(decoding: stamp.prefix(16).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      + ".pitrace"
  }

  #if arch(x86_64)
    private static let elfMachine: UInt32 = 62
  #else
    private static let elfMachine: UInt32 = 183
  #endif
}
