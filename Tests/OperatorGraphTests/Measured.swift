import OperatorGraph
import Statistics
import TraceModel

extension OperatorFigures {
  /// One call for each of the times, nanoseconds.
  init(_ times: Int64..., bytes: Int64? = nil, flops: Int64? = nil) {
    self.init()
    for time in times {
      calls += 1
      self.time &+= time
      self.times.add(time)
    }
    self.bytes = bytes
    self.flops = flops
  }
}

extension GraphStructure {
  /// The structure with one call of these nodes, nanoseconds.
  func measured(_ times: [Int: Int64], graph: Int64? = nil) -> GraphMeasurement {
    var measurement = GraphMeasurement(structure: self, operators: times.mapValues { OperatorFigures($0) })
    measurement.stepCount = 1
    if let graph { measurement.graphTimes.add(graph) }
    return measurement
  }
}

extension StructureMaker {
  /// The same, by names.
  func measured(_ times: [String: Int64], graph: Int64? = nil) -> GraphMeasurement {
    structure.measured(
      Dictionary(uniqueKeysWithValues: times.map { (index($0.key), $0.value) }), graph: graph)
  }

  /// The collapsed graph, norms fused.
  var graph: OperatorGraph { OperatorGraph(structure, form: .collapsed, fused: fusedNorms) }
}
