import TraceModel

/// Slices that are not the engine's own: the scheduler, devices, speculative rounds, the recorder's probes.
extension ChromeTraceWriter {
  public mutating func threadSlice(_ slice: ThreadSlice) {
    guard isWanted(slice.step), let track = place(slice.range, on: .scheduling(slice.thread)) else { return }
    var text = JSONText()
    text.raw(",\"args\":{")
    if let cpu = slice.cpu {
      text.raw("\"CPU\":")
      text.decimal(cpu)
    } else {
      text.raw("\"CPU\":\"unknown\"")
    }
    if slice.isMigration { text.raw(",\"migrated\":true") }
    if let inside = slice.inside {
      text.raw(",\"inside\":")
      text.string(inside.rawValue)
    }
    if let preemptor = slice.preemptor {
      text.raw(",\"preempted by\":")
      text.string(preemptor.name)
      text.raw(",\"its thread\":")
      text.decimal(preemptor.thread.rawValue)
      if let process = preemptor.process {
        text.raw(",\"its process\":")
        text.decimal(process)
      }
    }
    text.raw("}}")
    begin(slice.activity.rawValue, category: "scheduler", track: track, range: slice.range)
    sink.append(text.bytes)
  }

  /// Called "enqueue", for the device computes the node at another time.
  public mutating func enqueueSpan(_ span: EnqueueSpan) {
    guard isWanted(span.step < 0 ? nil : Int(span.step)),
      let track = place(span.range, on: .thread(span.thread))
    else { return }
    let node = structures[span.structure]?.node(Int(span.node))
    var text = JSONText()
    text.raw(",\"args\":{\"device\":")
    text.string(span.device)
    if let node {
      text.raw(",\"node\":")
      text.string(node.name)
      text.raw(",\"op\":")
      text.string(node.op)
    }
    text.raw("}}")
    let title = node.map { "enqueue \($0.name) \($0.op)" } ?? "enqueue"
    begin(title, category: "enqueue", track: track, range: span.range)
    sink.append(text.bytes)
  }

  public mutating func speculativeRound(_ round: SpeculativeRound) {
    guard isWanted(round.verifyStep), let track = place(round.range, on: .speculation(round.thread)) else {
      return
    }
    var text = JSONText()
    text.raw(",\"args\":{\"draft steps\":")
    text.decimal(round.draftSteps)
    if let drafted = round.drafted {
      text.raw(",\"drafted\":")
      text.decimal(drafted)
    }
    if let accepted = round.accepted {
      text.raw(",\"accepted\":")
      text.decimal(accepted)
    }
    text.raw("}}")
    begin("round \(round.index)", category: "speculation", track: track, range: round.range)
    sink.append(text.bytes)
  }

  public mutating func probeGap(_ gap: ProbeGap) {
    guard options.tokens == nil, let track = place(gap.range, on: .probes) else { return }
    var text = JSONText()
    text.raw(",\"args\":{\"dropped at tokens/s\":")
    text.number(gap.droppedAt.isFinite ? gap.droppedAt : 0)
    if let speed = gap.resumedAt, speed.isFinite {
      text.raw(",\"put back at tokens/s\":")
      text.number(speed)
    }
    text.raw("}}")
    begin("no operator probes", category: "probes", track: track, range: gap.range)
    sink.append(text.bytes)
  }
}
