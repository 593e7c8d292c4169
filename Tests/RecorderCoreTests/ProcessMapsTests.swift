import Testing

@testable import RecorderCore

@Suite struct ProcessMapsTests {
  private func parse(_ line: String) -> MappedLibrary? { ProcessMaps.parse(ArraySlice(line.utf8)) }

  @Test func executableFileMappingIsRead() throws {
    let library = try #require(
      parse("7f10a000-7f20b000 r-xp 0029d000 fe:00 1234                       /opt/a b/libggml.so"))
    #expect(library.path == "/opt/a b/libggml.so")
    #expect(library.inode == 1234)
    #expect(library.start == 0x7f10_a000)
    #expect(library.end == 0x7f20_b000)
    #expect(library.offset == 0x29d000)
    #expect(!library.isDeleted)
  }

  @Test func deletedFileIsMarkedAndKeepsItsName() throws {
    let library = try #require(parse("1000-2000 r-xp 00000000 fe:00 9 /tmp/x.so (deleted)"))
    #expect(library.isDeleted)
    #expect(library.path == "/tmp/x.so")
  }

  @Test(arguments: [
    "7f10a000-7f20b000 rw-p 00000000 fe:00 1234 /x.so", "7ffd1000-7ffd3000 r-xp 00000000 00:00 0 [vdso]",
    "7f10a000-7f20b000 r-xp 00000000 00:00 0", "", "-", "zz-yy r-xp 0 fe:00 1 /x",
  ])
  func othersAreSkipped(line: String) {
    #expect(parse(line) == nil)
  }

  @Test(arguments: [
    ("1234 (decode) T 1 1234", "T"), ("1234 (a) b) (c) t 1", "t"), ("1 (x) R", "R"), ("1 (x)", nil),
    ("1 (x) ", nil),
    ("", nil),
  ])
  func stateStandsBehindTheName(line: String, state: String?) {
    #expect(ProcessMaps.parseState(Array(line.utf8)) == state?.utf8.first)
  }

  @Test func thisProcessMapsItsOwnExecutable() throws {
    let own = try #require(
      ProcessMaps.libraries(of: System.link(at: "/proc/self").flatMap { Int32($0) } ?? 0))
    let executable = try #require(System.link(at: "/proc/self/exe"))
    #expect(own.contains { $0.path == executable })
  }
}
