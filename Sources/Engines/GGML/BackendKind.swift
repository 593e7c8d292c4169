/// What kind of backend a GUID means. Every ggml backend has a constant of its own; the table is that of
/// llama.cpp in 2026 and of the forks for Rockchip's NPU.
public struct BackendKind: Sendable, Hashable {
  /// As ggml names it, such as `CPU`.
  public var name: String
  /// Backends with the same GUID, which cannot be told apart.
  public var alike: [String] = []

  /// - Returns: nil for a GUID that is not known, as all zeros, and for what is not 16 bytes.
  public init?(guid: [UInt8]) {
    guard guid.count == 16, let kind = Self.known[guid] else { return nil }
    self = kind
  }

  private init(_ name: String, alike: [String] = []) {
    self.name = name
    self.alike = alike
  }

  private static let known: [[UInt8]: BackendKind] = Dictionary(
    uniqueKeysWithValues: table.map { (bytes($0.guid), $0.kind) }
      + [
        // These two are text.
        (Array("AMD-ZENDNN-ACCEL".utf8), BackendKind("ZenDNN")),
        (Array("IBM-ZDNN-ACCELER".utf8), BackendKind("zDNN")),
      ])

  private static let table: [(guid: String, kind: BackendKind)] = [
    ("aa67c743 96e6a38a e3afea92 36bcfc89", BackendKind("CPU")),
    ("12a8aef4 c01e6197 8feb3304 a133512d", BackendKind("BLAS", alike: ["OpenVINO"])),
    // HIP and MUSA are builds of the same source.
    ("2cdde81c 65b36573 6a128861 1cc9dc25", BackendKind("CUDA", alike: ["HIP", "MUSA"])),
    ("81a18b1e 71ec79ed 2b85dc8a 619830e6", BackendKind("Metal")),
    ("b8f74f86 403ce102 91c8dde9 023fc02b", BackendKind("Vulkan")),
    ("dee070a2 734e4dbc b0c74fd4 6d4e90fe", BackendKind("OpenCL")),
    ("99685b6c d2833d24 253672e1 5b0e1403", BackendKind("RPC")),
    ("5805138f cd3a619d e7cd98a9 03fd7c53", BackendKind("SYCL")),
    ("a194afac bd4f4734 be1a9e71 1f9eed64", BackendKind("CANN")),
    ("7b57dcaf de121d49 11111111 11111111", BackendKind("Hexagon")),
    ("67c7a4b1 78744f51 9d65446d e41b829a", BackendKind("WebGPU")),
    ("b8f74f86 14038602 91c8dde9 023fc02b", BackendKind("VirtGPU")),
    ("4be07288 c0f629b4 799f7068 710f6dc8", BackendKind("ET")),
    ("f10e34cf 9c6f43cb 9692be8e bb713fda", BackendKind("Meta")),
    ("7b57dcaf de121d49 fb35fa9b 18311dca", BackendKind("Kompute")),
    // Forks for Rockchip's NPU.
    ("c9bdb702 49364212 af35a287 d8c92920", BackendKind("Rockchip NPU")),
    ("524b4e50 5532524b 33353838 4e505501", BackendKind("Rockchip NPU")),
    ("726b6e70 75320000 00000000 00000001", BackendKind("Rockchip NPU")),
    ("726b6e70 75003335 3838abcd ef012345", BackendKind("Rockchip NPU")),
    ("8c6d5f11 735a4c2e b1426a93 d8047e51", BackendKind("Rockchip NPU")),
    ("c3929aca 45274055 89f2dc83 f1ba02c3", BackendKind("Rockchip NPU")),
  ]

  private static func bytes(_ text: String) -> [UInt8] {
    let digits = text.utf8.filter { $0 != UInt8(ascii: " ") }.compactMap {
      Character(UnicodeScalar($0)).hexDigitValue
    }
    return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
