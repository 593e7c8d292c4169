import Foundation

/// What reads bytes of other people. A finding is a trap, an address error, a hang, too much memory, or a failed
/// `precondition` of the target: that is what it says about every input.
enum FuzzTarget: String, CaseIterable {
  /// A whole file, as TraceContainer reads it.
  case container
  /// Records in a file that is whole, imported into all that is shown of a run.
  case records
  /// The JSON of METADATA chunks, before whole records.
  case metadata
  /// Headers, symbols, notes and name tables of an ELF file.
  case elf
  /// The choice of probe sites in an ELF file.
  case sites

  func run(_ input: UnsafeRawBufferPointer) {
    switch self {
    case .container: fuzzContainer(input)
    case .records: fuzzRecords(input)
    case .metadata: fuzzMetadata(input)
    case .elf: fuzzELF(input)
    case .sites: fuzzSites(input)
    }
  }

  /// By the environment, as the arguments are libFuzzer's.
  static let chosen: FuzzTarget = {
    let name = ProcessInfo.processInfo.environment["FUZZ_TARGET"] ?? ""
    guard let target = FuzzTarget(rawValue: name) else {
      let names = allCases.map(\.rawValue).joined(separator: ", ")
      FileHandle.standardError.write(Data("FUZZ_TARGET is none of \(names); tools/fuzz sets it\n".utf8))
      exit(2)
    }
    return target
  }()
}

@_cdecl("LLVMFuzzerInitialize")
public func initialize(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>
) -> CInt {
  // Turns the seeds of a folder into inputs of the target, and does not fuzz.
  if let folder = ProcessInfo.processInfo.environment["FUZZ_SEEDS"] {
    do {
      try writeSeeds(of: .chosen, to: URL(fileURLWithPath: folder))
    } catch {
      FileHandle.standardError.write(Data("the seeds cannot be written to \(folder): \(error)\n".utf8))
      exit(1)
    }
    exit(0)
  }
  _ = FuzzTarget.chosen
  return 0
}

@_cdecl("LLVMFuzzerTestOneInput")
public func testOneInput(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  FuzzTarget.chosen.run(UnsafeRawBufferPointer(start: data, count: count))
  return 0
}
