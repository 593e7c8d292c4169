import TraceModel

/// The experts that tokens were routed to, one row per slot, handed on as they are read: a long
/// run of a model with many experts has more of them than fit into memory.
public struct ExpertRows: RunVisitor {
  private let row: ([Cell]) -> Void
  /// Rows handed on.
  public private(set) var count = 0
  /// Activations of which the recorder cut the row.
  public private(set) var cutActivations = 0

  /// - Parameter row: takes the cells of one row, in the order of `columns`.
  public init(row: @escaping ([Cell]) -> Void) {
    self.row = row
  }

  public mutating func experts(_ activation: ExpertActivation) {
    if !activation.isComplete { cutActivations += 1 }
    for (slot, expert) in activation.experts.enumerated() {
      count += 1
      row([
        activation.step >= 0 ? .integer(Int64(activation.step)) : .missing,
        .integer(Int64(activation.token)), Cell(activation.layer), .integer(Int64(slot)),
        .integer(Int64(expert)),
      ])
    }
  }

  public static let columns = [
    Column("step"), Column("token"), Column("layer"), Column("slot"), Column("expert"),
  ]
}
