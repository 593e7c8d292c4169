import Testing

@testable import ProbeSites

/// Builds without a call of `ggml_barrier` in the node loop, and those of early 2025 with one barrier only. The
/// addresses were read from `objdump -d`, not from the planner.
@Suite struct InlinedBarrierTests {
  struct Expected: CustomStringConvertible, Sendable {
    var file: String
    var barrier: UInt64
    var instruction: String
    /// Where the loop's end begins and where its barriers are done.
    var join: Range<UInt64>
    var description: String { file }
  }

  static let expected = [
    // bff begins the join, c0c is its test for thread 0; c30 `mov 0x4(%rbp),%ecx; cmp %r15d,%ecx` reads n_nodes.
    Expected(file: "x86_64-gomp.so", barrier: 0xc36, instruction: "jle 0xc60", join: 0xbff..<0xc6e),
    // Fused operators have their own copy of the test for thread 0 (1ab6), so only `cmp 4(%r13),%r15d; jge` will do.
    Expected(file: "x86_64-inlined.so", barrier: 0x1bb0, instruction: "jge 0x1a55", join: 0x1ba0..<0x1c71),
    Expected(
      file: "x86_64-feb2025.so", barrier: 0xbf7, instruction: "call ggml_barrier", join: 0xbc1..<0xc0a),
    // d48 `ldr w1, [x22, #4]; cmp w1, w19; b.le`
    Expected(file: "aarch64-gomp.so", barrier: 0xd50, instruction: "b.cond 0xd78", join: 0xd18..<0xd8c),
    // 10bb0 `ldr w8, [x22, #4]; add w27, w28, #1; cmp w27, w8; b.ge`; ldaxr and stlxr behind it
    Expected(
      file: "aarch64-inlined.so", barrier: 0x10bbc, instruction: "b.cond 0x10a24", join: 0x10ba4..<0x10c48),
    // c58 `ldr w0, [x23, #4]; cmp w0, w19; b.le`; ldaddal behind it
    Expected(file: "aarch64-lse.so", barrier: 0xc60, instruction: "b.cond 0xcb0", join: 0xc28..<0xd04),
    // No comparison before the barrier: `ldr w0, [x21]; cbnz w0`, the test for thread 0.
    Expected(file: "aarch64-feb2025.so", barrier: 0xcbc, instruction: "cbnz 0xce8", join: 0xcb8..<0xd48),
  ]

  @Test(arguments: expected) func oneSiteStandsForBoth(_ expected: Expected) throws {
    let file = try FixtureFile(expected.file)
    let plan = planSites(in: try file.elf())
    #expect(plan.sites(.barrierLoop).map(\.address) == [expected.barrier])
    #expect(plan.sites(.barrierLoop).map(\.instruction) == [expected.instruction])
    #expect(plan.sites(.barrierLoop).allSatisfy { $0.function == "ggml_barrier" })
    #expect(plan.sites(.barrierFinal).isEmpty)
    // The fixture has no llama_encode; nothing else is missing.
    #expect(plan.missing.map(\.role) == [.tokenEncode])
    for role in [SiteRole.opBegin, .opFused, .ubatch] { #expect(plan.sites(role).count == 1) }
  }

  @Test(arguments: [("x86_64-feb2025.so", UInt64(0xce4)), ("aarch64-feb2025.so", 0xe60)])
  func microBatchesOfEarly2025(_ name: String, _ address: UInt64) throws {
    let file = try FixtureFile(name)
    let plan = planSites(in: try file.elf())
    #expect(plan.sites(.ubatch).map(\.function) == ["llama_set_inputs"])
    #expect(plan.sites(.ubatch).map(\.address) == [address])
    #expect(plan.sites(.ubatchReturn).isEmpty)
  }

  /// A path that only some operators take is no end of all nodes: here that of the fused ones.
  @Test func aPathOfItsOwnIsNoJoin() throws {
    let file = try FixtureFile("x86_64-inlined.so")
    let elf = try file.elf()
    let finder = BarrierFinder(
      elf: elf, targets: CallTargets(of: [], defined: [], in: elf),
      names: .init(operatorCall: 0, barrier: 1, isEmpty: 2, abort: 3))
    #expect(finder.endOfNode(from: 0x1ba0, behind: 0x1ae6, needsJoin: true) == 0x1bb0)
    #expect(finder.endOfNode(from: 0x1ab6, behind: 0x1ae6, needsJoin: true) == nil)
    #expect(finder.isLoop(around: 0x1ae6, from: 0x1ba0))
    // Behind the loop.
    #expect(!finder.isLoop(around: 0x1ae6, from: 0x1c2c))
  }

  @Test func reasonsNameNoCompiler() throws {
    // The branch on n_nodes becomes a jump to itself: no way leads back to the operator call.
    let file = try FixtureFile("x86_64-gomp.so")
    let offset = Int(try #require(try file.elf().fileOffset(of: 0xbff)))
    file.bytes[offset] = 0xeb
    file.bytes[offset + 1] = 0xfe
    let plan = planSites(in: try file.elf())
    #expect(plan.missing.map(\.role) == [.tokenEncode, .barrierLoop, .barrierFinal])
    #expect(plan.missing.last?.reason == "the node loop around 0xcbf has no call of ggml_barrier")
  }

  /// Garbage in place of the join must end in some plan, soon, and with sites inside the file.
  @Test(arguments: expected) func damagedJoin(_ expected: Expected) throws {
    let file = try FixtureFile(expected.file)
    let elf = try file.elf()
    let start = Int(try #require(elf.fileOffset(of: expected.join.lowerBound)))
    let range = start..<(start + expected.join.count)
    let original = Array(file.bytes)
    // Zeros, traps, nops, locks and prefixes without end; jumps and branches to themselves and to their neighbours.
    let patterns = [
      "00", "ff", "cc", "90", "f0", "66", "e8", "0f", "eb fe", "74 fe", "75 00", "eb 00 74 fc",
      "00 00 00 14", "01 00 00 14", "ff ff ff 17", "00 00 00 54", "20 00 00 54", "e0 ff ff 54", "1f 20 03 d5",
      "e0 07 40 b9 1f 00 00 6b 2a 00 00 54",
    ]
    for pattern in patterns.map(hexBytes) {
      for step in stride(from: 0, to: range.count, by: 4) {
        // From here to the end of the join, and here alone.
        for end in [range.upperBound, min(range.lowerBound + step + pattern.count, range.upperBound)] {
          for index in (range.lowerBound + step)..<end {
            file.bytes[index] = pattern[(index - range.lowerBound - step) % pattern.count]
          }
          let plan = planSites(in: try file.elf())
          for site in plan.sites { #expect(site.fileOffset < UInt64(original.count)) }
          file.bytes.copyBytes(from: original)
        }
      }
    }
  }

  /// The code ends in the middle of the join.
  @Test(arguments: expected) func cutJoin(_ expected: Expected) throws {
    let file = try FixtureFile(expected.file)
    let segments = try file.elf().segments
    let index = try #require(
      segments.firstIndex {
        $0.type == 1 && $0.flags & 1 != 0 && expected.join.lowerBound >= $0.address
          && expected.join.lowerBound - $0.address < $0.size
      })
    // p_filesz
    let at = Int(UnsafeRawBufferPointer(file.bytes).u64(32)) + index * 56 + 32
    for address in expected.join {
      file.bytes.storeBytes(of: address - segments[index].address, toByteOffset: at, as: UInt64.self)
      for site in planSites(in: try file.elf()).sites {
        #expect(site.fileOffset < UInt64(segments[index].offset) + address - segments[index].address)
      }
    }
  }
}
