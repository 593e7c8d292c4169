import TraceModel

/// Slices that are not the engine's own: the scheduler, devices, speculative rounds, the recorder's probes.
extension TimelineWriter {
  public mutating func threadSlice(_ slice: ThreadSlice) {
    var drawn = Slice(common: slice.activity.rawValue, .scheduler, slice.range)
    drawn.arguments = [Argument("CPU", slice.cpu.map { .integer(Int64($0)) } ?? .text("unknown"))]
    if slice.isMigration { drawn.arguments.append(Argument("migrated", .flag(true))) }
    if let inside = slice.inside { drawn.arguments.append(Argument("inside", .text(inside.rawValue))) }
    if let preemptor = slice.preemptor {
      drawn.arguments += [
        Argument("preempted by", .text(preemptor.name)),
        Argument("its thread", Int(preemptor.thread.rawValue)),
      ]
      if let process = preemptor.process { drawn.arguments.append(Argument("its process", Int(process))) }
    }
    if let successor = slice.successor {
      drawn.arguments.append(Argument("then on this CPU", .text(successor.name)))
    }
    writeOrHold(.slice(drawn, .scheduling(slice.thread)))
  }

  /// Called "enqueue", for the device computes the node at another time.
  public mutating func enqueueSpan(_ span: EnqueueSpan) {
    guard window.isWanted(span.step < 0 ? nil : Int(span.step)) else { return }
    let entry = catalog.entry(structure: span.structure, node: span.node, lastNode: span.node)
    let node = catalog.name(of: entry)
    var drawn = Slice(
      common: node.map { "enqueue \($0.name) \($0.op)" } ?? "enqueue", .enqueue, span.range)
    drawn.arguments = [Argument("device", .text(span.device))]
    if let node {
      drawn.arguments += [Argument("node", .text(node.name)), Argument("op", .text(node.op))]
    }
    draw(drawn, on: .thread(span.thread))
  }

  public mutating func speculativeRound(_ round: SpeculativeRound) {
    guard window.isWanted(round.verifyStep) else { return }
    var drawn = Slice(name: "round \(round.index)", .speculation, round.range)
    drawn.arguments = [
      Argument("draft steps", round.draftSteps), Argument("draft ns", .integer(round.draftTime)),
    ]
    if let step = round.verifyStep { drawn.arguments.append(Argument("verify step", step)) }
    if let drafted = round.drafted { drawn.arguments.append(Argument("drafted", drafted)) }
    if let accepted = round.accepted { drawn.arguments.append(Argument("accepted", accepted)) }
    draw(drawn, on: .speculation(round.thread))
    speed(of: round)
  }

  public mutating func probeGap(_ gap: ProbeGap) {
    var drawn = Slice(common: "no operator probes", .probes, gap.range)
    if gap.droppedAt.isFinite {
      drawn.arguments.append(Argument("dropped at tokens/s", .number(gap.droppedAt)))
    }
    if let speed = gap.resumedAt, speed.isFinite {
      drawn.arguments.append(Argument("put back at tokens/s", .number(speed)))
    }
    doubt(nil, gap.range)
    writeOrHold(.slice(drawn, .probes))
  }

  public mutating func lossGap(_ gap: LossGap) {
    var drawn = Slice(common: "records lost", .loss, gap.range)
    drawn.arguments = [Argument("lost records", .count(gap.lostRecords))]
    doubt(nil, gap.range)
    writeOrHold(.slice(drawn, .losses(cpu: gap.cpu)))
  }
}
