/// Why an ELF file cannot be read.
public struct ELFError: Error {
  public enum Kind: Sendable {
    /// The first bytes are not those of an ELF file.
    case notELF
    /// A header, section or segment reaches past the end of the file.
    case truncated
    /// 32-bit or big-endian.
    case unsupportedClass
    /// Neither x86_64 nor aarch64.
    case unsupportedMachine(UInt16)
    /// The file has no section headers, so its symbols and PLT cannot be found.
    case noSections
    /// A field has a value that the ELF format does not allow.
    case malformed
  }
  public var kind: Kind
  /// Byte offset in the file of the field or header at fault.
  public var offset: UInt64
  /// What failed.
  public var cause: StaticString

  init(_ kind: Kind, at offset: UInt64, _ cause: StaticString) {
    self.kind = kind
    self.offset = offset
    self.cause = cause
  }

  /// Cause, place and next step in one line.
  public var description: String {
    let advice: StaticString
    switch kind {
    case .notELF: advice = "give an ELF shared library or executable"
    case .truncated: advice = "copy or install the file again"
    case .unsupportedClass, .unsupportedMachine: advice = "give a 64-bit x86_64 or aarch64 file"
    case .noSections: advice = "use a build that was stripped with strip, not sstrip"
    case .malformed: advice = "the file is damaged; copy or install it again"
    }
    return "\(cause) (file offset \(hexadecimal(offset))); \(advice)"
  }
}

/// "0x1f": Foundation-free and without String(format:).
public func hexadecimal(_ value: UInt64) -> String {
  "0x" + String(value, radix: 16)
}
