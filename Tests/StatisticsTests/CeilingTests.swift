import Testing
import TraceModel

@testable import Statistics

/// Measurements of so many CPUs, in billions a second.
func ceiling(
  _ cpus: [Int], memory: Double, cache: Double? = nil, f32: Double = 100, int8: Double? = 400,
  undisturbed: Int = 5
) -> Calibration.Ceiling {
  func rate(_ value: Double) -> Calibration.Rate {
    Calibration.Rate(
      best: value * 1e9, median: value * 0.9e9, worst: value * 0.8e9, windows: 5, undisturbed: undisturbed)
  }
  var rates: [Calibration.Work: Calibration.Rate] = [.read: rate(memory), .f32: rate(f32)]
  if let cache { rates[.readCache] = rate(cache) }
  if let int8 { rates[.int8] = rate(int8) }
  return Calibration.Ceiling(cpus: cpus, cacheBytes: cache == nil ? nil : 1000, rates: rates)
}

func calibration(_ ceilings: Calibration.Ceiling...) -> Calibration {
  var result = Calibration()
  result.ceilings = ceilings
  return result
}

@Suite struct CeilingTests {
  /// Two fast CPUs, 4 and 5, and two slow ones, as `pi-record calibrate` measures them.
  private let twoKinds = calibration(
    ceiling([4], memory: 10), ceiling([4, 5], memory: 16), ceiling([4, 5, 0], memory: 17),
    ceiling([4, 5, 0, 1], memory: 18), ceiling([0], memory: 3), ceiling([0, 1], memory: 5))
  private let kinds = [0: 0, 1: 0, 4: 1, 5: 1]

  @Test func asManyThreadsAsTheRun() throws {
    let one = try #require(RunCeilings(twoKinds, threads: 1))
    #expect((one.cpus, one.memory) == ([4], 10e9))
    #expect(one.remark == nil)
    #expect(abs(one.spread - 0.2) < 1e-9)
    #expect(RunCeilings(twoKinds, threads: 4)?.memory == 18e9)
    #expect(RunCeilings(Calibration(), threads: 1) == nil)
  }

  @Test func ofTheKindOfCPUsThatTheRunHad() {
    #expect(RunCeilings(twoKinds, threads: 1, allowed: [1], kinds: kinds)?.memory == 3e9)
    #expect(RunCeilings(twoKinds, threads: 2, allowed: [0, 1], kinds: kinds)?.memory == 5e9)
    #expect(RunCeilings(twoKinds, threads: 1, allowed: [5], kinds: kinds)?.memory == 10e9)
    #expect(RunCeilings(twoKinds, threads: 2, allowed: [0, 1, 4, 5], kinds: kinds)?.memory == 16e9)
    // Threads that share one CPU can do what it can.
    let shared = RunCeilings(twoKinds, threads: 2, allowed: [5], kinds: kinds)
    #expect(shared?.memory == 10e9)
    #expect(shared?.remark == "measured with 1")
    // A kind of CPU that was not measured.
    #expect(RunCeilings(twoKinds, threads: 1, allowed: [9], kinds: [9: 7]) == nil)
  }

  @Test func betweenMeasurements() throws {
    let few = calibration(ceiling([0, 1], memory: 10), ceiling([0, 1, 2, 3], memory: 30, f32: 200))
    let three = try #require(RunCeilings(few, threads: 3))
    #expect(three.memory == 20e9)
    #expect(three.peak(.f32) == 150e9)
    #expect(three.remark == "between those measured with 2 and 4")
    // More threads than CPUs were measured with.
    let many = try #require(RunCeilings(few, threads: 9))
    #expect(many.memory == 30e9)
    #expect(many.remark == "measured with 4")
    // And fewer than the fewest.
    #expect(RunCeilings(few, threads: 1) == nil)
  }

  @Test func arithmeticThatTheProcessorLacks() throws {
    let ceilings = try #require(
      RunCeilings(calibration(ceiling([0], memory: 1, int8: nil)), threads: 1))
    #expect(ceilings.peak(.f16) == ceilings.peak(.f32))
    #expect(ceilings.peak(.int8) == nil)
  }

  @Test func hugePagesCountWhereTheyAreFaster() throws {
    var one = ceiling([0], memory: 10)
    one.rates[.readHuge] = Calibration.Rate(best: 12e9, median: 12e9, worst: 12e9)
    let ceilings = try #require(RunCeilings(calibration(one), threads: 1))
    #expect((ceilings.memory, ceilings.usualPages) == (12e9, 10e9))
    #expect(ceilings.spread == 0)
  }

  @Test func trafficByTheBestCounter() {
    func columns(_ names: String...) -> [CounterColumn] {
      names.enumerated().map { CounterColumn(index: $0, name: $1) }
    }
    let arm = CountedTraffic(columns("cycles", "raw:0x37", "l3d_cache_refill:u"), architecture: "aarch64")
    #expect(arm?.column.index == 2)
    var totals = CounterTotals()
    totals.add(CounterDelta(values: [1, 2, 3, 0, 0, 0, 0, 0], known: 0b111, mayIncludeOtherTasks: false))
    #expect(arm?.bytes(totals) == 192)
    #expect(CountedTraffic(columns("raw:0x2a"), architecture: "aarch64") != nil)
    // What a raw event is, and whose misses are meant, depends on the processor.
    #expect(CountedTraffic(columns("raw:0x2a"), architecture: "x86_64") == nil)
    #expect(CountedTraffic(columns("cache-misses"), architecture: "aarch64") == nil)
    #expect(CountedTraffic(columns("cache-misses"), architecture: "x86_64") != nil)
    #expect(CountedTraffic(columns("bus_access", "cycles"), architecture: "aarch64") == nil)
  }
}
