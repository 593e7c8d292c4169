import Foundation
import Testing

@testable import ProbeSites

/// Compares the length decoder with `objdump -d` over the whole .text of a real x86_64 file:
/// `PROBE_SITES_ELF=/path/libggml-cpu.so swift test --filter ObjdumpComparison`.
@Suite struct ObjdumpComparisonTests {
  static let path = ProcessInfo.processInfo.environment["PROBE_SITES_ELF"]

  @Test(.enabled(if: path != nil)) func everyInstructionLength() throws {
    let path = try #require(Self.path)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["objdump", "-d", "-w", "-j", ".text", path]
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let listing = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()

    let file = try Data(contentsOf: URL(fileURLWithPath: path))
    try file.withUnsafeBytes { bytes in
      let elf = try ELFFile(bytes)
      var count = 0
      for line in String(decoding: listing, as: UTF8.self).split(separator: "\n") {
        // "  1a2b:\t48 89 e5 \tmov ..."
        let columns = line.split(separator: "\t")
        guard columns.count >= 2, let colon = columns[0].firstIndex(of: ":"),
          let address = UInt64(columns[0][..<colon].drop(while: { $0 == " " }), radix: 16),
          let offset = elf.fileOffset(of: address)
        else { continue }
        count += 1
        let length = columns[1].split(separator: " ").count
        let decoded = X86Instruction.decode(bytes, at: Int(offset))
        if decoded?.length != length { Issue.record("\(line): decoded as \(decoded?.length ?? 0) bytes") }
      }
      #expect(count > 0, "objdump listed no instruction of \(path)")
    }
  }
}
