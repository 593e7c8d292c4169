import CRecorderShim

/// Clock rates and temperatures, read about once a second: they tell afterwards why everything became slow.
struct DeviceState {
  struct Zone {
    var type: String
    var path: String
  }

  /// CPUs whose frequency the kernel tells.
  private let frequencies: [(cpu: Int, path: String)]
  let zones: [Zone]

  init() {
    frequencies = (0..<Int(shim_cpu_count())).compactMap { cpu in
      let path = "/sys/devices/system/cpu/cpu\(cpu)/cpufreq/scaling_cur_freq"
      return System.number(of: path) == nil ? nil : (cpu, path)
    }
    let folder = "/sys/class/thermal"
    let prefix = Array("thermal_zone".utf8)
    zones = System.names(in: folder).sorted().filter { $0.utf8.starts(with: prefix) }.compactMap { name in
      let path = folder + "/" + name + "/temp"
      guard System.line(of: path).flatMap({ Int32($0) }) != nil else { return nil }
      return Zone(type: System.line(of: folder + "/" + name + "/type") ?? name, path: path)
    }
  }

  /// In kHz, of each CPU that tells.
  func readFrequencies(_ each: (_ cpu: Int, _ kilohertz: UInt32) -> Void) {
    for (cpu, path) in frequencies {
      if let value = System.number(of: path), let kilohertz = UInt32(exactly: value) { each(cpu, kilohertz) }
    }
  }

  /// In thousandths of a degree Celsius, of each zone that can be read just now.
  func readTemperatures(_ each: (_ zone: Int, _ millicelsius: Int32) -> Void) {
    for (index, zone) in zones.enumerated() {
      if let value = System.line(of: zone.path).flatMap({ Int32($0) }) { each(index, value) }
    }
  }

  func write(to json: inout JSONWriter) {
    json.array("thermal_zones") { json in
      for (index, zone) in zones.enumerated() {
        json.object { json in
          json.number("index", index)
          json.string("type", zone.type)
        }
      }
    }
  }
}
