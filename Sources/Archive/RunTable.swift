import Foundation
import Statistics

/// The runs of an archive, the oldest first.
public struct RunTable: StatisticsTable, Sendable {
  public var rows: [ArchivedRun]

  public init(_ runs: [ArchivedRun]) { rows = runs }

  public static let columns = [
    Column("run"), Column("recorded", isText: true), Column("host", "device", isText: true),
    Column("name", "model", isText: true), Column("threads"), Column("level", isText: true),
    Column("decode_tokens_per_s", "decode, tokens/s"), Column("decode_p50_ns", "a step", .nanoseconds),
    Column("prefill_tokens_per_s", "prefill, tokens/s"), Column("verdict", isText: true),
    Column("lost_records", "lost"), Column("complete", isText: true), Column("path", "trace", isText: true),
    Column("id", isText: true, isShown: false), Column("model", isText: true, isShown: false),
    Column("model_file", isText: true, isShown: false), Column("cpu_model", isText: true, isShown: false),
    Column("kernel", isText: true, isShown: false), Column("engine_build", isText: true, isShown: false),
    Column("time_to_first_token_ns", isShown: false), Column("coverage", isShown: false),
    Column("recorded_ns", isShown: false), Column("analyzer", isText: true, isShown: false),
    Column("engine_version", isText: true, isShown: false),
  ]

  public static func cells(_ run: ArchivedRun) -> [Cell] {
    [
      .integer(run.run), Cell(run.recorded.map(utc)), Cell(run.host), Cell(run.name), Cell(run.threads),
      Cell(run.level), Cell(run.decodeTokensPerSecond), Cell(run.decodeMedian),
      Cell(run.prefillTokensPerSecond), Cell(run.verdict), .integer(run.lostRecords),
      .text(run.isComplete ? "yes" : "no"), Cell(run.path), .text(run.id), Cell(run.model),
      Cell(run.modelFile), Cell(run.cpuModel), Cell(run.kernel), Cell(run.engineBuild),
      Cell(run.timeToFirstToken), Cell(run.coverage), Cell(run.recorded), .text(run.analyzer),
      Cell(run.engineVersion),
    ]
  }
}

/// `2026-11-25 14:03:11`, of nanoseconds since 1970.
public func utc(_ nanoseconds: Int64) -> String {
  var seconds = time_t(nanoseconds / 1_000_000_000)
  var parts = tm()
  gmtime_r(&seconds, &parts)
  func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
  return "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday)) "
    + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
}
