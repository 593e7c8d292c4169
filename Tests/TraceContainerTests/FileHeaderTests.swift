import Testing
import TraceContainer

@Suite struct FileHeaderTests {
  private func error(of bytes: [UInt8]) -> TraceError? {
    bytes.withUnsafeBytes { bytes in
      do throws(TraceError) {
        _ = try TraceReader(bytes)
        return nil
      } catch { return error }
    }
  }

  /// The test header with a field replaced and the checksum made right again.
  private func header(_ offset: Int, _ value: UInt64, bytes: Int) -> [UInt8] {
    var header = testHeader.encoded()
    put(value, bytes: bytes, at: offset, in: &header)
    put(UInt64(crc32(header[..<60])), bytes: 4, at: 60, in: &header)
    return header
  }

  @Test func comesBackAsItWas() throws {
    let decoded = try testHeader.encoded().withUnsafeBytes { try FileHeader(decoding: $0) }
    #expect(decoded == testHeader)
  }

  @Test func emptyFile() {
    #expect(error(of: [])?.kind == .truncated)
    #expect(error(of: [])?.description.contains("empty") == true)
  }

  @Test(arguments: ["hello\n", "{\"traceEvents\":[]}\n", "\u{7f}ELF"])
  func otherFiles(text: String) {
    let error = error(of: Array(text.utf8))
    #expect(error?.kind == .notATrace)
    #expect(error?.offset == 0)
  }

  /// A transfer in text mode turns CR LF into LF; the magic shows it.
  @Test func textModeTransfer() {
    var bytes = testHeader.encoded()
    bytes.remove(at: 5)
    let error = error(of: bytes)
    #expect(error?.kind == .notATrace)
    #expect(error?.offset == 5)
    #expect(error?.description.contains("binary mode") == true)
  }

  @Test func laterMajorVersion() {
    let error = error(of: header(8, 2, bytes: 2))
    #expect(error?.kind == .unsupportedVersion(major: 2, minor: 1))
    #expect(error?.description.contains("version 2.1") == true)
  }

  @Test func laterMinorVersionWithALongerHeader() throws {
    var bytes = header(10, 7, bytes: 2)
    put(72, bytes: 4, at: 12, in: &bytes)
    put(UInt64(crc32(bytes[..<60])), bytes: 4, at: 60, in: &bytes)
    bytes += [UInt8](repeating: 0xee, count: 8)
    bytes += handMadeTrace[64...]
    #expect(try Content(of: bytes) == Content(of: handMadeTrace))
    #expect(try bytes.withUnsafeBytes { try FileHeader(decoding: $0) }.isOfLaterVersion)
    #expect(try !handMadeTrace.withUnsafeBytes { try FileHeader(decoding: $0) }.isOfLaterVersion)
  }

  @Test(arguments: [0, 63, 4097, 0xffff_ffff])
  func impossibleHeaderSize(size: UInt64) {
    let error = error(of: header(12, size, bytes: 4))
    #expect(error?.kind == .corrupt)
    #expect(error?.offset == 12)
  }

  @Test func unknownFeatures() {
    #expect(error(of: header(16, 1 << 40, bytes: 8))?.kind == .unsupportedFeatures(1 << 40))
    #expect(error(of: header(24, 1 << 40, bytes: 8)) == nil)
  }
}
