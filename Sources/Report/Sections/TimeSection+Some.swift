import Statistics
import TraceModel

/// What only some recordings have.
extension ReportPage {
  private static let shownSplits = 40

  /// What a run of other kinds would show here.
  var absentKinds: HTML {
    var absent: [String] = []
    if !summary.backends.backends.contains(where: { $0.name != "CPU" }) {
      absent.append("graphs of other backends")
    }
    if summary.enqueued.isEmpty { absent.append("nodes enqueued for a device") }
    if summary.speculation.rounds == 0 { absent.append("speculative decoding") }
    guard !absent.isEmpty, !summary.phaseTimes.isEmpty else { return .empty }
    return "<p class=\"note\">None in this run: \(absent.joined(separator: ", ")).</p>\n"
  }

  var backends: HTML {
    let rows = summary.backends.backends
    var result = HTML.empty
    if rows.contains(where: { $0.name != "CPU" }) {
      result += Self.heading("Backends")
      result +=
        DataTable(
          caption: "Graphs of each place in a token step, by backend; time on the calling thread",
          SplitTable(summary.backends, phases: Summary.phases), limit: Self.shownSplits
        ).html
      let transfers = TransferTable(summary.backends, phases: Summary.phases)
      if !transfers.rows.isEmpty {
        result +=
          DataTable(
            caption:
              "Between graphs of two backends: copying, waiting for the first, and what the engine does there",
            transfers, limit: Self.shownSplits
          ).html
      }
      let islands = IslandTable(summary.backends, phases: Summary.phases)
      if !islands.rows.isEmpty {
        result +=
          DataTable(
            caption: "Islands: graphs on the CPU between graphs of another backend", islands,
            limit: Self.shownSplits
          ).html
      }
      result +=
        "<p class=\"note\">Waiting for a device cannot be told apart: it is in the time between graphs, and outside of the engine behind a step.</p>\n"
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
}
