import TraceModel

/// What the executions of one operator, or of several alike, come to.
struct OperatorSample: Sendable {
  var totals = OperatorTotals()
  /// Of all executions; its arithmetic is that of the first.
  var work = OperatorWork(bytes: 0, flops: 0, persistentBytes: 0)
  var isFused = false
  var balance = ThreadBalance.Sum()

  /// - Parameter work: of one execution.
  mutating func add(
    _ totals: OperatorTotals, _ work: OperatorWork?, _ balance: ThreadBalance.Sum?, isFused: Bool
  ) {
    if self.totals.count == 0 {
      self.isFused = isFused
      self.work.arithmetic = work?.arithmetic ?? .f32
    }
    self.totals.merge(totals)
    self.work.add(work, times: totals.count)
    if let balance { self.balance.merge(balance) }
  }
}

extension OperatorStatistics {
  /// Each slot in which something was executed, with the work of one execution on average.
  ///
  /// - Parameter sums: `totals(of: phases)`.
  func forEachSlot(
    of phases: Set<Phase>, _ sums: PhaseTotals,
    _ body: (_ slot: Int, OperatorTotals, OperatorWork?, ThreadBalance.Sum?) -> Void
  ) {
    let changes = workChanges(of: phases)
    let balance = balance(of: phases)
    for (slot, totals) in sums.nodes.enumerated() where totals.count > 0 || totals.allThreads > 0 {
      body(
        slot, totals, catalog.entries[slot].work?.changed(by: changes[UInt32(slot)]),
        slot < balance.count ? balance[slot] : nil)
    }
  }
}

extension OperatorWork {
  /// Unknown when one of them is.
  mutating func add(_ other: OperatorWork?, times count: UInt64) {
    guard count > 0 else { return }
    bytes = Self.sum(bytes, other?.bytes, count)
    flops = Self.sum(flops, other?.flops, count)
    persistentBytes = Self.sum(persistentBytes, other?.persistentBytes, count)
  }

  private static func sum(_ a: Int64?, _ b: Int64?, _ count: UInt64) -> Int64? {
    guard let a, let b else { return nil }
    let (product, overflow) = b.multipliedReportingOverflow(by: Int64(clamping: count))
    let (sum, overflow2) = a.addingReportingOverflow(product)
    return overflow || overflow2 ? nil : sum
  }
}
