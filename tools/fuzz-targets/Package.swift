// swift-tools-version: 6.1
// libFuzzer targets, for tools/fuzz alone: apart from the package that they test, so that no ordinary build sees them.
import PackageDescription

let package = Package(
  name: "fuzz-targets",
  dependencies: [.package(name: "prof-infer", path: "../..")],
  targets: [
    .executableTarget(
      name: "FuzzTargets",
      dependencies: [
        .product(name: "Analysis", package: "prof-infer"),
        .product(name: "ProbeSites", package: "prof-infer"),
      ],
      // main is libFuzzer's.
      swiftSettings: [.unsafeFlags(["-parse-as-library"])])
  ]
)
