import Foundation
import Testing

@testable import ProbeSites

/// A fixture's bytes, which stay valid while the value lives.
final class FixtureFile {
  let bytes: UnsafeMutableRawBufferPointer

  init(_ name: String) throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "Fixtures")
    let data = try Data(contentsOf: folder.appendingPathComponent(name))
    bytes = .allocate(byteCount: data.count, alignment: 16)
    bytes.copyBytes(from: data)
  }

  deinit { bytes.deallocate() }

  func elf() throws -> ELFFile { try ELFFile(UnsafeRawBufferPointer(bytes)) }
}

let fixtureNames = [
  "x86_64-plt.so", "x86_64-endbr.so", "x86_64-noplt.so", "x86_64-clang.so", "aarch64-plt.so",
  "aarch64-bti.so",
  "aarch64-clang.so", "x86_64-gomp.so", "x86_64-inlined.so", "x86_64-feb2025.so", "aarch64-gomp.so",
  "aarch64-inlined.so", "aarch64-lse.so", "aarch64-feb2025.so",
]

func hexBytes(_ text: String) -> [UInt8] {
  text.split(separator: " ").map { UInt8($0, radix: 16)! }
}

func decodeX86(_ text: String) -> X86Instruction? {
  hexBytes(text).withUnsafeBytes { X86Instruction.decode($0, at: 0) }
}
