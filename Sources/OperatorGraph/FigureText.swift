import Statistics

extension OperatorFigures {
  /// Modelled work of a call and its rates, for tooltips.
  var rateText: String {
    var parts: [String] = []
    if let bytes = perCall(bytes) { parts.append(formatBytes(bytes)) }
    if let bandwidth { parts.append(GraphMeasure.bandwidth.text(bandwidth)) }
    if let flopRate { parts.append(GraphMeasure.flops.text(flopRate)) }
    return parts.isEmpty ? "work not known" : parts.joined(separator: ", ")
  }
}

extension CriticalPath {
  /// Its length beside that of the graph.
  ///
  /// - Parameter graphTime: wall time of the graph, nanoseconds.
  public func text(graphTime: Int64?) -> String {
    var text = "critical path: \(formatCount(vertices.count, "operator")), \(formatDuration(length))"
    if total > 0 {
      text += ", \(formatShare(Double(length) / Double(total))) of all operators' \(formatDuration(total))"
    }
    if let graphTime, graphTime > 0 {
      text +=
        ", \(formatShare(Double(length) / Double(graphTime))) of the graph's \(formatDuration(graphTime))"
    }
    return isComplete ? text : text + " (without operators on cycles)"
  }
}
