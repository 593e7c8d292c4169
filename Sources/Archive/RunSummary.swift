import Foundation

/// What is known of one trace as a whole: `summary.json` in the folder of its results, and the row of the index.
///
/// A key that is missing was not recorded. Names carry units: `_ns` nanoseconds, `_per_s` a second; shares are 0…1.
public struct RunSummary: Codable, Sendable, Equatable {
  public struct Trace: Codable, Sendable, Equatable {
    public var bytes: Int
    /// Version of the format, such as `1.1`.
    public var format: String
    /// Random, names the recording: a trace that was copied while it grew has it too.
    public var recording: String
    /// CLOCK_REALTIME when the recording began.
    public var recordedNs: Int64?
    /// From the first to the last record.
    public var durationNs: Int64?
    public var recorder: String?
    /// `token`, `graph` or `op`.
    public var level: String?
    /// As the recorder was called.
    public var arguments: [String]
    /// Counters with values behind records.
    public var counters: [String]
  }

  public struct Machine: Codable, Sendable, Equatable {
    public var host: String?
    public var architecture: String?
    public var kernel: String?
    public var cpuModel: String?
    public var cpus: Int?
    public var memoryBytes: Int?
  }

  public struct Target: Codable, Sendable, Equatable {
    public var command: [String]
    public var executable: String?
    /// Last part of the first argument that names a `.gguf` file.
    public var modelFile: String?
    public var engine: String?
    /// As it tells them itself.
    public var engineVersion: String?
    public var engineCommit: String?
    /// Build id of the library whose operators were probed.
    public var engineBuild: String?
    /// Largest number that a graph was computed with.
    public var threads: Int?
  }

  /// A model as its tensors show it.
  public struct Model: Codable, Sendable, Equatable {
    public struct Weights: Codable, Sendable, Equatable {
      public var type: String
      public var bytes: Int64
    }
    /// In a few words; the same for the same shape.
    public var label: String
    public var layers: Int?
    public var embedding: Int64?
    public var vocabulary: Int64?
    public var feedForward: Int64?
    public var heads: Int64?
    public var keyValueHeads: Int64?
    public var headSize: Int64?
    public var experts: Int64?
    public var expertsUsed: Int64?
    public var cacheType: String?
    /// Largest first.
    public var weights: [Weights]
    public var hints: [String]
  }

  public struct Speed: Codable, Sendable, Equatable {
    public var prefillTokens: Int?
    public var prefillTokensPerS: Double?
    /// Of the first request.
    public var timeToFirstTokenNs: Int64?
    public var decodeTokens: Int?
    public var decodeTokensPerS: Double?
    /// With sampling and all else between the steps.
    public var generatedStepsPerS: Double?
    public var decodeP50Ns: Int64?
    public var decodeP95Ns: Int64?
    public var decodeP99Ns: Int64?
  }

  /// Where the wall time of a phase's steps went, on the main thread.
  public struct Phase: Codable, Sendable, Equatable {
    public var phase: String
    public var steps: Int
    public var tokens: Int?
    public var wallNs: Int64
    public var operatorsNs: Int64?
    public var barrierNs: Int64?
    public var graphOverheadNs: Int64?
    public var backendGraphsNs: Int64?
    public var notProbedNs: Int64?
    public var setupNs: Int64?
    public var betweenGraphsNs: Int64?
    public var finishNs: Int64?
    /// Behind the steps.
    public var samplingNs: Int64
    public var outsideNs: Int64
    public var verdict: String?
    public var evidence: String?
    public var bytesPerS: Double?
    public var flopsPerS: Double?
    /// Of what the machine can do.
    public var memoryShare: Double?
    public var computeShare: Double?
  }

  /// What an operator type is of the two phases that matter most. Its times are in `ops.csv`.
  public struct OperatorShare: Codable, Sendable, Equatable {
    public var op: String
    public var type: String?
    public var prefillShare: Double?
    public var decodeShare: Double?
  }

  public struct Finding: Codable, Sendable, Equatable {
    public var name: String
    public var evidence: String
    public var advice: String
    /// To be won at most, a token step that generates, and of the time of the generation.
    public var effectNs: Int64?
    public var effectShare: Double?
  }

  public struct Quality: Codable, Sendable, Equatable {
    /// Of the operators that the graphs ask for, mean over the steps.
    public var coverage: Double?
    public var repairedOperators: Int64
    public var lostRecords: Int64
    /// False when the trace was cut short or is damaged.
    public var isComplete: Bool
    /// What is missing in the results, in sentences; none for a whole trace.
    public var losses: [String]
    public var warnings: [String]
    public var recorderNs: Int64?
    public var probesNs: Int64?
  }

  public var id: ContentID
  /// That wrote this.
  public var analyzer: String
  public var trace: Trace
  public var machine: Machine
  public var target: Target
  public var models: [Model]
  public var speed: Speed
  /// Of the phase that generates.
  public var verdict: String?
  public var phases: [Phase]
  public var operators: [OperatorShare]
  /// Largest effect first.
  public var findings: [Finding]
  public var quality: Quality
}

extension RunSummary {
  /// JSON in UTF-8, keys in order, safe on a terminal too.
  public var json: [UInt8] {
    get throws {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
      var text = ""
      for scalar in String(decoding: try encoder.encode(self), as: UTF8.self).unicodeScalars {
        switch scalar.value {
        // Inside of strings only. They move cursors and end lines in JavaScript.
        case 0x7f..<0xa0, 0x2028, 0x2029:
          let digits = String(scalar.value, radix: 16)
          text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
        default: text.unicodeScalars.append(scalar)
        }
      }
      return Array((text + "\n").utf8)
    }
  }

  public init(json: Data) throws {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    self = try decoder.decode(RunSummary.self, from: json)
  }
}
