import CCalibration
import CRecorderShim
import Foundation
import ProbeSites
import Testing

@testable import RecorderCore

@Suite struct ProcessorTests {
  private func processor(_ number: Int, _ capacity: UInt64?, first: Bool = true, cache: Int = 0) -> Processor
  {
    Processor(
      number: number, capacity: capacity, isFirstOfCore: first, cache: cache, cacheBytes: 1000)
  }

  private func measured(_ processors: [Processor]) -> [[Int]] {
    ProcessorSet.toMeasure(processors).map { $0.processors.map { $0.number } }
  }

  @Test func theFastestFirstThenEachSlowerKind() {
    // As on RK3588: four slow CPUs, four fast ones.
    let board = (0..<8).map { processor($0, $0 < 4 ? 414 : 1024) }
    #expect(
      measured(board) == [
        [4], [4, 5], [4, 5, 6], [4, 5, 6, 7], [4, 5, 6, 7, 0], [4, 5, 6, 7, 0, 1], [4, 5, 6, 7, 0, 1, 2, 3],
        [0], [0, 1], [0, 1, 2], [0, 1, 2, 3],
      ])
  }

  @Test func theSecondThreadOfACoreComesLast() {
    let pairs = [processor(0, nil), processor(1, nil, first: false), processor(2, nil)]
    #expect(measured(pairs) == [[0], [0, 2], [0, 2, 1]])
    #expect(measured([]).isEmpty)
  }

  @Test func manyCPUsInSteps() {
    #expect(ProcessorSet.counts(1) == [1])
    #expect(ProcessorSet.counts(8) == [1, 2, 3, 4, 5, 6, 8])
    #expect(ProcessorSet.counts(64) == [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 22, 29, 38, 50, 64])
    #expect(ProcessorSet.counts(256).count < 25)
  }

  @Test func cachesAreCountedOnce() {
    let set = ProcessorSet(processors: [
      processor(0, nil, cache: 0), processor(1, nil, cache: 0), processor(2, nil, cache: 2),
    ])
    #expect(set.cacheBytes == 2000)
  }

  @Test(arguments: [("32768K", 32 << 20), ("3M", 3 << 20), ("512", 512)])
  func sizes(text: String, bytes: Int) { #expect(Processor.bytes(text) == UInt64(bytes)) }

  @Test(arguments: ["", "K", "99999999999999999999K"]) func noSizes(text: String) {
    #expect(Processor.bytes(text) == nil)
  }

  @Test func thisMachineHasCPUs() {
    let processors = Processor.all()
    #expect(!processors.isEmpty)
    #expect(Processor.allowed(to: -1).isEmpty)
  }
}

@Suite(.serialized) struct CeilingTests {
  /// Every kind of work that this processor has is done, and told in its own units.
  @Test func kernelsDoWhatTheySay() throws {
    let bytes = 1 << 16
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer { buffer.deallocate() }
    memset(buffer, 1, bytes)
    for (work, _) in Ceiling.works {
      guard let kernel = calibration_kernel_for(work) else {
        #expect(Ceiling.instructions(work) == nil)
        continue
      }
      #expect(Ceiling.instructions(work)?.isEmpty == false)
      let done = kernel(buffer, UInt64(bytes))
      #expect(Ceiling.isRead(work) ? done == UInt64(bytes) : done > 100_000)
    }
    #expect(calibration_kernel_for(CALIBRATION_F32) != nil)
  }

  @Test func aTeamWorks() throws {
    let cpus = Array(Processor.allowed(to: 0).prefix(2))
    let team = try #require(calibration_team_start(cpus, UInt32(cpus.count), 1 << 20, 1 << 18))
    defer { calibration_team_end(team) }
    for work in [CALIBRATION_READ, CALIBRATION_READ_CACHE, CALIBRATION_F32] {
      var window = calibration_window()
      #expect(calibration_team_work(team, work, 1_000_000, &window) == 0)
      #expect(window.rate > 1_000_000)
      #expect(window.least_cpu > 0 && window.least_cpu < 1.5)
    }
  }

  @Test func aTeamNeedsItsMemory() {
    let cpus = Array(Processor.allowed(to: 0).prefix(1))
    #expect(calibration_team_start(cpus, 1, 1 << 60, 0) == nil)
    #expect(shim_errno() == ENOMEM)
    // And a CPU that there is.
    #expect(calibration_team_start([1023], 1, 1 << 20, 0) == nil)
  }

