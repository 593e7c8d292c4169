import Statistics
import TraceModel

/// What only some recordings have.
extension ReportPage {
  var backends: HTML {
    let rows = summary.backends.backends
    var result = HTML.empty
    if rows.contains(where: { $0.name != "CPU" }) {
      result += Self.heading("Backends")
      result +=
        DataTable(
          caption: "Graphs by backend",
          columns: [
            .init(heading: "backend", isText: true), .init(heading: "graphs"),
            .init(heading: "time on the calling thread"), .init(heading: "mean"),
          ],
          rows: rows.map {
            [
              .name($0.name), .count($0.count), .duration($0.total),
              .duration($0.total / Int64(max($0.count, 1))),
            ]
          }
        ).html
    }
    guard !summary.enqueued.isEmpty else { return result }
    result += Self.heading("Enqueued for a device")
    result +=
      DataTable(
        caption: "Nodes encoded for a device, or handed over: the time is not the device's",
        columns: [
          .init(heading: "operator", isText: true), .init(heading: "type", isText: true),
          .init(heading: "nodes"), .init(heading: "enqueue time"), .init(heading: "mean"),
        ],
        rows: summary.enqueued.prefix(24).map {
          [
            .name($0.op), .text($0.type), .count($0.totals.count), .duration($0.totals.total),
            .duration($0.totals.mean),
          ]
        }
      ).html
    return result
  }

  var counters: HTML {
    let columns = summary.facts.counters
    let phases = summary.phaseTimes.filter { $0.counters.spans > 0 }
    guard !columns.isEmpty, !phases.isEmpty else {
      return Self.heading("Counters")
        + Self.notRecorded("Record with --pmc; pi-record list-pmc says what this machine can count.")
    }
    let rows = columns.map { column -> [DataTable.Field] in
      [.name(column.name)]
        + phases.flatMap { phase -> [DataTable.Field] in
          let totals = phase.counters
          let sum = totals[column.index].map { DataTable.Field.count($0) } ?? .text(nil)
          let steps = totals.counted[column.index]
          let each = totals[column.index].map { Double($0) / Double(max(steps, 1)) }
          return [sum, .decimal(each, digits: 1)]
        }
    }
    var notes = columns.compactMap { column in
      summary.facts.multiplexed[column.index].map {
        "\(column.name) shared its register and counted only \(formatShare($0)) of the time."
      }
    }
    if phases.contains(where: \.counters.mayIncludeOtherTasks) {
      notes.append("May include other tasks of the same CPUs: record with --sched to tell them apart.")
    }
    let partial = phases.contains { phase in
      columns.contains { phase.counters.counted[$0.index] < phase.counters.spans }
    }
    if partial {
      notes.append("Steps without a value, such as those of a thread that changed its CPU, are left out.")
    }
    return Self.heading("Counters")
      + DataTable(
        caption: "Counters over the token steps, all threads",
        columns: [.init(heading: "counter", isText: true)]
          + phases.flatMap { phase -> [DataTable.Column] in
            [
              .init(heading: phase.phase.rawValue),
              .init(heading: "a step", hint: "\(phase.phase.rawValue), on average"),
            ]
          }, rows: rows, note: notes.joined(separator: " ")
      ).html
  }

  var speculation: HTML {
    let speculation = summary.speculation
    guard speculation.rounds > 0 else { return .empty }
    let verify = summary.phaseTimes.filter { $0.phase == .verify }.reduce(0) { $0 &+ $1.wall }
    var list: [(String, HTML)] = []
    var rounds = grouped(Int64(speculation.rounds))
    if let tokens = speculation.tokensPerRound {
      rounds += ", \(formatDecimal(tokens, digits: 2)) tokens each on average"
    }
    if speculation.unknownRounds > 0 { rounds += "; \(speculation.unknownRounds) not known in full" }
    list.append(("rounds", "\(rounds)"))
    if let acceptance = speculation.acceptance {
      list.append(
        (
          "accepted",
          "\(formatShare(acceptance)): \(speculation.accepted) of \(formatCount(speculation.drafted, "drafted token"))"
        ))
    }
    list.append(
      (
        "drafting",
        "\(formatDuration(speculation.draftTime)) in \(formatCount(speculation.draftSteps, "draft step"))"
      ))
    list.append(("verifying", "\(formatDuration(verify))"))
    if let tokens = speculation.tokensPerRound, speculation.unknownRounds == 0, speculation.duration > 0 {
      let rate = tokens * Double(speculation.rounds) * 1e9 / Double(speculation.duration)
      list.append(("speed", "\(formatDecimal(rate, digits: 1)) tokens/s from the first round to the last"))
    }
    return Self.heading("Speculative decoding") + Self.list(list)
  }
}
