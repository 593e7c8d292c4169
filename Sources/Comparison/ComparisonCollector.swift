import Statistics
import TraceModel

/// Everything that a comparison takes from the events of a run, in one pass.
public struct ComparisonCollector: RunVisitor {
  public var samples = StepSamples()
  public private(set) var models = ModelStatistics()

  public init() {}

  public mutating func structure(_ structure: GraphStructure) {
    samples.structure(structure)
    models.structure(structure)
  }
  public mutating func operatorSpan(_ span: OperatorSpan) { samples.operatorSpan(span) }
  public mutating func gap(_ gap: GapSpan) { samples.gap(gap) }
  public mutating func graphRun(_ run: GraphRun) {
    samples.graphRun(run)
    models.graphRun(run)
  }
  public mutating func tokenStep(_ step: TokenStep) {
    samples.tokenStep(step)
    models.tokenStep(step)
  }
}
