import CRecorderShim

/// What a reader needs to know of this machine to understand the trace, as metadata.
enum MachineFacts {
  static func write(to json: inout JSONWriter) {
    json.object("machine") { json in
      json.string("architecture", String(cString: shim_machine()))
      json.string("hostname", String(cString: shim_hostname()))
      json.string(
        "kernel", String(cString: shim_kernel_release()) + " " + String(cString: shim_kernel_version()))
      if let model = processorModel() { json.string("cpu_model", model) }
      json.number("memory_bytes", shim_memory_bytes())
      json.number("page_bytes", shim_page_bytes())
      json.array("cpus") { json in
        for cpu in 0..<shim_cpu_count() {
          let folder = "/sys/devices/system/cpu/cpu\(cpu)"
          json.object { json in
            json.number("number", cpu)
            if let capacity = System.number(of: folder + "/cpu_capacity") {
              json.number("capacity", capacity)
            }
            if let maximum = System.number(of: folder + "/cpufreq/cpuinfo_max_freq") {
              json.number("max_khz", maximum)
            }
          }
        }
      }
    }
    clocks(to: &json)
  }

  /// What tells whether something was measured on this machine, as it is now.
  static func writeIdentity(to json: inout JSONWriter) {
    json.object("machine") { json in
      json.string("architecture", String(cString: shim_machine()))
      if let model = processorModel() { json.string("cpu_model", model) }
      json.number("cpus", shim_cpu_count())
      json.number("memory_bytes", shim_memory_bytes())
      json.string("kernel", String(cString: shim_kernel_release()))
    }
  }

  /// The same moment on three clocks, as near as three calls allow.
  static func clocks(to json: inout JSONWriter) {
    json.object("clocks") { json in
      json.number("monotonic_ns", shim_clock_monotonic())
      json.number("boottime_ns", shim_clock_boottime())
      json.number("realtime_ns", shim_clock_realtime())
    }
  }

  /// "model name" on x86_64; the board's name of the device tree on arm64.
  private static func processorModel() -> String? {
    if let board = System.line(of: "/sys/firmware/devicetree/base/model") {
      return String(decoding: board.utf8.prefix { $0 != 0 }, as: UTF8.self)
    }
    guard let information = System.contents(of: "/proc/cpuinfo") else { return nil }
    let key = Array("model name".utf8)
    for line in information.split(separator: UInt8(ascii: "\n")) where line.starts(with: key) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
      return String(decoding: line[(colon + 1)...].drop { $0 == UInt8(ascii: " ") }, as: UTF8.self)
    }
    return nil
  }
}
