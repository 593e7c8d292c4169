import CCalibration
import CRecorderShim
import ProbeSites

/// What this machine can do at most, and what a probe hit costs here: `pi-record calibrate`.
struct Calibration {
  var ceilings: [Ceiling]
  /// One for each kind of CPU, the fastest first; empty without the right to probe.
  var prices: [ProbePrices]
  /// CLOCK_REALTIME at the end of the measurement.
  var measuredAt: Int64
  var duration: UInt64

  /// Takes a few seconds, in which other programs get little of the CPUs.
  ///
  /// - Parameter withoutPrices: told why probe prices cannot be measured here, which is no failure.
  static func measure(withoutPrices: (RecorderError) -> Void) throws(RecorderError) -> Calibration {
    let start = shim_clock_monotonic()
    let processors = Processor.all()
    guard !processors.isEmpty else {
      throw RecorderError("cannot see which CPUs this process may use: \(System.lastErrorText)")
    }
    var ceilings: [Ceiling] = []
    for set in ProcessorSet.toMeasure(processors) { ceilings.append(try Ceiling.measure(set)) }
    var prices: [ProbePrices] = []
    do throws(RecorderError) {
      for kind in ProcessorSet.kinds(processors) {
        prices.append(try ProbePrices.measure(onCPU: kind[0].number))
      }
    } catch {
      withoutPrices(error)
    }
    return Calibration(
      ceilings: ceilings, prices: prices, measuredAt: shim_clock_realtime(),
      duration: shim_clock_monotonic() - start)
  }

  /// As it goes into the file and into traces: see formats/TRACE-FORMAT.md.
  func write(to json: inout JSONWriter) {
    json.object("calibration") { json in
      json.string("recorder_version", piRecordVersion)
      MachineFacts.writeIdentity(to: &json)
      json.number("measured_realtime_ns", measuredAt)
      json.number("duration_ns", duration)
      json.object("instructions") { json in
        for (work, key) in Ceiling.works {
          if let instructions = Ceiling.instructions(work) { json.string(key, instructions) }
        }
      }
      json.array("ceilings") { json in
        for ceiling in ceilings { json.object { json in ceiling.write(to: &json) } }
      }
      json.array("probes") { json in
        for price in prices { json.object { json in price.write(to: &json) } }
      }
    }
  }
}

extension Ceiling {
  fileprivate func write(to json: inout JSONWriter) {
    json.array("cpus") { json in for cpu in cpus { json.number(nil, cpu) } }
    if cacheBytes > 0 { json.number("cache_bytes", cacheBytes) }
    for (work, key) in Ceiling.works {
      guard let rate = rate(work) else { continue }
      json.object(key) { json in
        json.number("best", rate.best)
        json.number("median", rate.median)
        json.number("worst", rate.worst)
        json.number("windows", rate.windows)
        json.number("undisturbed", rate.undisturbed)
      }
    }
  }
}

extension ProbePrices {
  fileprivate func write(to json: inout JSONWriter) {
    json.number("cpu", cpu)
    json.string("link", hasMultiLinks ? "uprobe_multi" : "perf_event")
    if let functionReturn { json.number("return_ns", functionReturn) }
    json.array("classes") { json in
      for price in prices {
        json.object { json in
          json.string("class", price.instructionClass.rawValue)
          json.number("hit_ns", price.hit)
          json.number("least_ns", price.least)
          json.number("most_ns", price.most)
          if let before = price.before { json.number("before_ns", before) }
          if let after = price.after { json.number("after_ns", after) }
        }
      }
    }
  }
}
