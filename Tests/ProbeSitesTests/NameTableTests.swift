import Testing

@testable import ProbeSites

@Suite struct NameTableTests {
  static let names = ["NONE", "ADD", "MUL", "MUL_MAT", "GLU", "ADD_MUL", "ZERO", "IM2COL_3D", "ONE"]

  @Test(arguments: [
    "x86_64-plt.so", "x86_64-endbr.so", "x86_64-noplt.so", "aarch64-plt.so", "aarch64-bti.so",
  ])
  func names(_ name: String) throws {
    let file = try FixtureFile(name)
    let elf = try file.elf()
    let operators = try #require(try operatorNames(in: elf))
    #expect(readNames(operators, in: elf) == Self.names)
    let unary = try #require(try unaryOperatorNames(in: elf))
    #expect(readNames(unary, in: elf) == ["ABS", "SGN", "NEG"])
    let glu = try #require(try gluOperatorNames(in: elf))
    #expect(readNames(glu, in: elf) == ["REGLU", "GEGLU"])
    let hasSymbol = name == "x86_64-noplt.so"
    #expect(operators.source == (hasSymbol ? "symbol GGML_OP_NAME" : "code of ggml_op_name"))
    if hasSymbol { #expect(operators.maximumCount == 9) }
  }

  @Test(arguments: ["x86_64-clang.so", "aarch64-clang.so"]) func relativeTableIsNotMisread(_ name: String)
    throws
  {
    let file = try FixtureFile(name)
    let elf = try file.elf()
    let error = #expect(throws: NameTableError.self) { try operatorNames(in: elf) }
    #expect(error?.reason == "names are in a table of 32-bit offsets, which is not supported")
    #expect(error?.function == "ggml_op_name")
  }

  @Test func absentTableIsNil() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let name = Array("ggml_op_name".utf8)
    for index in 0..<(file.bytes.count - name.count)
    where file.bytes[index..<(index + name.count)].elementsEqual(name) {
      file.bytes[index] = UInt8(ascii: "x")
    }
    let table = try operatorNames(in: try file.elf())
    #expect(table == nil)
  }

  @Test func unexpectedCodeIsAnError() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let elf = try file.elf()
    let function = try #require(elf.symbol("ggml_op_name"))
    let offset = Int(try #require(elf.fileOffset(of: function.address)))
    // cpuid
    file.bytes[offset] = 0x0f
    file.bytes[offset + 1] = 0xa2
    let error = #expect(throws: NameTableError.self) { try operatorNames(in: elf) }
    #expect(error?.address == function.address)
  }

  @Test func tableOutsideTheFileHasNoNames() throws {
    let file = try FixtureFile("x86_64-plt.so")
    let elf = try file.elf()
    #expect(
      readNames(NameTable(address: 0xffff_ffff_ffff_fff8, maximumCount: 256, source: ""), in: elf) == [])
    #expect(readNames(NameTable(address: 0, maximumCount: -1, source: ""), in: elf) == [])
  }
}
