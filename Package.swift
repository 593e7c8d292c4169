// swift-tools-version: 6.1
// pi-record runs on the board and depends on no Swift package; prof-analyze runs
// on the workstation and never imports libbpf. They share the trace format only:
// CTraceRecords (the C header) and TraceContainer.
import PackageDescription

let package = Package(
  name: "prof-infer",
  products: [
    .executable(name: "pi-record", targets: ["PiRecord"]),
    .executable(name: "prof-analyze", targets: ["ProfAnalyze"]),
    // For tools/fuzz-targets only.
    .library(
      name: "Analysis",
      targets: [
        "CTraceRecords", "TraceContainer", "TraceModel", "GGML", "TraceImport", "Statistics", "Timeline",
        "OperatorGraph", "Report",
      ]),
    .library(name: "ProbeSites", targets: ["ProbeSites"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
  ],
  targets: [
    // The trace format.
    .target(name: "CTraceRecords", path: "formats/CTraceRecords"),
    .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .target(name: "TraceContainer", dependencies: ["CTraceRecords", "CZstd", "CZlib"]),

    // The recorder.
    .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .target(name: "CRecorderShim"),
    .target(name: "CProbeObject", dependencies: ["CZlib"]),
    .target(name: "CCalibration"),
    .target(name: "ProbeSites"),
    .target(
      name: "RecorderCore",
      dependencies: [
        "CCalibration", "CLibBPF", "CRecorderShim", "CProbeObject", "CTraceRecords", "ProbeSites",
        "TraceContainer",
      ]),
    .executableTarget(name: "PiRecord", dependencies: ["RecorderCore", "CRecorderShim"]),

    // The analyzer: bytes, events, model, views.
    .target(name: "TraceModel"),
    .target(name: "GGML", dependencies: ["TraceModel"], path: "Sources/Engines/GGML"),
    .target(
      name: "TraceImport", dependencies: ["CTraceRecords", "TraceContainer", "TraceModel", "GGML"]),
    .target(name: "Statistics", dependencies: ["TraceModel"]),
    .target(
      name: "Timeline",
      dependencies: [
        "TraceModel", "Statistics", .product(name: "SwiftProtobuf", package: "swift-protobuf"),
      ]),
    .target(name: "Comparison", dependencies: ["TraceModel", "Statistics"]),
    .target(name: "OperatorGraph", dependencies: ["TraceModel", "Statistics"]),
    // Style and script become part of the executable: it runs anywhere, without files beside it.
    .target(
      name: "Report", dependencies: ["TraceModel", "Statistics", "OperatorGraph", "Archive", "Comparison"],
      resources: [.embedInCode("Resources/report.css"), .embedInCode("Resources/report.js")]),
    // Results of many traces, and what a team asks of them.
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .target(
      name: "Archive",
      dependencies: [
        "CCrypto", "TraceModel", "TraceImport", "Statistics",
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "GRDBSQLite", package: "GRDB.swift"),
      ],
      resources: [.embedInCode("Resources/schema.sql"), .embedInCode("Resources/views.sql")]),
    .executableTarget(
      name: "ProfAnalyze",
      dependencies: [
        "TraceImport", "OperatorGraph", "Statistics", "Timeline", "Report", "Archive", "Comparison", "GGML",
        "CZlib",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // For benchmarks and tests only; installed nowhere.
    .executableTarget(
      name: "TraceRepeater",
      dependencies: [
        "CTraceRecords", "TraceContainer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    .testTarget(
      name: "TraceContainerTests", dependencies: ["CTraceRecords", "TraceContainer"],
      resources: [.copy("Fixtures")]),
    .testTarget(name: "ProbeSitesTests", dependencies: ["ProbeSites"], exclude: ["Fixtures"]),
    .testTarget(
      name: "RecorderCoreTests",
      dependencies: ["RecorderCore", "CCalibration", "CProbeObject", "CRecorderShim", "ProbeSites"]),
    .testTarget(name: "GGMLTests", dependencies: ["GGML", "TraceModel"]),
    .testTarget(
      name: "TraceImportTests",
      dependencies: ["TraceImport", "TraceContainer", "TraceModel", "GGML", "CTraceRecords"]),
    .testTarget(name: "ComparisonTests", dependencies: ["Comparison", "Statistics", "TraceModel"]),
    .testTarget(name: "OperatorGraphTests", dependencies: ["OperatorGraph"]),
    .testTarget(name: "StatisticsTests", dependencies: ["Statistics"]),
    .testTarget(
      name: "TimelineTests",
      dependencies: ["Timeline", "Statistics", .product(name: "SwiftProtobuf", package: "swift-protobuf")]),
    .testTarget(
      name: "ArchiveTests",
      dependencies: ["Archive", "Report", "Statistics", .product(name: "GRDB", package: "GRDB.swift")]),
    .testTarget(name: "ReportTests", dependencies: ["Report", "Statistics", "TraceModel"]),
  ]
)
