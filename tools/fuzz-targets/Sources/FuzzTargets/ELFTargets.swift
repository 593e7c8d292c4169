import ProbeSites

/// As the recorder reads a file that the target has mapped.
func fuzzELF(_ input: UnsafeRawBufferPointer) {
  guard let elf = try? ELFFile(input) else { return }
  precondition(elf.buildID.count <= 64, "a build id is longer than what is read of one")
  for address in [0, 0x1000, UInt64(input.count), .max] {
    if let offset = elf.fileOffset(of: address) {
      precondition(offset < UInt64(input.count), "an address leads past the end of the file")
    }
    _ = elf.address(ofFileOffset: address)
  }
  for symbol in elf.symbols(withPrefix: "ggml_") {
    precondition(symbol.name.utf8.starts(with: "ggml_".utf8), "a symbol that was not asked for")
  }
  _ = elf.ubatchPositionsOffset()
  for find in [operatorNames, unaryOperatorNames, gluOperatorNames] {
    guard let table = (try? find(elf)) ?? nil else { continue }
    precondition(readNames(table, in: elf).count <= table.maximumCount, "more names than the table has")
  }
}

func fuzzSites(_ input: UnsafeRawBufferPointer) {
  guard let elf = try? ELFFile(input) else { return }
  let plan = planSites(in: elf)
  for site in plan.sites + plan.alternates {
    precondition(site.fileOffset < UInt64(input.count), "a probe site outside of the file")
    precondition(elf.fileOffset(of: site.address) == site.fileOffset, "a site whose two places differ")
  }
}
