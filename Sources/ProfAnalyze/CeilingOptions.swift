import ArgumentParser
import Foundation
import Statistics
import TraceImport
import TraceModel

/// Where the machine's ceilings come from.
struct CeilingOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "What `pi-record calibrate -o FILE` wrote on the recording machine. (default: what the trace holds)",
      valueName: "file"))
  var ceilings: String?

  /// What is known of the machine that a trace was recorded on.
  ///
  /// - Throws: `ExitCode` after a message, where the file cannot be used.
  func machine(of trace: OpenTrace) throws -> RooflineModel.Machine {
    let recorded = trace.info.metadata
    guard let path = ceilings else { return trace.machine(recorded.calibration) }
    guard let data = FileManager.default.contents(atPath: path) else {
      complain("\(path): cannot be read")
      throw ExitCode(ExitStatus.usage)
    }
    guard let calibration = Calibration(json: Array(data)) else {
      complain("\(path): holds no ceilings; `pi-record calibrate -o FILE` writes them")
      throw ExitCode(ExitStatus.usage)
    }
    if let model = calibration.cpuModel, let processor = recorded.cpuModel, model != processor {
      complain("\(path): measured on \(model), but \(trace.file.name) was recorded on \(processor)")
    }
    return trace.machine(calibration)
  }
}

extension OpenTrace {
  /// What is known of the machine that the trace was recorded on.
  func machine(_ calibration: Calibration?) -> RooflineModel.Machine {
    var machine = RooflineModel.Machine()
    machine.calibration = calibration
    let probes = info.probeCost(calibration)
    machine.probeCost = probes.cost
    machine.probeCostUnknown = probes.reason
    machine.cpus = info.metadata.targetCPUs
    machine.kinds = info.metadata.cpuKinds
    machine.counters = counters
    machine.traffic = CountedTraffic(counters, architecture: info.metadata.architecture)
    return machine
  }
}

extension TraceMetadata {
  /// CPUs with the same number are of one kind. Clock rates tell on arm64 only: those of x86_64 differ a little from
  /// core to core.
  fileprivate var cpuKinds: [Int: Int] {
    struct Kind: Hashable {
      var capacity: Int?
      var kilohertz: Int?
    }
    var numbers: [Kind: Int] = [:]
    var kinds: [Int: Int] = [:]
    for cpu in cpus {
      let isARM = architecture == "aarch64"
      let kind = Kind(
        capacity: cpu.capacity, kilohertz: cpu.capacity == nil && isARM ? cpu.maxKilohertz : nil)
      kinds[cpu.number] = numbers[kind, default: numbers.count]
      numbers[kind] = kinds[cpu.number]
    }
    return kinds
  }
}

/// Operators with how graphs were computed: what `ops` and `nodes` are made of.
struct OperatorRun: RunVisitor {
  private(set) var operators = OperatorStatistics(workModel: OpenTrace.workModel)
  private(set) var graphs = GraphUse()

  mutating func structure(_ structure: GraphStructure) { operators.structure(structure) }
  mutating func operatorSpan(_ span: OperatorSpan) { operators.operatorSpan(span) }
  mutating func operatorSpans(_ spans: Span<OperatorSpan>) { operators.operatorSpans(spans) }
  mutating func operatorCounters(_ counters: CounterDelta, barrier: CounterDelta, of span: OperatorSpan) {
    operators.operatorCounters(counters, barrier: barrier, of: span)
  }
  mutating func enqueueSpan(_ span: EnqueueSpan) { operators.enqueueSpan(span) }
  mutating func experts(_ activation: ExpertActivation) { operators.experts(activation) }
  mutating func graphRun(_ run: GraphRun) {
    operators.graphRun(run)
    graphs.graphRun(run)
  }
  mutating func tokenStep(_ step: TokenStep) {
    operators.tokenStep(step)
    graphs.tokenStep(step)
  }
}
