import Testing

@testable import ProbeSites

/// Damaged files must end in an error or in some plan, never in a crash, and every site must lie in the file.
@Suite struct HostileELFTests {
  /// Uses everything public; returns the number of sites, nil when the headers were refused.
  @discardableResult
  private func exercise(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard let elf = try? ELFFile(bytes) else { return nil }
    let plan = planSites(in: elf)
    for site in plan.sites { #expect(site.fileOffset < UInt64(bytes.count)) }
    for find in [operatorNames, unaryOperatorNames, gluOperatorNames] {
      guard let table = (try? find(elf)) ?? nil else { continue }
      #expect(readNames(table, in: elf).count <= 256)
    }
    #expect(elf.buildID.count <= 64)
    return plan.sites.count
  }

  @Test(arguments: ["x86_64-clang.so", "aarch64-clang.so"]) func cutAtEveryByte(_ name: String) throws {
    let file = try FixtureFile(name)
    for count in 0..<file.bytes.count {
      // A copy of its own, so that a read past the end is one past the allocation.
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
      defer { copy.deallocate() }
      copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: file.bytes[..<count]))
      // The section headers stand at the end: no cut file is accepted.
      #expect(exercise(UnsafeRawBufferPointer(copy)) == nil)
    }
    #expect(exercise(UnsafeRawBufferPointer(file.bytes))! > 10)
  }

  @Test(arguments: ["x86_64-clang.so", "aarch64-clang.so"]) func everyByteFlipped(_ name: String) throws {
    let file = try FixtureFile(name)
    for index in file.bytes.indices {
      file.bytes[index] ^= 0xff
      exercise(UnsafeRawBufferPointer(file.bytes))
      file.bytes[index] ^= 0xff
    }
  }

  /// The first segment moved over the code, as tools/fuzz found it: a site is where the loader puts its bytes.
  @Test(arguments: ["x86_64-clang.so", "aarch64-clang.so"]) func overlappingSegments(_ name: String) throws {
    let file = try FixtureFile(name)
    let bytes = UnsafeMutableRawBufferPointer(file.bytes)
    let headers = (0..<Int(bytes.loadUnaligned(fromByteOffset: 56, as: UInt16.self))).map { 64 + 56 * $0 }
    let loaded = headers.filter { bytes.loadUnaligned(fromByteOffset: $0, as: UInt32.self) == 1 }
    let code = try #require(
      loaded.first { bytes.loadUnaligned(fromByteOffset: $0 + 4, as: UInt32.self) & 1 == 1 })
    #expect(loaded[0] != code)
    let address = bytes.loadUnaligned(fromByteOffset: code + 16, as: UInt64.self)
    bytes.storeBytes(of: address - 0x100, toByteOffset: loaded[0] + 16, as: UInt64.self)
    let elf = try file.elf()
    #expect(elf.fileOffset(of: address) == bytes.loadUnaligned(fromByteOffset: code + 8, as: UInt64.self))
    #expect(elf.fileOffset(of: address - 1) == 0xff)
    let plan = planSites(in: elf)
    #expect(!plan.sites.isEmpty)
    for site in plan.sites + plan.alternates { #expect(elf.fileOffset(of: site.address) == site.fileOffset) }
  }

  @Test(arguments: fixtureNames) func manyBytesChanged(_ name: String) throws {
    let file = try FixtureFile(name)
    let original = Array(file.bytes)
    var state: UInt64 = 0x9e37_79b9_7f4a_7c15
    func random(below limit: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state % UInt64(limit))
    }
    for _ in 0..<200 {
      for _ in 0..<(1 + random(below: 12)) {
        let at = random(below: file.bytes.count - 8)
        // Extreme numbers find overflows better than noise does.
        let pattern: UInt8 = [0, 0xff, 0x7f, 0x80, UInt8(random(below: 256))][random(below: 5)]
        for index in at..<(at + [1, 4, 8][random(below: 3)]) { file.bytes[index] = pattern }
      }
      exercise(UnsafeRawBufferPointer(file.bytes))
      file.bytes.copyBytes(from: original)
    }
  }
}
