import Statistics
import Testing
import TraceModel

@testable import Report

@Suite struct PageTests {
  static let sections = [
    "verdict", "tokens", "time", "roofline", "layers", "threads", "experts", "graph", "device", "quality",
  ]

  @Test func everySectionIsThere() {
    let html = page(generation(count: 5))
    for section in Self.sections {
      #expect(html.contains("<section id=\"\(section)\""))
      #expect(html.contains("href=\"#\(section)\""))
    }
    #expect(html.contains("default-src 'none'"))
  }

  @Test func anEmptyRunSaysWhatIsMissing() {
    let html = page(ReportStatistics(range: nil))
    for section in Self.sections { #expect(html.contains("<section id=\"\(section)\"")) }
    #expect(html.count(of: "Not recorded.") >= 5)
    #expect(html.contains("Cannot tell"))
    #expect(html.contains("<script type=\"application/json\" id=\"token-data\">null</script>"))
  }

  @Test func numbersAreThoseOfTheRun() {
    let html = page(generation(count: 5))
    // 5 × 150 µs of 950 µs.
    #expect(html.contains("78.9 % of it computing operators"))
    #expect(html.contains("15.8 % waiting at barriers"))
    #expect(html.contains("Microseconds a step by layer"))
    #expect(html.contains(">150</td>"))
  }

  private static let work: WorkModel = { structure in
    structure.nodes.map { _ in
      OperatorWork(bytes: 3_000_000, flops: 1_500_000, persistentBytes: 3_000_000)
    }
  }

  @Test func aRunIsSeenBesideItsMachine() {
    var recording = RecordingFacts()
    var calibration = Calibration()
    func rate(_ value: Double) -> Calibration.Rate { .init(best: value, median: value, worst: value) }
    calibration.ceilings = [
      .init(
        cpus: [0, 1], cacheBytes: 1 << 20,
        rates: [.read: rate(20e9), .readCache: rate(90e9), .f32: rate(100e9)])
    ]
    recording.machine.calibration = calibration
    let html = page(generation(count: 5, workModel: Self.work), recording)
    // 5 × 3 MB in each step of 950 µs are 15.8 of 20 GB/s.
    #expect(html.contains("<h3>Decode: memory-bound</h3>"))
    #expect(html.contains("memory 20.0 GB/s</span>"))
    #expect(html.count(of: "class=\"ceiling\"") == 2 * 2)
    #expect(html.contains("<span>MUL_MAT f32</span>"))
  }

  @Test func withoutCeilingsThereIsNoVerdict() {
    let html = page(generation(count: 5, workModel: Self.work))
    #expect(html.contains("<h3>Decode: cannot tell</h3>"))
    #expect(html.contains("run pi-record calibrate on it"))
    #expect(!html.contains("class=\"ceiling\""))
    #expect(html.contains("<span>MUL_MAT f32</span>"))
  }

  @Test func hostileNamesStayText() {
    let evil = "<script>alert(1)</script>\"'&\u{202e}\n</style><img src=x onerror=alert(2)>"
    var recording = RecordingFacts()
    recording.command = [evil, "\(evil).gguf"]
    recording.cpuModel = evil
    recording.threadNames = [ThreadID(100): evil, ThreadID(101): evil]
    recording.silentSites = [evil]
    recording.counters = [CounterColumn(index: 0, name: evil)]
    var facts = ReportFacts()
    facts.file = evil
    facts.host = evil
    facts.kernel = evil
    facts.losses = [evil]
    facts.notes = [evil]
    facts.sites = [
      ReportFacts.Site(
        role: evil, function: evil, instruction: evil, hits: 1, isSilent: true, isShared: false, expected: 1)
    ]
    var run = generation(count: 3, suffix: evil)
    run.threadSlice(
      ThreadSlice(
        thread: ThreadID(100), range: range(1_000_000, 2_000_000), activity: .runnable, cpu: 0,
        preemptor: Preemptor(thread: ThreadID(9), process: 9, name: evil), step: 0))
    run.reading(Reading(time: time(5), value: .frequency(cpu: 0, kilohertz: 1000)))
    run.enqueueSpan(
      EnqueueSpan(device: evil, step: 0, structure: 1, node: 0, thread: ThreadID(100), range: range(1, 2)))
    recording.clusters = [0: evil]
    let html = page(run, facts: facts, recording)
    let harmless = page(generation(count: 3))
    for part in ["<script", "</script", "</style", "<img", "onerror=\""] {
      #expect(html.count(of: part) == harmless.count(of: part), "\(part)")
    }
    #expect(!html.unicodeScalars.contains("\u{202e}"))
    #expect(html.count(of: "&lt;script&gt;alert(1)") > 10)
  }

  /// The size of a page does not grow with the run.
  @Test func aLongRunMakesASmallPage() {
    var run = ReportStatistics(range: range(0, 100_000 * 10_000_000))
    run.structure(structure())
    for index in 0..<100_000 {
      let start = UInt64(index) * 10_000_000
      run.tokenStep(
        step(index, index % 500 == 0 ? .prefill : .decode, start, 9_000_000 + UInt64(index % 997) * 1000))
    }
    let html = page(run)
    #expect(html.utf8.count < 5_000_000)
    #expect(html.contains("of 100\u{202f}000"))
  }

  @Test func manyNamesMakeASmallPage() {
    var run = ReportStatistics(range: range(0, 1_000_000))
    var recording = RecordingFacts()
    for thread in 0..<20_000 {
      recording.threadNames[ThreadID(UInt32(thread))] = "thread \(thread)"
      run.threadSlice(
        ThreadSlice(
          thread: ThreadID(UInt32(thread)), range: range(0, 1_000_000), activity: .running, cpu: 0,
          preemptor: nil, step: 0))
      run.reading(Reading(time: time(5), value: .temperature(zone: thread, millicelsius: 1000)))
    }
    var facts = ReportFacts()
    facts.sites = (0..<20_000).map {
      ReportFacts.Site(
        role: "role \($0)", function: nil, instruction: nil, hits: nil, isSilent: false, isShared: false,
        expected: nil)
    }
    facts.notes = (0..<20_000).map { "note \($0)" }
    facts.losses = facts.notes
    #expect(page(run, facts: facts, recording).utf8.count < 1_000_000)
  }
}
