import CCalibration
import CRecorderShim
import CProbeObject
import CTraceRecords
import ProbeSites

/// What a probe hit costs on a CPU: measured with the recorder's own programs and links on functions of its own,
/// a record written each time. Nanoseconds.
struct ProbePrices {
  struct Price {
    var instructionClass: InstructionClass
    /// CPU time of the thread that is hit; median, least and most of the rounds.
    var hit: UInt64
    var least: UInt64
    var most: UInt64
    /// Of a hit, wall time up to the record's time stamp, and from there on; medians. nil where records were lost.
    var before: UInt64?
    var after: UInt64?
  }

  var cpu: Int
  var prices: [Price] = []
  /// What the trap of a function's return adds to the hit at its entry.
  var functionReturn: UInt64?
  /// Many probes in one link, or a perf event each.
  var hasMultiLinks = false

  /// What a hit of the site costs; nil for classes that were not measured.
  func expected(of site: Site) -> Int? {
    guard let price = prices.first(where: { $0.instructionClass == site.instructionClass }) else {
      return nil
    }
    guard site.kind == .functionReturn else { return Int(price.hit) }
    return functionReturn.map { Int(price.hit + $0) }
  }

  private static let bufferBytes: UInt64 = 1 << 20
  private static let entryRole = SiteRole.barrierLoop
  private static let returnRole = SiteRole.graphReturn

  /// Needs what recording needs.
  static func measure(onCPU cpu: Int) throws(RecorderError) -> ProbePrices {
    var settings = probe_settings()
    settings.root_tgid = UInt32(bitPattern: shim_own_pid())
    settings.cpus = UInt32(PMU.cpuLimit)
    let object = try ProbeObject(
      settings: settings,
      parts: ProbeObject.Parts(
        roles: [entryRole, returnRole], halting: false, scheduler: false, counters: 0,
        bufferBytes: UInt32(bufferBytes)), showLog: false)
    guard let ring = shim_ring_open(object.events, bufferBytes) else {
      throw RecorderError("cannot map the ring buffer: \(System.lastErrorText)")
    }
    defer { shim_ring_close(ring) }
    shim_run_on(Int32(cpu))
    defer { shim_run_on(-1) }
    let measurement = Measurement(object: object, ring: ring)
    var result = ProbePrices(cpu: cpu, hasMultiLinks: object.hasMultiLinks)
    for index in 0..<calibration_probed_count() {
      let probed = calibration_probed(index)
      let name = String(cString: probed.class_name)
      guard let kind = InstructionClass.allCases.first(where: { $0.rawValue == name }) else { continue }
      let links = ProbeLinks(object)
      try links.attach([placement(of: probed, kind, entryRole, .entry)])
      result.prices.append(measurement.price(of: probed.function, kind))
      links.detach()
      guard kind == .jump, let entry = result.prices.last else { continue }
      try links.attach([placement(of: probed, kind, returnRole, .functionReturn)])
      let both = measurement.price(of: probed.function, kind)
      links.detach()
      result.functionReturn = both.hit - min(entry.hit, both.hit)
    }
    return result
  }

  private static func placement(
    of probed: calibration_probed, _ kind: InstructionClass, _ role: SiteRole, _ at: ProbeKind
  ) throws(RecorderError) -> ProbeLinks.Placement {
    let address = UInt64(UInt(bitPattern: probed.instruction))
    let own = shim_own_pid()
    guard
      let file = ProcessMaps.libraries(of: own)?.first(where: { $0.start <= address && address < $0.end })
    else { throw RecorderError("cannot find the functions to probe in this process's own memory map") }
    let site = Site(
      role: role, kind: at, function: String(cString: probed.class_name), address: address,
      fileOffset: address - file.start + file.offset, instruction: "", instructionClass: kind,
      expectedNanoseconds: 0)
    return ProbeLinks.Placement(
      path: ProcessMaps.reachablePath(file, pid: own), name: "pi-record itself", pid: own, sites: [site])
  }
}

/// Calls probed functions and takes the records that they leave.
private final class Measurement {
  private let object: ProbeObject
  private let ring: OpaquePointer
  private var times: [UInt64] = []
  private let calls = 1000
  private let rounds = 9

  init(object: ProbeObject, ring: OpaquePointer) {
    self.object = object
    self.ring = ring
  }

  private func takeTimes() -> [UInt64] {
    times.removeAll()
    while shim_ring_drain(
      ring, Unmanaged.passUnretained(self).toOpaque(),
      { context, record, bytes in
        guard let context, let record, bytes >= MemoryLayout<pi_record>.size else { return }
        let head = UnsafeRawBufferPointer(start: record, count: Int(bytes)).loadUnaligned(as: pi_record.self)
        Unmanaged<Measurement>.fromOpaque(context).takeUnretainedValue().times.append(head.time_ns)
      }) > 0
    {}
    return times
  }

  func price(of function: @escaping @convention(c) () -> Void, _ kind: InstructionClass) -> ProbePrices.Price
  {
    let count = UInt64(calls)
    var hits: [UInt64] = []
    // The first round warms up. What the call itself takes, a nanosecond or two, stays in.
    for round in 0...rounds {
      let time = calibration_call(function, UInt32(calls)) / count
      _ = takeTimes()
      if round > 0 { hits.append(time) }
    }
    calibration_sort(&hits, UInt32(hits.count))
    var price = ProbePrices.Price(
      instructionClass: kind, hit: hits[hits.count / 2], least: hits[0], most: hits[hits.count - 1])
    var before = [UInt64](repeating: 0, count: calls)
    var after = before
    calibration_call_timed(function, UInt32(calls), &before, &after)
    let times = takeTimes()
    guard times.count == calls else { return price }
    // Reading the clock takes about as long before the call as behind it.
    let clock = clockTime / 2
    price.before = median((0..<calls).map { max(times[$0] &- before[$0], clock) - clock })
    price.after = median((0..<calls).map { max(after[$0] &- times[$0], clock) - clock })
    return price
  }

  /// From one reading of the clock to the next.
  private lazy var clockTime: UInt64 = {
    var before = [UInt64](repeating: 0, count: calls)
    var after = before
    calibration_call_timed({}, UInt32(calls), &before, &after)
    return median((0..<calls).map { after[$0] &- before[$0] })
  }()

  private func median(_ values: [UInt64]) -> UInt64 {
    var values = values
    calibration_sort(&values, UInt32(values.count))
    return values[values.count / 2]
  }
}
