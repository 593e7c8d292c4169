import CTraceRecords
import TraceModel

extension RunBuilder {
  /// One row of a MUL_MAT_ID's ids.
  mutating func experts(_ record: RecordView, _ thread: Int) {
    let head = MemoryLayout<pi_experts>.size
    guard let row = record.read(pi_experts.self) else { return oddities.count(.shortRecord) }
    guard Int(row.used) <= (record.byteCount - head) / 4, row.used <= UInt32(PI_EXPERTS_CAPACITY) else {
      return oddities.count(.malformedExperts)
    }
    let slot = Int(threads[thread].run)
    guard slot >= 0, runs[slot].generation == threads[thread].runGeneration, runs[slot].step >= 0,
      let caller = Int(exactly: threads[Int(runs[slot].owner)].caller), callers.indices.contains(caller),
      let step = callers[caller].step
    else { return oddities.count(.expertsOutsideStep) }
    var layer: Int?
    var place: (structure: UInt32, node: Int32) = (0, -1)
    if let structure = runs[slot].structure, let node = structure.find(record.ref)?.node {
      place = (structure.number, node)
      // A layer's gate, up and down projections share their ids: one of them speaks for the layer.
      let routing = Int(structure.routings[Int(node)])
      if routing >= 0 {
        let owner = structure.routingOwners[routing]
        if owner.run == runs[slot].index, owner.node != node { return oddities.count(.repeatedExperts) }
        structure.routingOwners[routing] = (runs[slot].index, node)
      }
      layer = structure.layers[Int(node)]
    }
    let values = (0..<Int(row.used)).map { Int32(bitPattern: record.base.u32(head + $0 * 4)) }
    output.append(
      .experts(
        ExpertActivation(
          step: step.index, token: step.ubatchOffset + Int(row.token), layer: layer, experts: values,
          isComplete: record.flags & UInt8(PI_EXPERTS_CUT) == 0, structure: place.structure, node: place.node)
      ))
  }
}