  @Test func sorting() {
    for count in 0..<40 {
      var values = (0..<count).map { UInt64(truncatingIfNeeded: $0 &* 7919 % 31) }
      let sorted = values.sorted()
      calibration_sort(&values, UInt32(count))
      #expect(values == sorted)
    }
  }
}

@Suite struct CalibrationFileTests {
  private func calibration() -> Calibration {
    var prices = ProbePrices(cpu: 3)
    prices.prices = [
      ProbePrices.Price(instructionClass: .push, hit: 820, least: 800, most: 900, before: 500, after: 310),
      ProbePrices.Price(instructionClass: .singleStepped, hit: 9300, least: 9000, most: 9999),
    ]
    prices.functionReturn = 440
    let rate = Ceiling.Rate(
      work: CALIBRATION_READ, best: 12_000_000_000, median: 11_000_000_000, worst: 10_000_000_000, windows: 5,
      undisturbed: 4)
    return Calibration(
      ceilings: [Ceiling(cpus: [0, 1], cacheBytes: 32 << 20, rates: [rate])], prices: [prices],
      measuredAt: 1_790_000_000_000_000_000, duration: 3_000_000_000)
  }

  private func site(_ kind: InstructionClass, _ at: ProbeKind = .entry) -> Site {
    Site(
      role: .graph, kind: at, function: "f", address: 0, fileOffset: 0, instruction: "",
      instructionClass: kind,
      expectedNanoseconds: 1)
  }

  private func path() -> String { NSTemporaryDirectory() + "/ceilings-\(UUID().uuidString).json" }

  private func refusal(_ path: String) -> String? {
    do throws(RecorderError) {
      _ = try CalibrationFile.load(path)
      return nil
    } catch {
      #expect(!error.hints.isEmpty)
      return error.message
    }
  }

  @Test func whatIsSavedIsLoaded() throws {
    let path = path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    let file = CalibrationFile(calibration())
    try file.save(to: path)
    let loaded = try CalibrationFile.load(path)
    #expect(loaded.bytes == file.bytes)
    for file in [file, loaded] {
      #expect(file.expected(of: site(.push)) == 820)
      #expect(file.expected(of: site(.push, .functionReturn)) == 1260)
      #expect(file.expected(of: site(.singleStepped)) == 9300)
      #expect(file.expected(of: site(.call)) == nil)
    }
    let parsed = try #require(
      try JSONSerialization.jsonObject(with: Data(file.bytes)) as? [String: [String: Any]])
    let ceilings = try #require(parsed["calibration"]?["ceilings"] as? [[String: Any]])
    #expect((ceilings[0]["read"] as? [String: Int])?["best"] == 12_000_000_000)
    #expect(ceilings[0]["cache_bytes"] as? Int == 32 << 20)
    // A second one takes the place of the first.
    try file.save(to: path)
    #expect(throws: RecorderError.self) { try file.save(to: "/nowhere/ceilings.json") }
  }

  @Test func filesThatAreNotUsed() throws {
    let path = path()
    defer { try? FileManager.default.removeItem(atPath: path) }
    #expect(refusal(path)?.contains("cannot read") == true)
    let text = String(decoding: CalibrationFile(calibration()).bytes, as: UTF8.self)
    for (content, words) in [
      ("", "not as pi-record calibrate writes it"), ("{}", "not as"), (String(text.dropLast(9)), "not as"),
      (text.replacingOccurrences(of: "{\"calibration\":", with: "{ \"calibration\": "), "not as"),
      (text.replacingOccurrences(of: "\"kernel\":\"", with: "\"kernel\":\"4."), "another machine or kernel"),
    ] {
      try content.write(toFile: path, atomically: true, encoding: .utf8)
      #expect(refusal(path)?.contains(words) == true, "\(content.prefix(40))")
    }
  }

  @Test func options() throws {
    let options = try RecordOptions.parse(["--calibrate", "--ceilings", "x.json", "--", "run"])
    #expect((options.calibrates, options.ceilings) == (true, "x.json"))
    for wrong in [["-x"], ["-o"], ["-o", "a", "b"], ["file"]] {
      #expect(throws: RecorderError.self) { _ = try CalibrateCommand.parse(wrong) }
    }
  }
}
