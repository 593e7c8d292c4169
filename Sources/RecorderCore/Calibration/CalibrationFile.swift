import CRecorderShim
import ProbeSites

/// The file in which a calibration is kept: one JSON object, byte for byte what traces get as a chunk of metadata.
///
/// The recorder has no JSON parser. It looks for the very bytes that its own writer makes, and refuses a file in
/// which they are not.
struct CalibrationFile {
  static let defaultPath = "/var/lib/pi-record/ceilings.json"

  let bytes: [UInt8]
  /// What it was read from; nil for one that was just measured.
  let path: String?
  private let prices: [(instructionClass: InstructionClass, hit: Int)]
  private let functionReturn: Int?

  init(_ calibration: Calibration) {
    var json = JSONWriter()
    json.object { json in calibration.write(to: &json) }
    self.init(bytes: json.bytes, path: nil)
  }

  private init(bytes: [UInt8], path: String?) {
    self.bytes = bytes
    self.path = path
    // The first of the kinds of CPUs, the fastest.
    var known: [(instructionClass: InstructionClass, hit: Int)] = []
    for kind in InstructionClass.allCases {
      let key = "{\"class\":\"" + kind.rawValue + "\",\"hit_ns\":"
      if let hit = Self.number(behind: key, in: bytes) { known.append((kind, hit)) }
    }
    prices = known
    functionReturn = Self.number(behind: "\"return_ns\":", in: bytes)
  }

  /// Reads a file that `save` wrote on this machine under this kernel.
  ///
  /// - Throws: where it cannot be read, is another thing, or tells of another machine.
  static func load(_ path: String) throws(RecorderError) -> CalibrationFile {
    guard let bytes = System.contents(of: path) else {
      throw RecorderError("cannot read the ceilings in \(path): \(System.lastErrorText)", hints: [again])
    }
    let body = bytes.last == UInt8(ascii: "\n") ? Array(bytes.dropLast()) : bytes
    guard body.starts(with: Array("{\"calibration\":{".utf8)), body.suffix(2).elementsEqual(Array("}}".utf8))
    else {
      throw RecorderError("\(path) is not as pi-record calibrate writes it", hints: [again])
    }
    var identity = JSONWriter()
    MachineFacts.writeIdentity(to: &identity)
    guard place(of: identity.bytes, in: body) != nil else {
      throw RecorderError("\(path) was measured on another machine or kernel", hints: [again])
    }
    return CalibrationFile(bytes: body, path: path)
  }

  private static let again = "measure: pi-record calibrate"

  /// What the options ask for: measured now, the file named, or the machine's own where there is one.
  ///
  /// - Parameter note: told why the machine's own file was not used.
  static func forRecording(
    _ options: RecordOptions, note: (String) -> Void
  ) throws(RecorderError) -> CalibrationFile? {
    if options.calibrates {
      return CalibrationFile(
        try Calibration.measure { error in note("probe prices were not measured: \(error.message)") })
    }
    if let path = options.ceilings { return try load(path) }
    guard shim_file_kind(defaultPath) != shim_kind_none else { return nil }
    do throws(RecorderError) { return try load(defaultPath) } catch {
      note("\(error.message): not used; \(again)")
      return nil
    }
  }

  /// Replaces the file as a whole.
  func save(to path: String) throws(RecorderError) {
    func failure() -> RecorderError {
      RecorderError(
        "cannot write \(path): \(System.lastErrorText)",
        hints: ["name a file that you can write with -o FILE"])
    }
    if path == Self.defaultPath { _ = shim_make_directory("/var/lib/pi-record") }
    let part = "\(path).\(shim_own_pid()).part"
    let descriptor = shim_create(part)
    guard descriptor >= 0 else { throw failure() }
    let whole = bytes + [UInt8(ascii: "\n")]
    let isWritten =
      whole.withUnsafeBytes { shim_write_all(descriptor, $0.baseAddress, UInt64($0.count)) } == 0
    shim_close(descriptor)
    guard isWritten, shim_rename(part, path) == 0 else {
      let error = failure()
      shim_unlink(part)
      throw error
    }
  }

  /// What a hit of the site costs here; nil where that was not measured.
  func expected(of site: Site) -> Int? {
    guard let price = prices.first(where: { $0.instructionClass == site.instructionClass }) else {
      return nil
    }
    if site.kind == .entry { return price.hit }
    return functionReturn.map { price.hit + $0 }
  }

  private static func number(behind key: String, in bytes: [UInt8]) -> Int? {
    guard let at = place(of: Array(key.utf8), in: bytes) else { return nil }
    let digits = bytes[(at + key.utf8.count)...].prefix {
      (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
    }
    return digits.count < 10 ? Int(String(decoding: digits, as: UTF8.self)) : nil
  }

  private static func place(of pattern: [UInt8], in bytes: [UInt8]) -> Int? {
    guard !pattern.isEmpty, bytes.count >= pattern.count else { return nil }
    return (0...(bytes.count - pattern.count)).first { at in
      bytes[at..<(at + pattern.count)].elementsEqual(pattern)
    }
  }
}
